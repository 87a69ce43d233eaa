import type { Clock } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { Definition } from "../pipeline/definition.ts";
import { staleUnder } from "../pipeline/freshness.ts";
import type { CampaignStore } from "../store/campaigns.ts";
import type { Expirable, Expired, RetentionStore } from "../store/retention.ts";
import type { Store } from "../store/store.ts";
import type { BlobStore } from "./blobs.ts";

export interface RetentionOptions {
  readonly store: RetentionStore & Pick<CampaignStore, "countSessions"> & Pick<Store, "readBlob">;
  readonly blobs: Pick<BlobStore, "remove">;
  readonly clock: Clock;
  /** A project's stages: only what they made of a session as they are now lets its originals go. */
  readonly definitions: (project: string) => readonly Definition[];
  /** How long originals stay after the seal. */
  readonly ageMs: number;
  readonly onRemoved: (removed: Expired) => void;
  /** What failed is tried again a day later. */
  readonly onFailure: (error: AppError) => void;
}

/** Removes recorded screenshots that are old, now and once a day. Resolves when `signal` aborts. */
export async function retainOriginals(options: RetentionOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const removed = await removeOldOriginals(options, signal);
      if (removed.sessions > 0) options.onRemoved(removed);
    } catch (error) {
      if (!signal.aborted) options.onFailure(AppError.from(error));
    }
    await options.clock.sleep(DAY_MS, signal).catch(() => undefined);
  }
}

/**
 * Removes the recorded screenshots of sessions that were sealed long enough ago and whose redacted
 * ones are current, unless another session that is not so far names them too. First they count as
 * removed, then their bytes go: what a killed process left is finished here first.
 */
async function removeOldOriginals(options: RetentionOptions, signal: AbortSignal): Promise<Expired> {
  const { store, clock, ageMs, definitions } = options;
  await purge(options, signal);
  const sealedByMs = clock.now() - ageMs;
  const sum = { sessions: 0, blobs: 0 };
  for (const project of await store.listProjects(signal)) {
    const signatures = await redactedUnder(options, project, definitions(project), signal);
    if (signatures.length === 0) continue;
    let after: Expirable | undefined;
    do {
      const found = await store.findExpirable({ project, sealedByMs, signatures, after, limit: GROUP }, signal);
      const sessions = found.map(({ session }) => session);
      const command = { project, sessions, sealedByMs, signatures, nowMs: clock.now() };
      const expired = await store.expireOriginals(command, signal);
      sum.sessions += expired.sessions;
      sum.blobs += expired.blobs;
      await purge(options, signal);
      after = found.length < GROUP ? undefined : found.at(-1);
    } while (after !== undefined);
  }
  return sum;
}

/** A commit of some milliseconds: a session has about a hundred screenshots. */
const GROUP = 50;
const DAY_MS = 86_400_000;

/** Of the signatures there are those under which redact and what it reads are as they would be now. */
async function redactedUnder(
  { store }: RetentionOptions,
  project: string,
  definitions: readonly Definition[],
  signal: AbortSignal,
): Promise<string[]> {
  const counts = await store.countSessions({ project }, signal);
  return counts
    .map(({ signature }) => signature)
    .filter((signature) => {
      const { certain, possible } = staleUnder(definitions, signature, REDACTED);
      return signature.includes("redact:") && certain.length + possible.length === 0;
    });
}

const REDACTED = ["validate", "redact"];

async function purge({ store, blobs }: RetentionOptions, signal: AbortSignal): Promise<void> {
  for (;;) {
    const found = await store.listUnpurged(PURGED_AT_ONCE, signal);
    for (const { project, id } of found) {
      // Whoever sends it again meanwhile has it stop counting as removed before it looks for the bytes.
      const sure = async () => (await store.readBlob(project, id, signal))?.removedAtMs !== undefined;
      await blobs.remove(project, id, sure, signal);
    }
    await store.markPurged(found, signal);
    if (found.length < PURGED_AT_ONCE) return;
  }
}

const PURGED_AT_ONCE = 1_000;
