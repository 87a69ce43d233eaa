import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { campaignStarts, liveAcks } from "./campaigns.ts";
import { figure, type Report } from "./figures.ts";
import { bullmqPerSecond, graphilePerSecond, plainjobPerSecond } from "./job-peers.ts";
import { fillLedger, NoopLedger } from "./noop-jobs.ts";

/** What one part of the bench measured. */
type Part = Pick<Report, "figures" | "targets" | "missing">;

/**
 * What it costs to run a job that does nothing, beside other queues; how fast a campaign over ten
 * million sessions begins; how much longer live batches wait while one is run.
 */
export async function jobs(runs: number, note: (line: string) => void): Promise<Report> {
  const dir = await mkdtemp(join(tmpdir(), "sluice-bench-"));
  try {
    const parts = [await noops(dir, runs, note), await campaigns(dir, runs, note)];
    return {
      name: "jobs",
      runs,
      figures: Object.assign({}, ...parts.map(({ figures }) => figures)),
      targets: Object.assign({}, ...parts.map(({ targets }) => targets)),
      missing: Object.assign({}, ...parts.map(({ missing }) => missing)),
    };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Jobs a run, on each store in slices; the peers are slower and get fewer. */
const JOBS = 60_000;
const SLICE = 5_000;
const PEER_JOBS = 20_000;
const BACKLOG = 1_000_000;

const PEERS = new Map([
  ["plainjob", plainjobPerSecond],
  ["bullmq", bullmqPerSecond],
  ["graphile", graphilePerSecond],
]);

/**
 * No-op jobs through the Store port: claimed in groups under a lease and a fence, settled in groups,
 * every commit fsynced. In turn with the same on a store with a million other jobs, and with peers.
 */
async function noops(dir: string, runs: number, note: (line: string) => void): Promise<Part> {
  const seen = new Map<string, number[]>();
  const add = (name: string, value: number): number => {
    seen.set(name, [...(seen.get(name) ?? []), value]);
    note(`${name} ${value.toPrecision(4)}`);
    return value;
  };
  const missing: Record<string, string> = {};
  await fillLedger(join(dir, "full.db"), BACKLOG);
  for (let run = 0; run < runs; run++) {
    const { empty, full } = await inTurn(dir, run);
    add("noop_per_s", empty);
    add("at_1m_vs_empty", add("noop_per_s_at_1m", full) / empty);
    for (const [peer, perSecond] of PEERS) {
      try {
        add(`vs_${peer}`, empty / add(`${peer}_per_s`, await perSecond(dir, PEER_JOBS)));
      } catch (error) {
        missing[`vs_${peer}`] = `${peer} could not be run: ${error instanceof Error ? error.message : String(error)}`;
      }
    }
  }
  return {
    figures: Object.fromEntries(
      [...seen].map(([name, values]) => [name, figure(values, name.includes("_per_s") ? "1/s" : "ratio")]),
    ),
    targets: {
      noop_per_s: { least: 25_000 },
      at_1m_vs_empty: { least: 0.9 },
      vs_plainjob: { least: 1 },
      vs_bullmq: { least: 1 },
      vs_graphile: { least: 1 },
    },
    missing,
  };
}

async function campaigns(dir: string, runs: number, note: (line: string) => void): Promise<Part> {
  const seen = new Map<string, number[]>();
  const add = (name: string, value: number): number => {
    seen.set(name, [...(seen.get(name) ?? []), value]);
    note(`${name} ${value.toPrecision(4)}`);
    return value;
  };
  await campaignStarts(dir, runs, add);
  await liveAcks(dir, runs, add);
  return {
    figures: Object.fromEntries([...seen].map(([name, values]) => [name, figure(values, UNITS.get(name) ?? "ratio")])),
    targets: { campaign_start_s_10m: { most: 5 }, live_ack_p95_ratio: { most: 1.5 } },
  };
}

const UNITS = new Map([
  ["campaign_start_s_10m", "s"],
  ["campaign_rss_mib", "MiB"],
  ["live_ack_p95_ms", "ms"],
  ["live_ack_p95_ms_in_campaign", "ms"],
  ["campaign_jobs_per_s", "1/s"],
]);

/** No-op jobs a second on an empty store and on the full one, a slice on each in turn: what drifts is in both. */
async function inTurn(dir: string, run: number): Promise<{ readonly empty: number; readonly full: number }> {
  const path = join(dir, `empty-${run}.db`);
  await fillLedger(path, 0);
  await using empty = await NoopLedger.open(path);
  await using full = await NoopLedger.open(join(dir, "full.db"));
  for (const ledger of [empty, full]) await ledger.enqueue(JOBS);
  let onEmpty = 0;
  let onFull = 0;
  for (let done = 0; done < JOBS; done += SLICE) {
    if ((done / SLICE) % 2 === 0) onEmpty += await empty.run(SLICE);
    onFull += await full.run(SLICE);
    if ((done / SLICE) % 2 === 1) onEmpty += await empty.run(SLICE);
  }
  return { empty: JOBS / onEmpty, full: JOBS / onFull };
}
