import type { BlobProgress, BlobStore, BlobWrite } from "../blobs/blobs.ts";
import { AppError } from "../errors.ts";
import type { Limits } from "../limits.ts";
import type { Metrics } from "../metrics.ts";
import { STAGE_NAMES } from "../pipeline/stage.ts";
import type {
  Appended,
  Batch,
  OpenedStream,
  Seal,
  SealCommand,
  SessionInfo,
  Store,
  StreamRef,
  Watermark,
} from "../store/store.ts";
import { BLOB_ID } from "./event-check.ts";

export interface IngestOptions {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly limits: Limits;
  readonly metrics: Metrics;
  /** Called when a session has been sealed, and what its seal causes is in the ledger. */
  readonly onSealed: () => void;
}

/** A chunk of a blob with what the store keeps of the whole. */
export interface BlobChunk extends BlobWrite {
  readonly mediaType: string;
}

/**
 * The one way in. It checks what callers name, counts what becomes of every event and blob, and
 * leaves the rest to the two stores. Whatever it resolves is on disk.
 */
export class Ingest {
  readonly #store: Store;
  readonly #blobs: BlobStore;
  readonly #limits: Limits;
  readonly #metrics: Metrics;
  readonly #onSealed: () => void;

  constructor(options: IngestOptions) {
    this.#store = options.store;
    this.#blobs = options.blobs;
    this.#limits = options.limits;
    this.#metrics = options.metrics;
    this.#onSealed = options.onSealed;
  }

  get limits(): Limits {
    return this.#limits;
  }

  async openStream(ref: StreamRef, info: SessionInfo | undefined, signal: AbortSignal): Promise<OpenedStream> {
    return await this.#store.openStream(checkedRef(ref), checkedInfo(info), signal);
  }

  /** See Store.append. Each event received is counted once more, as what became of it. */
  async append(batch: Batch, signal: AbortSignal): Promise<Appended> {
    const received = batch.events.length;
    this.#metrics.eventsReceived(received);
    const begun = performance.now();
    try {
      if (batch.firstSeq < 1n || batch.firstSeq > MAX_SEQ) {
        throw new AppError("invalid_argument", "first_seq must be from 1 to 9007199254740991.", { reason: "BAD_SEQ" });
      }
      const appended = await this.#store.append(
        { ...batch, ref: checkedRef(batch.ref), info: checkedInfo(batch.info) },
        signal,
      );
      const { stored, duplicate, quarantined } = appended;
      this.#metrics.eventsSettled({ stored, duplicate, quarantined });
      this.#metrics.appended((performance.now() - begun) / 1000);
      return appended;
    } catch (error) {
      this.#metrics.eventsSettled({ refused: received });
      throw error;
    }
  }

  /** Writes a chunk; when it was the last one the blob is whole, verified, on disk and recorded. */
  async putBlob(project: string, chunk: BlobChunk, signal: AbortSignal): Promise<BlobProgress> {
    this.#metrics.blobBytesReceived(chunk.data.length);
    try {
      this.#checkChunk(chunk);
      for (;;) {
        const progress = await this.#blobs.write(project, chunk, signal);
        if (!progress.stored) return progress;
        const { id, size, mediaType } = chunk;
        // The store decides: two sessions may have sent the last chunk at once.
        const recorded = await this.#store.recordBlob(project, { id, size, mediaType }, signal);
        if (recorded === "expired") continue;
        this.#metrics.blobSettled(recorded);
        return progress;
      }
    } catch (error) {
      this.#metrics.blobSettled("refused");
      throw error;
    }
  }

  #checkChunk(chunk: BlobChunk): void {
    checkBlobId(chunk.id);
    if (chunk.size > this.#limits.blobBytes) {
      throw new AppError(
        "resource_exhausted",
        `The blob has ${chunk.size} bytes; the limit is ${this.#limits.blobBytes}.`,
        { reason: "BLOB_TOO_LARGE" },
      );
    }
    if (
      chunk.size < 1 ||
      chunk.offset < 0 ||
      chunk.offset + chunk.data.length > chunk.size ||
      chunk.data.length === 0
    ) {
      throw new AppError("invalid_argument", "The chunk is empty or reaches past the blob's size.", {
        reason: "BAD_CHUNK",
      });
    }
    if (!MEDIA_TYPE.test(chunk.mediaType)) {
      throw new AppError("invalid_argument", "media_type must be a media type such as image/png.", {
        reason: "BAD_MEDIA_TYPE",
      });
    }
  }

  /** How much of each blob the project does not have has arrived. `session` is whose they are, if that is known. */
  async missingBlobs(
    project: string,
    ids: readonly string[],
    session: string | undefined,
    signal: AbortSignal,
  ): Promise<(BlobProgress & { readonly id: string })[]> {
    for (const id of ids) checkBlobId(id);
    const missing = await this.#store.missingBlobs(project, ids, session, signal);
    return await Promise.all(
      missing.map(async (id) => ({ id, ...(await this.#blobs.progress(project, id, signal)), stored: false })),
    );
  }

  /** See Store.seal. The first stage of the pipeline is enqueued with it. */
  async seal(command: Omit<SealCommand, "jobs">, signal: AbortSignal): Promise<Seal> {
    const { project, session } = command;
    checkId("session", session);
    const jobs = [{ kind: FIRST_STAGE, project, session, priority: LIVE_PRIORITY }];
    const seal = await this.#store.seal({ ...command, jobs }, signal);
    this.#metrics.sessionSealed();
    this.#onSealed();
    return seal;
  }

  async watermark(ref: StreamRef, signal: AbortSignal): Promise<Watermark> {
    return (await this.#store.readWatermark(checkedRef(ref), signal)) ?? { durableSeq: 0n, sealed: false };
  }
}

const [FIRST_STAGE] = STAGE_NAMES;
/** What comes in goes before what is run again. */
const LIVE_PRIORITY = 3;
const MAX_SEQ = BigInt(Number.MAX_SAFE_INTEGER);
const ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
const MEDIA_TYPE = /^[a-z0-9!#$&^_.+-]{1,64}\/[a-z0-9!#$&^_.+-]{1,64}$/i;
const MAX_LABELS = 64;
const MAX_INFO_BYTES = 256 * 1024;

/** Fails with `invalid_argument` BAD_ID. */
export function checkId(what: string, id: string): void {
  if (ID.test(id)) return;
  throw new AppError(
    "invalid_argument",
    `The ${what} id must be 1 to 128 of A-Z a-z 0-9 . _ : - and begin with a letter or digit.`,
    { reason: "BAD_ID", metadata: { field: what } },
  );
}

/** Fails with `invalid_argument` BAD_ID. */
export function checkBlobId(id: string): void {
  if (BLOB_ID.test(id)) return;
  throw new AppError("invalid_argument", "A blob id is the sha256 of its bytes in 64 lower-case hexadecimal digits.", {
    reason: "BAD_ID",
    metadata: { field: "blob_id" },
  });
}

function checkedRef(ref: StreamRef): StreamRef {
  const stream = ref.stream === "" ? "main" : ref.stream;
  checkId("session", ref.session);
  checkId("stream", stream);
  return { project: ref.project, session: ref.session, stream };
}

function checkedInfo(info: SessionInfo | undefined): SessionInfo | undefined {
  if (info === undefined) return undefined;
  if (info.labels.length > MAX_LABELS || JSON.stringify(info).length > MAX_INFO_BYTES) {
    throw new AppError(
      "invalid_argument",
      `A session has at most ${MAX_LABELS} labels and ${MAX_INFO_BYTES / 1024} KiB of description.`,
      { reason: "BAD_SESSION_INFO" },
    );
  }
  return info;
}
