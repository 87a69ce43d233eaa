import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { seeded } from "../client/recordings.ts";
import { DaemonProcess } from "../daemon/process.ts";
import { checkStore, type Found } from "./check.ts";
import type { CollectorJob } from "./collector-process.ts";
import { Journal, readJournal } from "./journal.ts";
import { Senders } from "./senders.ts";
import { Source } from "./source.ts";

export interface CrashOptions {
  /** Who is killed. */
  readonly mode: "daemon" | "collector";
  readonly kills: number;
  readonly seed: number;
  /** The daemon that is run; the product's own when left out. */
  readonly entry?: string;
  /** Keep the data for a look when something is wrong. */
  readonly keep?: boolean;
  readonly onProgress?: (kills: number, acked: number) => void;
}

export interface CrashResult extends Found {
  readonly kills: number;
  /** Where the data is, if it was kept. */
  readonly directory: string | undefined;
}

const STREAMS = 8;

/**
 * SIGKILLs the daemon or the collector again and again, at random moments, while eight streams
 * send; then lets the streams end and reads everything back.
 */
export async function crash(options: CrashOptions): Promise<CrashResult> {
  const directory = await mkdtemp(join(tmpdir(), "sluice-torture-"));
  const run = options.mode === "daemon" ? killDaemon : killCollector;
  let sound = false;
  try {
    const found = await run({ ...options, directory, source: await Source.load(), random: seeded(options.seed) });
    sound = found.lost + found.doubled + found.unaccounted === 0;
    const kept = !sound && options.keep === true ? directory : undefined;
    return { ...found, kills: options.kills, directory: kept };
  } finally {
    if (sound || options.keep !== true) await rm(directory, { recursive: true, maxRetries: 10 });
  }
}

interface Run extends CrashOptions {
  readonly directory: string;
  readonly source: Source;
  readonly random: () => number;
}

async function killDaemon(run: Run): Promise<Found> {
  const { directory, entry, source, random, kills, onProgress } = run;
  const start = (port: number) => DaemonProcess.spawn({ directory, port, ...(entry === undefined ? {} : { entry }) });
  let daemon = start(0);
  try {
    const url = await daemon.ready;
    using journal = new Journal(directory);
    const senders = new Senders({ url, source, streams: STREAMS, journal, random });
    await untilFailed(senders.failed, async () => {
      for (let kill = 1; kill <= kills; kill++) {
        // Now and then before it serves, while it recovers what the kill before left.
        const early = kill > 1 && random() < 0.1;
        if (!early) await daemon.ready;
        await wait(early ? random() * 600 : 80 + random() * 420);
        await daemon.kill();
        daemon = start(Number(new URL(url).port));
        onProgress?.(kill, senders.acked);
      }
    });
    await daemon.ready;
    const ends = await senders.stop();
    return await check(run, url, journal, ends, senders.forgotten);
  } finally {
    await daemon.kill();
  }
}

async function killCollector(run: Run): Promise<Found> {
  const { directory, entry, random, kills, onProgress } = run;
  const spoolDir = join(directory, "spool");
  await mkdir(spoolDir);
  await using daemon = await DaemonProcess.start({ directory, ...(entry === undefined ? {} : { entry }) });
  const url = await daemon.ready;
  using journal = new Journal(directory);
  const promised = { ends: Array.from({ length: STREAMS }, () => 0), count: 0, forgotten: 0 };
  const collect = (more: Partial<CollectorJob>, kill?: () => Promise<unknown>) =>
    runCollector({ url, spoolDir, streams: STREAMS, ...more }, journal, promised, kill);
  for (let kill = 1; kill <= kills; kill++) {
    await collect({}, () => wait(random() < 0.1 ? random() * 50 : 50 + random() * 350));
    onProgress?.(kill, promised.count);
  }
  const until = Math.max(...promised.ends) + 1;
  await collect({ until });
  const ends = promised.ends.map(() => until);
  return await check(run, url, journal, ends, promised.forgotten);
}

/** `forgotten` were promised and then not there after a kill, though they may have come again since. */
async function check(
  { source }: Run,
  url: string,
  journal: Journal,
  ends: readonly number[],
  forgotten: number,
): Promise<Found> {
  const found = await checkStore(url, source, readJournal(journal.path, STREAMS), ends);
  return { ...found, lost: found.lost + forgotten };
}

/** Runs a collector to its end, or kills it when `kill` resolves, and journals what it promised. */
async function runCollector(
  job: CollectorJob,
  journal: Journal,
  promised: { readonly ends: number[]; count: number; forgotten: number },
  kill: (() => Promise<unknown>) | undefined,
): Promise<void> {
  const child = spawn(process.execPath, [COLLECTOR, JSON.stringify(job)], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  let killed: Promise<unknown> | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const [what, ...fields] = line.split(" ");
    if (what === "ready") killed = kill?.().then(() => child.kill("SIGKILL"));
    // A line that the kill cut off promised nothing.
    if (what === "blob" && fields[0]?.length === 64) journal.blob(fields[0]);
    if (what === "begin")
      promised.forgotten += Math.max(0, (promised.ends[Number(fields[0])] ?? 0) + 1 - Number(fields[1]));
    if (what !== "event" || fields[2]?.length !== 64) continue;
    const [stream, seq] = [Number(fields[0]), Number(fields[1])];
    journal.event(stream, seq, fields[2]);
    promised.ends[stream] = Math.max(promised.ends[stream] ?? 0, seq);
    promised.count += 1;
  }
  await killed;
  const [code, signal] = await exited;
  const expected = kill === undefined ? code === 0 : signal === "SIGKILL";
  if (!expected) throw new Error(`the collector ended by itself: code ${code}, signal ${signal}`);
}

const COLLECTOR = fileURLToPath(new URL("./collector-process.ts", import.meta.url));

/** Runs `work`, unless `failed` rejects first. */
async function untilFailed(failed: Promise<void>, work: () => Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  failed.catch(reject);
  await Promise.race([work(), promise]);
}
