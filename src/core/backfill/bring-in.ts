import { openNamed, type RecordedBlob, type Recording } from "../import/importer.ts";
import type { Ingest } from "../session/ingest.ts";
import type { Label } from "../store/store.ts";

/** What came of a unit's recordings. */
export interface BroughtIn {
  readonly format: string;
  readonly sessions: readonly string[];
  readonly events: number;
  /** Events that were not there before, quarantined ones among them. */
  readonly fresh: number;
  readonly quarantined: number;
  readonly blobs: number;
}

export interface BringInOptions {
  readonly ingest: Ingest;
  readonly project: string;
  readonly labels: readonly Label[];
}

/** Of one append: enough that a commit is worth it. */
const BATCH_EVENTS = 200;
const BATCH_BYTES = 1024 * 1024;

/**
 * Stores every recording at `path`, its screenshots before its events, by the way everything comes
 * in. What is there already is left; the same again changes nothing. Fails as reading the recordings
 * and Ingest do; what was stored before stays.
 */
export async function bringIn(path: string, options: BringInOptions, signal: AbortSignal): Promise<BroughtIn> {
  const sessions = new Set<string>();
  let [events, fresh, quarantined, blobs] = [0, 0, 0, 0];
  const { format, recordings } = await openNamed(path, signal);
  for await (const recording of recordings) {
    blobs += await bringBlobs(recording, options, signal);
    const stored = await bringEvents(recording, options, signal);
    sessions.add(recording.session);
    events += stored.events;
    fresh += stored.fresh;
    quarantined += stored.quarantined;
  }
  return { format, sessions: [...sessions], events, fresh, quarantined, blobs };
}

async function bringEvents(
  { session, stream, info, events: read }: Recording,
  { ingest, project, labels }: BringInOptions,
  signal: AbortSignal,
): Promise<{ readonly events: number; readonly fresh: number; readonly quarantined: number }> {
  const ref = { project, session, stream };
  const labelled = { ...info, labels: [...info.labels, ...labels] };
  let [next, fresh, quarantined] = [1n, 0, 0];
  let batch: Uint8Array[] = [];
  let bytes = 0;
  const store = async (): Promise<void> => {
    const appended = await ingest.append(
      { ref, epoch: undefined, firstSeq: next, events: batch, info: labelled },
      signal,
    );
    next += BigInt(batch.length);
    fresh += appended.stored + appended.quarantined;
    quarantined += appended.problems.length;
    batch = [];
    bytes = 0;
  };
  for await (const { event } of read(1n, signal)) {
    if (batch.length > 0 && (batch.length >= BATCH_EVENTS || bytes + event.length > BATCH_BYTES)) await store();
    batch.push(event);
    bytes += event.length;
  }
  if (batch.length > 0) await store();
  // A session without an event is one all the same.
  if (next === 1n) await ingest.openStream(ref, labelled, signal);
  return { events: Number(next - 1n), fresh, quarantined };
}

/** Returns how many there are. */
async function bringBlobs(recording: Recording, options: BringInOptions, signal: AbortSignal): Promise<number> {
  let count = 0;
  for await (const blob of recording.blobs(signal)) {
    count += 1;
    await bringBlob(blob, recording.session, options, signal);
  }
  return count;
}

async function bringBlob(
  { id, size, mediaType, read }: RecordedBlob,
  session: string,
  { ingest, project }: BringInOptions,
  signal: AbortSignal,
): Promise<void> {
  const [missing] = await ingest.missingBlobs(project, [id], session, signal);
  if (missing === undefined) return;
  let offset = missing.received;
  for await (const data of read(offset, signal)) {
    await ingest.putBlob(project, { id, size, offset, data, mediaType }, signal);
    offset += data.length;
  }
}
