import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { SqliteStore } from "../../src/core/store/sqlite/sqlite-store.ts";
import type { Store } from "../../src/core/store/store.ts";
import { seeded } from "../client/recordings.ts";
import { never } from "../fixtures.ts";
import type { Found } from "./check.ts";
import { checkJobs } from "./job-check.ts";
import { Feeder } from "./job-feeder.ts";
import { DaemonVictim, type SaidDone, type Victim, WorkVictim } from "./job-victims.ts";
import { Source } from "./source.ts";

export interface JobsOptions {
  readonly kills: number;
  readonly seed: number;
  /** Keep the data for a look when something is wrong. */
  readonly keep?: boolean;
  readonly onProgress?: (kills: number, sealed: number) => void;
}

export interface JobsResult extends Found {
  readonly kills: number;
  /** Processes stopped for longer than their leases, and then let go on. */
  readonly stalls: number;
  /** Where the data is, if it was kept. */
  readonly directory: string | undefined;
}

const WORKERS = 2;
/** Sealed before the first kill, and from one kill to the next. */
const SESSIONS_BEFORE = 2;
const SESSIONS_MEANWHILE = 3;
const LEASE_MS = 1_000;

/**
 * SIGKILLs the daemon and two workers again and again, at random moments, while sessions are sealed
 * and their jobs run, and stalls them past their leases now and then; then lets all jobs end and
 * looks at every one.
 */
export async function tortureJobs(options: JobsOptions): Promise<JobsResult> {
  const directory = await mkdtemp(join(tmpdir(), "sluice-torture-"));
  let sound = false;
  try {
    const { stalls, ...found } = await run(options, directory);
    sound = found.lost + found.doubled + found.unaccounted === 0;
    const kept = !sound && options.keep === true ? directory : undefined;
    return { kills: options.kills, stalls, ...found, directory: kept };
  } finally {
    if (sound || options.keep !== true) await rm(directory, { recursive: true, maxRetries: 10 });
  }
}

async function run(options: JobsOptions, directory: string): Promise<Found & { readonly stalls: number }> {
  const random = seeded(options.seed);
  const said: SaidDone[] = [];
  const tell = (done: SaidDone) => said.push(done);
  const daemon = await DaemonVictim.start(directory, tell);
  const victims: Victim[] = [daemon];
  try {
    for (let worker = 0; worker < WORKERS; worker++) victims.push(new WorkVictim(directory, tell));
    using feeder = new Feeder(daemon.url, await Source.load());
    await feeder.feed(options.kills * SESSIONS_BEFORE);
    const stalls = await killAndStall({ victims, random, feeder, said }, options);
    await daemon.ready;
    await feeder.feed(0);
    await using store = await SqliteStore.open({
      ...{ path: join(directory, "sluice.db"), limits: DEFAULT_LIMITS, create: false },
    });
    await allEnded(store);
    const codes = await Promise.all(victims.splice(0).map((victim) => victim.stop()));
    if (codes.some((code) => code !== 0)) throw new Error(`a process did not end in order: ${codes.join(", ")}`);
    return { stalls, ...(await checkJobs(store, feeder.sealed, said)) };
  } finally {
    await Promise.all(victims.map((victim) => victim.stop()));
  }
}

interface Scene {
  readonly victims: readonly Victim[];
  readonly random: () => number;
  readonly feeder: Feeder;
  readonly said: readonly SaidDone[];
}

/** Returns how many stalls there were. */
async function killAndStall({ victims, random, feeder, said }: Scene, options: JobsOptions): Promise<number> {
  const { kills, onProgress } = options;
  const stalled = new Map<Victim, Promise<void>>();
  let stalls = 0;
  const choose = () => victims[Math.floor(random() * victims.length)];
  for (let kill = 1; kill <= kills; kill++) {
    const fed = feeder.feed(SESSIONS_MEANWHILE);
    // What fails here fails the next feed too, which is awaited.
    fed.catch(() => undefined);
    // Mostly when jobs are being done, and now and then while what was killed before still starts.
    if (random() < 0.8) await within(said, said.length + 2, PATIENCE_MS);
    await wait(random() * 300);
    const zombie = random() < 0.4 ? choose() : undefined;
    if (zombie !== undefined && !stalled.has(zombie)) {
      stalls += 1;
      const over = zombie.stall(LEASE_MS * (1.2 + random())).finally(() => stalled.delete(zombie));
      stalled.set(zombie, over);
    }
    const victim = choose();
    // One that is stalled is let go on first: that is when it may do harm.
    if (victim !== undefined) await stalled.get(victim);
    await victim?.kill();
    onProgress?.(kill, feeder.sealed.length);
  }
  await Promise.all(stalled.values());
  return stalls;
}

/** A busy machine takes seconds to start what was killed. */
const PATIENCE_MS = 10_000;

/** Waits until so many are there, for at most so long. */
async function within(list: readonly unknown[], count: number, ms: number): Promise<void> {
  const until = performance.now() + ms;
  while (list.length < count && performance.now() < until) await wait(10);
}

/** Resolves when no job is unfinished; rejects when nothing has ended for long. */
async function allEnded(store: Store): Promise<void> {
  let known = "";
  for (let still = 0; still < 600; still++) {
    const stats = await store.jobStats(Date.now(), never);
    const unfinished = stats.reduce((sum, { counts }) => sum + counts.available + counts.scheduled + counts.running, 0);
    if (unfinished === 0) return;
    const now = JSON.stringify(stats.map(({ counts }) => counts));
    if (now !== known) still = 0;
    known = now;
    await wait(100);
  }
  process.stderr.write(`jobs do not end: ${known}\n`);
}
