import { createHash } from "node:crypto";
import { pack } from "../../src/core/session/segment.ts";
import type { ArtifactInput, NewArtifact } from "../../src/core/store/artifacts.ts";
import type { ClaimedJob, JobStore, Lease, NewJob } from "../../src/core/store/jobs.ts";
import type { Store } from "../../src/core/store/store.ts";
import { events, never } from "../fixtures.ts";

/** Far enough ahead that no rescue of another test reaches it. */
const LONG_MS = 1e12;

/** Stores a session of three events, and seals it with the jobs its seal causes. */
export async function sealedSession(
  store: Store,
  project: string,
  session: string,
  jobs: readonly NewJob[] = [],
): Promise<void> {
  await openSession(store, project, session);
  await seal(store, project, session, jobs);
}

export async function openSession(store: Store, project: string, session: string): Promise<void> {
  const ref = { project, session, stream: "main" };
  await store.append({ ref, epoch: undefined, firstSeq: 1n, events: events(1, 3), info: undefined }, never);
}

export async function seal(store: Store, project: string, session: string, jobs: readonly NewJob[]): Promise<void> {
  const streams = [{ stream: "main", lastSeq: 3n }];
  await store.seal({ project, session, streams, allowMissingBlobs: false, expectedVersion: undefined, jobs }, never);
}

export function claim(
  store: JobStore,
  kind: string,
  nowMs: number,
  more: { readonly limit?: number; readonly owner?: string; readonly leaseMs?: number } = {},
): Promise<ClaimedJob[]> {
  const { limit = 100, owner = "w1", leaseMs = LONG_MS } = more;
  return store.claim({ owner, kinds: [{ kind, limit }], total: limit, leaseMs, nowMs }, never);
}

/** Claims the one job of its kind there is to claim. */
export async function claimOne(store: JobStore, kind: string, nowMs: number, leaseMs?: number): Promise<ClaimedJob> {
  const [job, ...more] = await claim(store, kind, nowMs, leaseMs === undefined ? {} : { leaseMs });
  if (job === undefined || more.length > 0) throw new Error(`expected one ${kind} job, got ${more.length + 1}`);
  return job;
}

export async function settleDone(
  store: JobStore,
  lease: Lease,
  nowMs: number,
  artifact?: NewArtifact,
  follow: readonly NewJob[] = [],
): Promise<"settled" | "lost" | undefined> {
  const { job, fence } = lease;
  const [answer] = await store.settle([{ lease: { job, fence }, outcome: "done", artifact, follow }], nowMs, never);
  return answer;
}

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** An artifact as a stage would give it; `salt` makes it another one. */
export function artifact(
  stage: string,
  salt: string,
  inputs: readonly ArtifactInput[] = [{ name: "recording", hash: sha256("recording") }],
  more: { readonly score?: number; readonly blobs?: readonly string[] } = {},
): Extract<NewArtifact, { reuse: false }> {
  const data = Buffer.from(JSON.stringify({ stage, salt, text: "again ".repeat(200) }));
  return {
    reuse: false,
    key: sha256(`${stage} ${salt} ${JSON.stringify(inputs)}`),
    stage,
    version: 1,
    params: sha256("{}").slice(0, 16),
    paramsJson: "{}",
    inputs,
    output: sha256(data.toString()),
    durationMs: 12.5,
    ...pack(data),
    bytes: data.length,
    blobs: more.blobs ?? [],
    score: more.score,
  };
}
