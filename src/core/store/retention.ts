/**
 * Removing recorded screenshots that are old, of sessions that have been redacted. Times are epoch
 * milliseconds.
 */
export interface RetentionStore {
  /** Every project there is, by name. */
  listProjects(signal: AbortSignal): Promise<string[]>;
  /**
   * Sealed sessions that still have their recorded blobs, sealed by then and fresh under one of
   * `signatures` (see PipelineState), longest sealed first; at most `limit`.
   */
  findExpirable(query: ExpirableQuery, signal: AbortSignal): Promise<Expirable[]>;
  /**
   * Counts the blobs of these sessions as removed: those that no session names which is open, was
   * sealed later or is not fresh. Sessions that are not as the query said any more are left alone.
   */
  expireOriginals(command: ExpireCommand, signal: AbortSignal): Promise<Expired>;
  /** Blobs that count as removed and whose bytes may be there still, longest removed first; at most `limit`. */
  listUnpurged(limit: number, signal: AbortSignal): Promise<BlobName[]>;
  /** The bytes of these are gone. */
  markPurged(blobs: readonly BlobName[], signal: AbortSignal): Promise<void>;
}

export interface ExpirableQuery {
  readonly project: string;
  readonly sealedByMs: number;
  readonly signatures: readonly string[];
  /** The last of the page before. */
  readonly after: Expirable | undefined;
  readonly limit: number;
}

export interface Expirable {
  readonly session: string;
  readonly sealedAtMs: number;
  /** The store's own number of it, which makes the order total. */
  readonly key: number;
}

export interface ExpireCommand {
  readonly project: string;
  readonly sessions: readonly string[];
  readonly sealedByMs: number;
  readonly signatures: readonly string[];
  readonly nowMs: number;
}

export interface Expired {
  readonly sessions: number;
  readonly blobs: number;
}

export interface BlobName {
  readonly project: string;
  readonly id: string;
}
