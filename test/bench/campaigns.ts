import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { type App, openApp } from "../../src/core/app.ts";
import { loadConfig } from "../../src/core/config.ts";
import { openRecordings, type Recording } from "../../src/core/import/importer.ts";
import type { CampaignJobs } from "../../src/core/store/campaigns.ts";
import { insertSessions } from "../core/jobs/many-sessions.ts";
import { beginCampaign } from "./begin-campaign.ts";
import type { CampaignStart, CampaignStarted } from "./campaign-start.ts";
import { until } from "./figures.ts";
import { fresh } from "./limits.ts";
import type { PacedLoad, PacedResult } from "./paced.ts";
import { daemon, freshSession, generate, layOut, quantile, type Served } from "./served.ts";

type Add = (name: string, value: number) => number;

const never = new AbortController().signal;
const PROJECT = "default";
/** From a store of ten million sessions to a campaign over them with its first jobs brought. */
export async function campaignStarts(dir: string, runs: number, add: Add): Promise<void> {
  const data = await fresh(join(dir, "many"));
  const path = join(data, "sluice.db");
  await (await open(data))[Symbol.asyncDispose]();
  insertSessions(path, { project: PROJECT, count: SESSIONS, perTime: 7, staleEvery: 3, signature: "score=0:0" });
  const job: CampaignStart = { path, project: PROJECT, window: WINDOW };
  for (let run = 0; run < runs; run++) {
    const { seconds, planned, jobs, rssMib } = await generate<CampaignStarted>("campaign-start.ts", job);
    if (planned !== SESSIONS || jobs !== WINDOW) throw new Error(`${planned} sessions planned, ${jobs} jobs brought`);
    add("campaign_start_s_10m", seconds);
    add("campaign_rss_mib", rssMib);
    forgetCampaigns(path);
  }
  await rm(data, { recursive: true });
}

const SESSIONS = 10_000_000;
const WINDOW = 500;

function forgetCampaigns(path: string): void {
  const database = new Database(path);
  try {
    database.exec("DELETE FROM jobs; DELETE FROM campaigns; DELETE FROM plans");
  } finally {
    database.close();
  }
}

/** Of the sample's recordings, with their screenshots. */
const COPIES = 40;
/** Batches a second of all streams: about a fifth of what the daemon takes on two cores. */
const RATE = 100;
const LIVE_SECONDS = 15;

/**
 * How long live batches wait for their ack while the same daemon runs a campaign, and while that is
 * paused, in turn. Fails when the campaign had nothing left to do.
 */
export async function liveAcks(dir: string, runs: number, add: Add): Promise<void> {
  await layOut(join(dir, "package"));
  const data = await fresh(join(dir, "data"));
  await using app = await open(data);
  await sealCopies(app);
  await using sluice = await daemon(data);
  // Once over for the compiler.
  await ackP95(sluice);
  const { id } = await beginCampaign(app.store, PROJECT, CAMPAIGN_WINDOW, never);
  for (let run = 0; run < runs; run++) {
    await app.store.changeCampaign({ id, version: undefined, state: "paused" }, Date.now(), never);
    await until(async () => (await jobsOf(app, id)).open === 0, 120_000, "the campaign's jobs to finish");
    const alone = add("live_ack_p95_ms", await ackP95(sluice));
    const { done: before } = await jobsOf(app, id);
    await app.store.changeCampaign({ id, version: undefined, state: "running" }, Date.now(), never);
    await until(async () => (await jobsOf(app, id)).done > before, 60_000, "a job of the campaign");
    const begun = performance.now();
    const { done: first } = await jobsOf(app, id);
    const beside = add("live_ack_p95_ms_in_campaign", await ackP95(sluice));
    const { done: last, open: left } = await jobsOf(app, id);
    if (last === first || left === 0)
      throw new Error(`${last - first} jobs ran beside the live load, ${left} were left`);
    add("campaign_jobs_per_s", (last - first) / ((performance.now() - begun) / 1000));
    add("live_ack_p95_ratio", beside / alone);
  }
}

const CAMPAIGN_WINDOW = 16;

async function jobsOf({ store }: App, id: string): Promise<CampaignJobs> {
  const campaign = await store.readCampaign(id, never);
  if (campaign === undefined) throw new Error(`there is no campaign ${id}`);
  return campaign.jobs;
}

/** Milliseconds within which 95 of 100 batches are acked. */
async function ackP95({ url }: Served): Promise<number> {
  const load: PacedLoad = {
    url,
    session: freshSession(),
    streams: 16,
    batches: RATE * LIVE_SECONDS,
    batch: 50,
    rate: RATE,
  };
  const { latencies } = await generate<PacedResult>("paced.ts", load);
  return quantile(latencies, 0.95);
}

async function open(data: string): Promise<App> {
  const flags = { store: `sqlite:${data}/sluice.db`, blobs: `file:${data}/blobs` };
  const { values } = await loadConfig({ flags, env: {}, cwd: data, file: undefined });
  return await openApp(values, { create: true });
}

/** Sealed sessions that nothing has processed yet. */
async function sealCopies(app: App): Promise<void> {
  const sample = fileURLToPath(new URL("../../dev/sample", import.meta.url));
  for await (const recording of openRecordings(sample, never)) {
    for await (const { id, size, mediaType, path } of recording.blobs(never)) {
      await app.blobs.put(PROJECT, await readFile(path), never);
      await app.store.recordBlob(PROJECT, { id, size, mediaType }, never);
    }
    const events: Uint8Array[] = [];
    for await (const { event } of recording.events(1n, never)) events.push(event);
    for (let copy = 0; copy < COPIES; copy++) await sealCopy(app, recording, `${recording.session}-${copy}`, events);
  }
}

async function sealCopy({ store }: App, { info, stream }: Recording, session: string, events: Uint8Array[]) {
  const ref = { project: PROJECT, session, stream };
  await store.append({ ref, epoch: undefined, firstSeq: 1n, events, info }, never);
  const streams = [{ stream, lastSeq: BigInt(events.length) }];
  await store.seal(
    { project: PROJECT, session, streams, allowMissingBlobs: false, expectedVersion: undefined, jobs: [] },
    never,
  );
}
