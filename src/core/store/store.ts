import type { SessionState } from "../session/state.ts";
import type { ArtifactStore } from "./artifacts.ts";
import type { BackfillStore } from "./backfills.ts";
import type { CampaignStore } from "./campaigns.ts";
import type { ExportStore } from "./exports.ts";
import type { JobStore, NewJob } from "./jobs.ts";
import type { RetentionStore } from "./retention.ts";

/**
 * Where sessions, their jobs and what stages made of them live. Every method is one atomic step: it
 * happens whole or not at all, and when its promise resolves the step is on disk (fsynced). Failures
 * are AppErrors. Times are epoch milliseconds. A method that gets an aborted signal rejects; the step
 * may still have happened.
 */
export interface Store
  extends JobStore,
    ArtifactStore,
    CampaignStore,
    RetentionStore,
    ExportStore,
    BackfillStore,
    AsyncDisposable {
  /**
   * Creates the session and the stream if they are absent, and makes the caller the stream's only
   * writer: appends with an older epoch fail from here on. `info` is kept if the session has none.
   */
  openStream(ref: StreamRef, info: SessionInfo | undefined, signal: AbortSignal): Promise<OpenedStream>;

  /**
   * Stores a batch. Each event ends as one of stored, duplicate (the same bytes are already at that
   * seq) or quarantined (invalid: kept raw; it takes its seq). Creates the session and the stream
   * if they are absent.
   *
   * Refuses the batch as a whole, changing nothing: `out_of_range` OUT_OF_RANGE if it begins past
   * the next seq (metadata `expected_seq`), `conflict` CONFLICT if other bytes are at one of its
   * seqs (metadata `seq`), `aborted` FENCED if `epoch` is not the stream's, `failed_precondition`
   * SEALED if it holds a new event for a sealed session, `resource_exhausted` for a limit or a full
   * disk (DISK_FULL).
   */
  append(batch: Batch, signal: AbortSignal): Promise<Appended>;

  /**
   * Makes a session complete and immutable, and enqueues `jobs` in the same commit. Sealing a sealed
   * session with the same streams returns the seal there is and enqueues nothing. Fails with `not_found`, with `aborted` VERSION_MOVED if `expectedVersion` is
   * not the session's, with `failed_precondition` STREAMS_DIFFER (metadata `streams`) if the
   * streams or their ends are not the ones stored, or MISSING_BLOBS (metadata `blobs`, `count`) if
   * blobs are missing and `allowMissingBlobs` is false.
   */
  seal(command: SealCommand, signal: AbortSignal): Promise<Seal>;

  /** The watermark of a stream; `undefined` when there is no such stream. */
  readWatermark(ref: StreamRef, signal: AbortSignal): Promise<Watermark | undefined>;

  /**
   * Records that a blob's bytes are in the BlobStore. Idempotent: of all that record the same blob,
   * at once too, one is told `stored`. `expired`: it counted as removed, and does not any more; its
   * bytes may have gone meanwhile, so they have to be looked for again before it is recorded.
   */
  recordBlob(project: string, blob: NewBlob, signal: AbortSignal): Promise<RecordedAs>;
  /** Also of a blob that was removed. */
  readBlob(project: string, id: string, signal: AbortSignal): Promise<BlobRecord | undefined>;
  /**
   * Those of `ids` the project does not have, in the order given. One that was removed for its age is
   * missing too, but for a `session` that is sealed: that has had its use of it.
   */
  missingBlobs(
    project: string,
    ids: readonly string[],
    session: string | undefined,
    signal: AbortSignal,
  ): Promise<string[]>;

  readSession(project: string, session: string, signal: AbortSignal): Promise<Session | undefined>;
  /** Newest first, by (created, id); at most `limit`. The cursor is opaque and survives inserts. */
  listSessions(query: SessionQuery, signal: AbortSignal): Promise<SessionPage>;
  /**
   * A page of a session's events in (stream, seq) order, from after `after`, about `maxBytes`
   * long and never empty while there are more. Quarantined events are not among them.
   */
  readEvents(query: EventQuery, signal: AbortSignal): Promise<StoredEvent[]>;
  /** A session's quarantined events in (stream, seq) order, at most `limit`. */
  readQuarantined(project: string, session: string, limit: number, signal: AbortSignal): Promise<QuarantinedEvent[]>;

  createKey(key: KeyRecord, signal: AbortSignal): Promise<void>;
  readKey(id: string, signal: AbortSignal): Promise<KeyRecord | undefined>;
  /** Newest first. `project` undefined means all. */
  listKeys(project: string | undefined, signal: AbortSignal): Promise<KeyRecord[]>;
  /** Stores `next` and ends `id` at `endsAtMs`, together. Fails with `not_found`, or `failed_precondition` KEY_REVOKED. */
  rotateKey(id: string, next: KeyRecord, endsAtMs: number, signal: AbortSignal): Promise<void>;
  /** Fails with `not_found`. Revoking twice keeps the first time. */
  revokeKey(id: string, atMs: number, signal: AbortSignal): Promise<KeyRecord>;
  touchKey(id: string, atMs: number, signal: AbortSignal): Promise<void>;

  /** Resolves if the store answers and can be written. For health checks. */
  ping(signal: AbortSignal): Promise<void>;
}

export interface StreamRef {
  readonly project: string;
  readonly session: string;
  readonly stream: string;
}

export interface SessionInfo {
  readonly task: string;
  readonly collector: string;
  readonly startUrl: string;
  readonly userAgent: string;
  readonly labels: readonly Label[];
  readonly rawJson: string;
}

export interface Label {
  readonly name: string;
  readonly value: string;
}

export interface OpenedStream {
  readonly durableSeq: bigint;
  readonly epoch: number;
  readonly sealed: boolean;
}

export interface Batch {
  readonly ref: StreamRef;
  /** The epoch from openStream; undefined for a writer that did not open the stream. */
  readonly epoch: number | undefined;
  readonly firstSeq: bigint;
  /** Encoded sluice.v1.Event, one each, in order. */
  readonly events: readonly Uint8Array[];
  readonly info: SessionInfo | undefined;
}

export interface Appended {
  readonly durableSeq: bigint;
  readonly stored: number;
  readonly duplicate: number;
  /** Newly quarantined ones. */
  readonly quarantined: number;
  /** The invalid events of this batch, those quarantined earlier and sent again among them. */
  readonly problems: readonly Problem[];
}

/** What is wrong with the event at `seq`. `path` is empty for the event as a whole. */
export interface Problem {
  readonly seq: bigint;
  readonly path: string;
  readonly reason: string;
}

export interface SealCommand {
  readonly project: string;
  readonly session: string;
  readonly streams: readonly StreamEnd[];
  readonly allowMissingBlobs: boolean;
  /** The version of the session the caller saw; undefined does not check. */
  readonly expectedVersion: bigint | undefined;
  /** What the seal causes. */
  readonly jobs: readonly NewJob[];
}

export interface StreamEnd {
  readonly stream: string;
  readonly lastSeq: bigint;
}

export interface Seal {
  readonly version: bigint;
  readonly sealedAtMs: number;
  readonly missingBlobs: readonly string[];
}

export interface Watermark {
  readonly durableSeq: bigint;
  readonly sealed: boolean;
}

export type RecordedAs = "stored" | "duplicate" | "expired";

export interface NewBlob {
  /** sha256 of the bytes, lower-case hexadecimal. */
  readonly id: string;
  readonly size: number;
  readonly mediaType: string;
}

export interface BlobRecord extends NewBlob {
  /** When its bytes were removed because they were old. */
  readonly removedAtMs: number | undefined;
}

export interface Session {
  readonly project: string;
  readonly id: string;
  readonly info: SessionInfo | undefined;
  readonly version: bigint;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** undefined while it is open. */
  readonly seal: Seal | undefined;
  readonly streams: readonly StreamEnd[];
  readonly state: SessionState;
  readonly blobs: number;
  readonly missingBlobs: number;
}

export interface SessionQuery {
  readonly project: string;
  readonly limit: number;
  readonly cursor: string | undefined;
  readonly status: "open" | "sealed" | undefined;
  readonly sinceMs: number | undefined;
  readonly untilMs: number | undefined;
  readonly labels: readonly Label[];
  readonly collector: string | undefined;
}

export interface SessionPage {
  readonly sessions: readonly Session[];
  readonly nextCursor: string | undefined;
}

export interface EventQuery {
  readonly project: string;
  readonly session: string;
  /** Only this stream; undefined means all. */
  readonly stream: string | undefined;
  /** Only events at or after this seq, in each stream. */
  readonly fromSeq: bigint;
  /** Continue after this event. */
  readonly after: { readonly stream: string; readonly seq: bigint } | undefined;
  readonly maxBytes: number;
}

export interface StoredEvent {
  readonly stream: string;
  readonly seq: bigint;
  /** The bytes as they were sent. */
  readonly event: Uint8Array;
}

export interface QuarantinedEvent extends Problem {
  readonly stream: string;
  readonly event: Uint8Array;
  readonly atMs: number;
}

export type Scope = "ingest" | "read" | "process" | "admin";

export interface KeyRecord {
  readonly id: string;
  readonly project: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** sha256 of the secret, 32 bytes. */
  readonly hash: Uint8Array;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | undefined;
  readonly revokedAtMs: number | undefined;
  readonly lastUsedAtMs: number | undefined;
  readonly replacedBy: string | undefined;
}
