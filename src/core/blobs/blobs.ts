/**
 * Where the bytes of screenshots live, named by their sha256 within a project. Projects never
 * share bytes. Failures are AppErrors.
 */
export interface BlobStore extends AsyncDisposable {
  /**
   * Writes one chunk. `offset` must be what has been received so far (else `out_of_range`
   * BLOB_OFFSET, metadata `received`; nothing is written). When the last byte is in, the bytes are
   * hashed, compared with the id, fsynced and published by rename: `stored` is then true and the
   * blob is on disk for good. A blob that does not hash to its id is removed, and the call fails
   * with `data_loss` BLOB_MISMATCH: send it again from 0. A blob that is there already answers
   * `stored` without writing. A full disk is `resource_exhausted` DISK_FULL; what was received
   * before stays.
   */
  write(project: string, chunk: BlobWrite, signal: AbortSignal): Promise<BlobProgress>;

  /**
   * Writes a whole blob and returns its id: when this resolves it is on disk for good. Any number of
   * processes may do so at once, with the same blob too. Idempotent. Fails with `invalid_argument`
   * BLOB_TOO_LARGE, and with DISK_FULL as `write` does.
   */
  put(project: string, data: Uint8Array, signal: AbortSignal): Promise<string>;

  /**
   * Removes a blob for good, if `sure` then says so: it is asked when nobody writes the blob, and
   * nobody does until it is gone. What is not there is removed already.
   */
  remove(project: string, id: string, sure: () => Promise<boolean>, signal: AbortSignal): Promise<void>;

  /** How much of a blob has arrived: 0 for one never seen. */
  progress(project: string, id: string, signal: AbortSignal): Promise<BlobProgress>;

  /**
   * The bytes, in chunks of at most 256 KiB, verified against the id at the end (`data_loss`
   * BLOB_CORRUPT). Fails with `not_found` BLOB_NOT_FOUND.
   */
  read(project: string, id: string, signal: AbortSignal): AsyncIterable<Uint8Array>;

  /**
   * Removes what has arrived of blobs that got nothing since `beforeMs` (epoch milliseconds), and
   * returns how many; never what is arriving. Their senders begin again at 0.
   */
  sweep(beforeMs: number, signal: AbortSignal): Promise<number>;

  /** Resolves if blobs can be written. For health checks. */
  ping(signal: AbortSignal): Promise<void>;
}

export interface BlobWrite {
  /** sha256 of the whole blob, lower-case hexadecimal. */
  readonly id: string;
  /** Bytes of the whole blob. */
  readonly size: number;
  readonly offset: number;
  readonly data: Uint8Array;
}

export interface BlobProgress {
  /** Bytes received. */
  readonly received: number;
  readonly stored: boolean;
}
