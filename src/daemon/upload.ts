import { create } from "@bufbuild/protobuf";
import { within } from "../core/clock.ts";
import { AppError } from "../core/errors.ts";
import { giveBack } from "../core/give-back.ts";
import type { Ingest } from "../core/session/ingest.ts";
import type { StreamRef } from "../core/store/store.ts";
import type { UploadRequest } from "../wire/gen/sluice/opaque/v1/opaque_pb.ts";
import {
  AckSchema,
  type BlobChunk,
  type BlobStatus,
  BlobStatusSchema,
  OpenedSchema,
  type QuarantinedEvent,
  type SealSession,
  type UploadResponse,
  UploadResponseSchema,
} from "../wire/gen/sluice/v1/ingest_pb.ts";
import type { Account } from "./budget.ts";
import type { CallWatch } from "./deadlines.ts";
import { infoOf, limitsOf, problemOf, sealCommandOf, sealedOf } from "./messages.ts";

export interface UploadOptions {
  readonly ingest: Ingest;
  readonly account: Account;
  readonly watch: CallWatch;
  /** Bytes a sender may have unacked now: its fair share of the memory budget. */
  readonly credit: () => number;
  readonly resolveProject: (requested: string) => string;
  /** For one store operation; past it the sender is told to try again. */
  readonly storeDeadlineMs: number;
  /** Ends the upload after a last ack; its reason is what the sender is told. */
  readonly signal: AbortSignal;
}

type Frame = UploadRequest["frame"];

/**
 * One upload: a reader that takes frames in as fast as credit allows and hands them to the stores
 * without waiting for one another, and a writer that says what has become durable whenever
 * something has. Acks say only the latest, so a collector that does not read them costs nothing.
 * The first failure ends the upload, after an ack for all that is durable.
 */
export async function* serveUpload(
  requests: AsyncIterable<UploadRequest>,
  options: UploadOptions,
): AsyncGenerator<UploadResponse> {
  const upload = new Upload(options);
  const frames = requests[Symbol.asyncIterator]();
  const stop = (): void => upload.fail(options.signal.reason);
  options.signal.addEventListener("abort", stop, { once: true });
  try {
    const first = await within(frames.next(), options.storeDeadlineMs, NOT_OPENED);
    if (first.done === true) return;
    yield await upload.open(first.value);
    // Never rejects; when the upload fails it may wait for a frame until the call is closed.
    void upload.read(frames);
    yield* upload.answers();
  } finally {
    options.signal.removeEventListener("abort", stop);
    upload.fail(new AppError("cancelled", "The upload has ended.", { reason: "CANCELLED" }));
  }
}

class Upload {
  readonly #options: UploadOptions;
  #ref: StreamRef = { project: "", session: "", stream: "" };
  #epoch = 0;
  #durable = 0n;
  /** The last seq handed to the store. */
  #sent = 0n;
  /** The last durable seq the sender was told. */
  #told = 0n;
  readonly #quarantined: QuarantinedEvent[] = [];
  readonly #blobs = new Map<string, BlobStatus>();
  readonly #due: UploadResponse[] = [];
  #inHand = 0;
  #readAll = false;
  #failure: unknown;
  readonly #waiting: (() => void)[] = [];

  constructor(options: UploadOptions) {
    this.#options = options;
  }

  async open({ frame }: UploadRequest): Promise<UploadResponse> {
    const { ingest, account, resolveProject, signal } = this.#options;
    const charge = account.claim();
    try {
      if (frame.case !== "open" || frame.value.stream === undefined) throw badFrame("The first frame must be Open.");
      const { project, session, stream } = frame.value.stream;
      this.#ref = { project: resolveProject(project), session, stream: stream === "" ? "main" : stream };
      const opened = await this.#timed(ingest.openStream(this.#ref, infoOf(frame.value.session), signal));
      this.#epoch = opened.epoch;
      this.#durable = this.#sent = this.#told = opened.durableSeq;
      const { durableSeq, sealed } = opened;
      const limits = limitsOf(ingest.limits);
      return answer({
        case: "opened",
        value: create(OpenedSchema, { durableSeq, sealed, creditBytes: this.#grant(), limits }),
      });
    } finally {
      account.settle(charge);
    }
  }

  /** The first failure is the one the sender is told. */
  fail(error: unknown): void {
    this.#failure ??= error ?? new AppError("cancelled", "The call was cancelled.", { reason: "CANCELLED" });
    this.#wake();
  }

  /** Takes frames in until they end or something fails. Never rejects. */
  async read(frames: AsyncIterator<UploadRequest>): Promise<void> {
    try {
      while (this.#failure === undefined) {
        const next = await frames.next();
        if (next.done === true) break;
        const charge = this.#options.account.claim();
        const { frame } = next.value;
        await this.#take(frame, () => {
          release(frame);
          this.#options.account.settle(charge);
        });
        // Ids of invalid events wait to be told: a sender that makes many and reads no ack is held back.
        await this.#until(() => this.#quarantined.length < MAX_UNTOLD || this.#failure !== undefined);
      }
    } catch (error) {
      this.fail(error);
    }
    this.#readAll = true;
    this.#wake();
  }

  /** Starts work on a frame; `settle` gives its memory back when the work is done, however it ends. */
  async #take(frame: Frame, settle: () => void): Promise<void> {
    if (this.#failure !== undefined) return settle();
    switch (frame.case) {
      case "events":
        this.#append(frame.value.firstSeq, frame.value.events, settle);
        return;
      case "blobChunk":
        this.#putBlob(frame.value, settle);
        return;
      case "seal":
        await this.#seal(frame.value).finally(settle);
        return;
      case "open":
      case undefined:
        settle();
        throw badFrame("Open comes once, first, and a frame is never empty.");
      default:
        frame satisfies never;
    }
  }

  #append(firstSeq: bigint, events: Uint8Array[], settle: () => void): void {
    const { ingest } = this.#options;
    const batch = { ref: this.#ref, epoch: this.#epoch, firstSeq, events, info: undefined };
    const last = firstSeq + BigInt(events.length) - 1n;
    if (last > this.#sent) this.#sent = last;
    // Without the call's signal: what the store has begun it ends, and until then its memory is held.
    const stored = ingest.append(batch, NEVER).finally(settle);
    this.#work(stored, (appended) => {
      this.#durable = appended.durableSeq;
      this.#quarantined.push(...appended.problems.map(problemOf));
    });
  }

  #putBlob(chunk: BlobChunk, settle: () => void): void {
    const { ingest } = this.#options;
    const { blobId, mediaType, data } = chunk;
    const write = { id: blobId, size: Number(chunk.size), offset: Number(chunk.offset), data, mediaType };
    const written = ingest.putBlob(this.#ref.project, write, NEVER).finally(settle);
    const tell = (status: { received: number; stored: boolean; error?: string }): void => {
      const { received, stored, error = "" } = status;
      this.#blobs.set(blobId, create(BlobStatusSchema, { blobId, received: BigInt(received), stored, error }));
    };
    this.#work(
      written.catch((error: unknown) => {
        const failure = AppError.from(error);
        // These are about the blob alone; what is about the store or the disk ends the upload.
        if (!BLOB_FAULTS.has(failure.reason)) throw failure;
        return { received: Number(failure.metadata.received ?? 0), stored: false, error: failure.message };
      }),
      tell,
    );
  }

  async #seal(seal: SealSession): Promise<void> {
    await this.#until(() => this.#inHand === 0 || this.#failure !== undefined);
    if (this.#failure !== undefined) return;
    const own = { stream: this.#ref.stream, lastSeq: this.#sent };
    const sealed = await this.#timed(this.#options.ingest.seal(sealCommandOf(this.#ref, seal, own), NEVER));
    this.#due.push(answer({ case: "sealed", value: sealedOf(sealed) }));
    this.#wake();
  }

  #work<T>(work: Promise<T>, done: (result: T) => void): void {
    this.#inHand += 1;
    this.#timed(work)
      .then(done)
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.#inHand -= 1;
        this.#wake();
      });
  }

  #timed<T>(work: Promise<T>): Promise<T> {
    return within(work, this.#options.storeDeadlineMs, STORE_SLOW);
  }

  /** What there is to tell, until all frames are in and all work is done, or the first failure. */
  async *answers(): AsyncGenerator<UploadResponse> {
    for (;;) {
      const next = this.#news() ? this.#ack() : this.#due.shift();
      if (next !== undefined) {
        this.#options.watch.answeringSince = performance.now();
        yield next;
        this.#options.watch.answeringSince = undefined;
        this.#wake();
      } else if (this.#inHand > 0) {
        await this.#until(() => this.#news() || this.#inHand === 0);
      } else if (this.#failure !== undefined) {
        throw this.#failure;
      } else if (this.#readAll) {
        return;
      } else {
        await this.#until(() => this.#news() || this.#due.length > 0 || this.#readAll || this.#failure !== undefined);
      }
    }
  }

  #news(): boolean {
    return this.#durable > this.#told || this.#quarantined.length > 0 || this.#blobs.size > 0;
  }

  #ack(): UploadResponse {
    const quarantined = this.#quarantined.splice(0);
    const blobs = [...this.#blobs.values()];
    this.#blobs.clear();
    this.#told = this.#durable;
    const value = { durableSeq: this.#durable, creditBytes: this.#grant(), quarantined, blobs };
    return answer({ case: "ack", value: create(AckSchema, value) });
  }

  #grant(): bigint {
    const credit = this.#options.credit();
    this.#options.account.credit = credit;
    return BigInt(credit);
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      await promise;
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Invalid events that wait to be told. */
const MAX_UNTOLD = 1_000;
const NEVER = new AbortController().signal;

/** Failures that are about one blob: the upload goes on without it. */
const BLOB_FAULTS: ReadonlySet<string> = new Set([
  "BLOB_OFFSET",
  "BLOB_MISMATCH",
  "BLOB_TOO_LARGE",
  "BLOB_SIZE",
  "BAD_CHUNK",
  "BAD_ID",
  "BAD_MEDIA_TYPE",
]);

const STORE_SLOW = new AppError(
  "unavailable",
  "The store did not answer in time. What was not acked may be sent again.",
  {
    reason: "STORE_SLOW",
    retryAfterMs: 1_000,
  },
);

/**
 * Gives the bytes of a frame back, which lie in one buffer. The layers that read the call hold on to
 * its last message until the next one comes: a thousand quiet streams would keep a thousand batches.
 */
function release(frame: Frame): void {
  if (frame.case === "blobChunk") giveBack(frame.value.data);
  if (frame.case !== "events") return;
  giveBack(frame.value.events[0]);
  frame.value.events.length = 0;
}

const NOT_OPENED = new AppError("deadline_exceeded", "The first frame, Open, did not come in time.", {
  reason: "NOT_OPENED",
});

function badFrame(message: string): AppError {
  return new AppError("invalid_argument", message, { reason: "BAD_FRAME" });
}

function answer(frame: UploadResponse["frame"]): UploadResponse {
  return create(UploadResponseSchema, { frame });
}
