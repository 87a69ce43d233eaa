import { ClientError } from "./errors.ts";
import type { SourceEvent } from "./source.ts";
import type { Wake } from "./wake.ts";

export interface Batch {
  readonly firstSeq: bigint;
  readonly lastSeq: bigint;
  readonly events: readonly Uint8Array[];
  /** Upper bound of the encoded frame. */
  readonly bytes: number;
}

export interface BatchLimits {
  readonly events: number;
  /** Of a frame, unless one event alone is larger. */
  readonly bytes: number;
  /** Of one message the daemon accepts. */
  readonly messageBytes: number;
}

/** Tag and length of an event in its frame, and of the frame itself, at most. */
const EVENT_OVERHEAD = 6;
const FRAME_OVERHEAD = 32;

/** Reads ahead of the connection, two batches at most, and cuts batches. */
export class EventLane {
  readonly #limits: BatchLimits;
  readonly #wake: Wake;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #nextSeq: bigint;
  #ended = false;

  constructor(fromSeq: bigint, limits: BatchLimits, wake: Wake) {
    this.#nextSeq = fromSeq;
    this.#limits = limits;
    this.#wake = wake;
  }

  /** The seq after the last one taken. */
  get nextSeq(): bigint {
    return this.#nextSeq;
  }

  get empty(): boolean {
    return this.#pending.length === 0;
  }

  /** The source has ended and all of it was taken. */
  get done(): boolean {
    return this.#ended && this.#pending.length === 0;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** A batch as large as they get is waiting. */
  get full(): boolean {
    return this.#pending.length >= this.#limits.events || this.#pendingBytes >= this.#limits.bytes;
  }

  /**
   * Reads the source to its end. Fails with `invalid_argument` SOURCE_GAP, or EVENT_TOO_LARGE for an
   * event that fits no message.
   */
  async fill(source: AsyncIterable<SourceEvent>, signal: AbortSignal): Promise<void> {
    let expected = this.#nextSeq;
    for await (const { seq, event } of source) {
      if (seq !== expected) throw sourceGap(expected, seq);
      if (cost(event) + FRAME_OVERHEAD > this.#limits.messageBytes) throw tooLarge(seq, event, this.#limits);
      expected += 1n;
      this.#pending.push(event);
      this.#pendingBytes += cost(event);
      if (this.#pending.length === 1 || this.full) this.#wake.ring();
      for (let rung = this.#wake.rung; this.#crowded && !signal.aborted; rung = this.#wake.rung) await rung;
      if (signal.aborted) return;
    }
    this.#ended = true;
    this.#wake.ring();
  }

  /** The size of the batch `take` would give. */
  peekBytes(maxBytes: number): number {
    return this.#cut(maxBytes).bytes;
  }

  /** The next batch, of at most `maxBytes` unless its only event is larger. */
  take(maxBytes: number): Batch {
    const { count, bytes } = this.#cut(maxBytes);
    const events = this.#pending.splice(0, count);
    this.#pendingBytes -= bytes - FRAME_OVERHEAD;
    const firstSeq = this.#nextSeq;
    this.#nextSeq += BigInt(count);
    this.#wake.ring();
    return { firstSeq, lastSeq: this.#nextSeq - 1n, events, bytes };
  }

  get #crowded(): boolean {
    return this.#pending.length >= 2 * this.#limits.events || this.#pendingBytes >= 2 * this.#limits.bytes;
  }

  #cut(maxBytes: number): { count: number; bytes: number } {
    const limit = Math.min(maxBytes, this.#limits.bytes, this.#limits.messageBytes);
    let count = 0;
    let bytes = FRAME_OVERHEAD;
    for (const event of this.#pending) {
      if (count > 0 && (count === this.#limits.events || bytes + cost(event) > limit)) break;
      bytes += cost(event);
      count += 1;
    }
    return { count, bytes };
  }
}

function cost(event: Uint8Array): number {
  return event.length + EVENT_OVERHEAD;
}

/** The recording has a hole. */
export function sourceGap(expected: bigint, found: bigint): ClientError {
  return new ClientError("invalid_argument", `The recording goes on at event ${found} where ${expected} should be.`, {
    reason: "SOURCE_GAP",
    metadata: { expected_seq: String(expected), seq: String(found) },
  });
}

function tooLarge(seq: bigint, event: Uint8Array, limits: BatchLimits): ClientError {
  return new ClientError(
    "invalid_argument",
    `Event ${seq} has ${event.length} bytes; the daemon takes messages of at most ${limits.messageBytes}.`,
    { reason: "EVENT_TOO_LARGE", metadata: { seq: String(seq) } },
  );
}
