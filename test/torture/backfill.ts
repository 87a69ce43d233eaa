import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openApp } from "../../src/core/app.ts";
import { unitsAt } from "../../src/core/backfill/units.ts";
import { loadConfig } from "../../src/core/config.ts";
import { openRecordings } from "../../src/core/import/importer.ts";
import type { Store } from "../../src/core/store/store.ts";
import { never } from "../fixtures.ts";
import { writeVariants } from "./variants.ts";

export interface BackfillTorture {
  readonly kills: number;
  readonly sessions: number;
  readonly seed: number;
  readonly keep: boolean;
  readonly onProgress: (killed: number, done: number) => void;
}

const BIN = fileURLToPath(new URL("../../bin/sluice.js", import.meta.url));

/**
 * A backfill of many captures that is killed again and again and then left to end: every event of
 * every capture is there once, and nothing else is. Then the same again, which adds nothing.
 */
export async function tortureBackfill({ kills, sessions, seed, keep, onProgress }: BackfillTorture) {
  const directory = await mkdtemp(join(tmpdir(), "sluice-torture-"));
  const corpus = join(directory, "corpus");
  await writeVariants(corpus, sessions);
  const random = randomFrom(seed);
  let peak = 0;
  let killed = 0;
  // Spread over the whole of it: a run of so many goes on for about this long.
  const spreadMs = Math.max(1_500, (sessions / kills) * 15);
  while (killed < kills) {
    const run = start(directory);
    const until = 600 + random() * spreadMs;
    const begun = performance.now();
    while (run.exitCode === null && performance.now() - begun < until) {
      peak = Math.max(peak, peakRss(run));
      await sleep(20);
    }
    if (run.exitCode !== null) break;
    run.kill("SIGKILL");
    await once(run, "exit");
    killed += 1;
    onProgress(killed, killed);
  }
  const last = await finish(directory);
  peak = Math.max(peak, last.peak);
  const begun = performance.now();
  const again = await finish(directory);
  const secondMs = performance.now() - begun;
  const flags = { store: `sqlite:${directory}/data/sluice.db`, blobs: `file:${directory}/data/blobs` };
  const { values } = await loadConfig({ flags, env: {}, cwd: directory, file: undefined });
  const checks = await (async () => {
    await using app = await openApp(values, { create: false });
    return await compare(app.store, corpus);
  })();
  if (!keep) await rm(directory, { recursive: true });
  return {
    kills: killed,
    acked: checks.events,
    ...checks,
    added: again.imported,
    rssMib: Math.round(peak / 1024),
    secondMs: Math.round(secondMs),
    directory: keep ? directory : undefined,
  };
}

function start(directory: string): ChildProcess {
  return spawn(process.execPath, [BIN, "backfill", "start", "corpus", "--json"], {
    cwd: directory,
    stdio: ["ignore", "pipe", "inherit"],
  });
}

async function finish(directory: string): Promise<{ readonly imported: number; readonly peak: number }> {
  const run = start(directory);
  const exited = once(run, "exit");
  let text = "";
  let peak = 0;
  run.stdout?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  while (run.exitCode === null && run.signalCode === null) {
    peak = Math.max(peak, peakRss(run));
    await Promise.race([exited, sleep(50)]);
  }
  if (run.exitCode !== 0) throw new Error(`the backfill ended with ${run.exitCode}`);
  const summary: unknown = JSON.parse(text.trimEnd().split("\n").at(-1) ?? "");
  if (typeof summary !== "object" || summary === null || !("imported" in summary))
    throw new Error("it told no summary");
  return { imported: Number(summary.imported), peak };
}

/** The most it ever had, in KiB. */
function peakRss({ pid }: ChildProcess): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Every capture beside what is stored of it, and what is stored that no capture has. */
async function compare(store: Store, corpus: string) {
  let [events, stored, lost, doubled, sessions] = [0, 0, 0, 0, 0];
  for await (const unit of unitsAt([corpus], never)) {
    for await (const recording of openRecordings(unit.path, never)) {
      sessions += 1;
      const query = {
        project: "default",
        session: recording.session,
        stream: undefined,
        fromSeq: 1n,
        after: undefined,
      };
      const found = await store.readEvents({ ...query, maxBytes: 1e9 }, never);
      const left = found.map(({ event }) => Buffer.from(event).toString("latin1"));
      stored += found.length;
      for await (const { event } of recording.events(1n, never)) {
        events += 1;
        const at = left.indexOf(Buffer.from(event).toString("latin1"));
        if (at === -1) lost += 1;
        else left.splice(at, 1);
      }
      doubled += left.length;
      const session = await store.readSession("default", recording.session, never);
      if (session?.seal === undefined) lost += 1;
    }
  }
  const counts = await store.countSessions({ project: "default" }, never);
  const there = counts.reduce((sum, each) => sum + each.sessions, 0);
  return { events, stored, lost, doubled, unaccounted: Math.abs(there - sessions) };
}

/** mulberry32: the same seed, the same moments. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
