import { headsByStage, nextStale } from "../../src/core/pipeline/freshness.ts";
import { loadPipeline } from "../../src/core/pipeline/load.ts";
import type { Job } from "../../src/core/store/jobs.ts";
import type { Store } from "../../src/core/store/store.ts";
import { never } from "../fixtures.ts";
import type { Found } from "./check.ts";
import type { SaidDone } from "./job-victims.ts";

const PROJECT = "default";
const MAX_ATTEMPTS = 5;

/**
 * Every sealed session must have each stage's job once, done, and its artifact once, current,
 * readable and what this release would make; and of each job one worker at most may have been told
 * that it had done it, under the last fence.
 */
export async function checkJobs(store: Store, sealed: readonly string[], said: readonly SaidDone[]): Promise<Found> {
  const { pipeline } = await loadPipeline(undefined);
  const definitions = pipeline.definitions(PROJECT);
  const stages = definitions.map(({ stage }) => stage);
  const claims = new Map<number, number>();
  const found = { acked: sealed.length * stages.length, stored: 0, lost: 0, doubled: 0, unaccounted: 0 };
  const tell = (what: keyof Found, session: string, why: string) => {
    found[what] += 1;
    process.stderr.write(`${what} ${session}: ${why}\n`);
  };
  for (const session of sealed) {
    const { jobs } = await store.listJobs({ project: PROJECT, session, limit: 1_000, cursor: undefined }, never);
    const artifacts = await store.listArtifacts(PROJECT, session, 1_000, never);
    for (const stage of stages) {
      const done = jobs.filter(({ kind, state }) => kind === stage && state === "done");
      const made = artifacts.filter((artifact) => artifact.stage === stage);
      found.stored += done.length;
      if (done.length === 0) tell("lost", session, `no ${stage} job is done`);
      if (!made.some(({ current }) => current)) tell("lost", session, `${stage} has no artifact`);
      for (const _ of done.slice(1)) tell("doubled", session, `another ${stage} job is done`);
      for (const _ of made.slice(1)) tell("doubled", session, `another artifact of ${stage}`);
    }
    for (const job of jobs) {
      const wrong = await wrongWith(store, job);
      if (wrong !== undefined) tell("unaccounted", session, `job ${job.id}: ${wrong}`);
      claims.set(job.id, await claimsOf(store, job));
    }
    for (const { key } of artifacts) {
      if ((await store.readArtifact(PROJECT, session, key, never)) === undefined)
        tell("lost", session, `artifact ${key}`);
    }
    const stale = nextStale(definitions, headsByStage(await store.readHeads(PROJECT, session, never)), undefined);
    if (stale !== undefined) tell("unaccounted", session, `${stale} is stale`);
  }
  for (const [job, fences] of Map.groupBy(said, (each) => each.job)) {
    for (const _ of fences.slice(1)) tell("doubled", `job ${job}`, "more than one worker was told that it had done it");
    const claimed = claims.get(job);
    for (const { fence } of fences.filter((each) => each.fence !== claimed)) {
      tell("unaccounted", `job ${job}`, `done under fence ${fence}, but it was claimed ${claimed} times`);
    }
  }
  return found;
}

async function wrongWith(store: Store, job: Job): Promise<string | undefined> {
  if (job.state !== "done") return `${job.state}, ${job.error?.reason}: ${job.error?.message}`;
  const history = (await store.readJob(job.id, never))?.history ?? [];
  const lost = history.filter(({ outcome }) => outcome === "lost").length;
  if (lost !== job.lost) return `lost ${job.lost} times, but ${lost} losses are recorded`;
  const retries = history.filter(({ outcome }) => outcome === "retry").length;
  if (job.attempts !== retries + 1 || job.attempts > MAX_ATTEMPTS)
    return `${job.attempts} attempts, ${retries} retries`;
  return undefined;
}

/** How often it was claimed: each claim but the one that did it left a line in its history. */
async function claimsOf(store: Store, { id, state }: Job): Promise<number> {
  const history = (await store.readJob(id, never))?.history ?? [];
  return history.length + (state === "done" ? 1 : 0);
}
