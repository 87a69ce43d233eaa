import type { BlobStatus } from "../wire/gen/sluice/v1/ingest_pb.ts";
import { Backoff, type BackoffOptions } from "./backoff.ts";
import type { ClientClock } from "./clock.ts";
import { ClientError } from "./errors.ts";
import type { SourceBlob, UploadObserver } from "./source.ts";
import type { Wake } from "./wake.ts";
import type { Window } from "./window.ts";

export interface BlobLaneOptions {
  readonly clock: ClientClock;
  readonly random: () => number;
  /** Bytes of one blob the daemon accepts. */
  readonly blobBytes: number;
}

export interface Chunk {
  readonly blob: SourceBlob;
  readonly offset: number;
  readonly data: Uint8Array;
  /** Upper bound of the encoded frame. */
  readonly bytes: number;
}

/** Asks the daemon which of these it lacks, and how much of each it has. */
export type FindMissing = (ids: readonly string[], signal: AbortSignal) => Promise<readonly BlobStatus[]>;

const IN_FLIGHT = 4;
const ASK_AT_ONCE = 1000;
const QUEUED = 1000;
const CHUNK_OVERHEAD = 256;
/** Sent again this often without a byte of progress, a blob is given up for this connection. */
const ATTEMPTS = 5;
const REFUSED_BACKOFF: BackoffOptions = { baseMs: 250, maxMs: 10_000 };

/**
 * The blobs of one connection. Each is asked for (MissingBlobs), then queued, then active: read
 * ahead by one piece and sent chunk by chunk from where the daemon is. One the daemon refuses rests
 * for a moment, so that answers to chunks already under way are over, and begins again from what
 * the daemon then has.
 */
export class BlobLane {
  readonly #options: BlobLaneOptions;
  readonly #window: Window;
  readonly #wake: Wake;
  readonly #observer: UploadObserver;
  readonly #findMissing: FindMissing;
  readonly #fail: (error: unknown) => void;
  readonly #asking = new Map<string, SourceBlob>();
  readonly #queue: Start[] = [];
  readonly #active = new Map<string, Active>();
  /** Every blob from when the source names it until it is stored or given up. */
  readonly #inHand = new Set<string>();
  readonly #trouble = new Map<string, Trouble>();
  #ended = false;
  #turn = 0;
  #refused: ClientError | undefined;

  constructor(
    options: BlobLaneOptions,
    window: Window,
    wake: Wake,
    observer: UploadObserver,
    findMissing: FindMissing,
    fail: (error: unknown) => void,
  ) {
    this.#options = options;
    this.#window = window;
    this.#wake = wake;
    this.#observer = observer;
    this.#findMissing = findMissing;
    this.#fail = fail;
  }

  /** Every blob of the source is stored, or was refused too often (see `refused`). */
  get done(): boolean {
    return this.#ended && this.#inHand.size === 0;
  }

  /** Why a blob could not be stored, if one could not. */
  get refused(): ClientError | undefined {
    return this.#refused;
  }

  /** A chunk is read and waits to be sent. */
  get waiting(): boolean {
    for (const active of this.#active.values()) if (active.ready !== undefined) return true;
    return false;
  }

  /** Reads the source to its end and asks the daemon what it lacks. */
  async fill(source: AsyncIterable<SourceBlob>, signal: AbortSignal): Promise<void> {
    // Both are awaited from the start: either may be the first to fail.
    await Promise.all([this.#ask(signal), this.#enlist(source, signal)]);
  }

  async #enlist(source: AsyncIterable<SourceBlob>, signal: AbortSignal): Promise<void> {
    for await (const blob of source) {
      if (this.#inHand.has(blob.id)) continue;
      if (blob.size < 1 || blob.size > this.#options.blobBytes) {
        this.#refused ??= wrongSize(blob, this.#options.blobBytes);
        continue;
      }
      this.#inHand.add(blob.id);
      this.#asking.set(blob.id, blob);
      this.#wake.ring();
      for (let rung = this.#wake.rung; this.#crowded && !signal.aborted; rung = this.#wake.rung) await rung;
      if (signal.aborted) break;
    }
    this.#ended = true;
    this.#wake.ring();
  }

  /** The next chunk of at most `maxBytes` as a frame, round robin over the active blobs. */
  take(maxBytes: number): Chunk | undefined {
    const ready = [...this.#active.values()].filter((active) => active.ready !== undefined);
    const active = ready[this.#turn++ % Math.max(1, ready.length)];
    if (active?.ready === undefined) return undefined;
    const { blob, ready: piece, offset } = active;
    const data = piece.subarray(0, Math.max(1, maxBytes - CHUNK_OVERHEAD));
    active.offset += data.length;
    active.ready = data.length === piece.length ? undefined : piece.subarray(data.length);
    if (active.ready === undefined) this.#wake.ring();
    return { blob, offset, data, bytes: data.length + CHUNK_OVERHEAD };
  }

  /** What the daemon says of a blob. */
  moved(status: BlobStatus, signal: AbortSignal): void {
    const active = this.#active.get(status.blobId);
    if (active === undefined) return;
    if (status.stored) {
      this.#window.releaseBlob(status.blobId);
      this.#stop(active);
      this.#inHand.delete(status.blobId);
      this.#observer.blobStored(status.blobId, "sent");
    } else if (status.error === "") {
      this.#window.ackBlob(status.blobId, status.received);
    } else {
      this.#stop(active);
      this.#rest(active.blob, status, signal);
    }
    this.#wake.ring();
  }

  #stop(active: Active): void {
    active.reading.abort();
    this.#active.delete(active.blob.id);
    this.#startQueued();
  }

  #rest(blob: SourceBlob, status: BlobStatus, signal: AbortSignal): void {
    const trouble = this.#troubleOf(blob.id, Number(status.received));
    if (trouble.backoff.attempt >= ATTEMPTS) {
      this.#window.releaseBlob(blob.id);
      this.#inHand.delete(blob.id);
      this.#refused = refusal(blob, status.error);
      return;
    }
    void this.#askAgain(blob, trouble, signal).catch(this.#fail);
  }

  async #askAgain(blob: SourceBlob, trouble: Trouble, signal: AbortSignal): Promise<void> {
    await this.#options.clock.sleep(trouble.backoff.next(REFUSED_BACKOFF.baseMs), signal);
    this.#window.releaseBlob(blob.id);
    this.#asking.set(blob.id, blob);
    this.#wake.ring();
  }

  #troubleOf(id: string, received: number): Trouble {
    const known = this.#trouble.get(id);
    if (known !== undefined && received <= known.received) return known;
    const fresh = { received, backoff: new Backoff(REFUSED_BACKOFF, this.#options.random) };
    this.#trouble.set(id, fresh);
    return fresh;
  }

  async #ask(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const rung = this.#wake.rung;
      if (this.#asking.size > 0 && this.#queue.length < QUEUED) {
        await this.#askOnce([...this.#asking.keys()].slice(0, ASK_AT_ONCE), signal);
      } else if (this.done) return;
      else await rung;
    }
  }

  async #askOnce(ids: readonly string[], signal: AbortSignal): Promise<void> {
    const missing = new Map((await this.#findMissing(ids, signal)).map((status) => [status.blobId, status]));
    for (const id of ids) {
      const blob = this.#asking.get(id);
      if (blob === undefined) continue;
      this.#asking.delete(id);
      const status = missing.get(id);
      if (status === undefined) {
        this.#inHand.delete(id);
        this.#observer.blobStored(id, "known");
      } else this.#queue.push({ blob, received: Math.min(Number(status.received), blob.size) });
    }
    this.#startQueued();
    this.#wake.ring();
  }

  #startQueued(): void {
    while (this.#active.size < IN_FLIGHT) {
      const start = this.#queue.shift();
      if (start === undefined) return;
      const active: Active = {
        blob: start.blob,
        offset: start.received,
        ready: undefined,
        reading: new AbortController(),
      };
      this.#active.set(start.blob.id, active);
      void this.#read(active).catch((error: unknown) => {
        if (!active.reading.signal.aborted) this.#fail(error);
      });
    }
  }

  /** Keeps one piece of the blob ready. Ends when the blob does, or when `reading` aborts. */
  async #read(active: Active): Promise<void> {
    const { blob, reading } = active;
    let at = active.offset;
    // All of it arrived and nothing came of it: its last byte sent again makes the daemon answer.
    if (at === blob.size) at = active.offset = blob.size - 1;
    for await (const piece of blob.read(at, reading.signal)) {
      if (reading.signal.aborted) return;
      at += piece.length;
      if (at > blob.size) break;
      if (piece.length > 0) await this.#offer(active, piece);
      if (reading.signal.aborted) return;
    }
    if (at !== blob.size) throw sizeDiffers(blob);
  }

  async #offer(active: Active, piece: Uint8Array): Promise<void> {
    active.ready = piece;
    this.#wake.ring();
    for (let rung = this.#wake.rung; active.ready !== undefined; rung = this.#wake.rung) {
      if (active.reading.signal.aborted) return;
      await rung;
    }
  }

  /** Stops every reader. */
  close(): void {
    for (const active of this.#active.values()) active.reading.abort();
    this.#wake.ring();
  }

  get #crowded(): boolean {
    return this.#inHand.size >= QUEUED + ASK_AT_ONCE;
  }
}

interface Start {
  readonly blob: SourceBlob;
  readonly received: number;
}

interface Active {
  readonly blob: SourceBlob;
  /** Of the next byte to send. */
  offset: number;
  /** Bytes read and not sent. */
  ready: Uint8Array | undefined;
  readonly reading: AbortController;
}

interface Trouble {
  readonly received: number;
  readonly backoff: Backoff;
}

function wrongSize(blob: SourceBlob, limit: number): ClientError {
  return new ClientError(
    "invalid_argument",
    `Blob ${blob.id} has ${blob.size} bytes; the daemon takes from 1 to ${limit}.`,
    { reason: blob.size < 1 ? "BLOB_EMPTY" : "BLOB_TOO_LARGE", metadata: { blob: blob.id } },
  );
}

function refusal(blob: SourceBlob, why: string): ClientError {
  return new ClientError(
    "data_loss",
    `The daemon refused blob ${blob.id} ${ATTEMPTS} times: ${why}. Check that the file still holds the bytes it is named after.`,
    { reason: "BLOB_REFUSED", metadata: { blob: blob.id } },
  );
}

function sizeDiffers(blob: SourceBlob): ClientError {
  return new ClientError("data_loss", `Blob ${blob.id} should have ${blob.size} bytes and does not.`, {
    reason: "BLOB_SIZE",
    metadata: { blob: blob.id },
  });
}
