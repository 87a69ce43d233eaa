import { setTimeout as wait } from "node:timers/promises";
import type { ClientError } from "../../src/client/errors.ts";
import { type ResumeObserver, uploadResuming } from "../../src/client/resume.ts";
import type { SourceBlob, SourceEvent, UploadObserver } from "../../src/client/source.ts";
import { createLink } from "../../src/client/transport.ts";
import { unlessAborted, Wake } from "../../src/client/wake.ts";
import type { Journal } from "./journal.ts";
import { blobsUpTo, type Source, sha256 } from "./source.ts";

export interface SendersOptions {
  readonly url: string;
  readonly source: Source;
  readonly streams: number;
  readonly journal: Journal;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** The longest pause between events; 30 ms by default, 0 sends as fast as it goes. */
  readonly pauseMs?: number;
  /** Events alone, though they name blobs. */
  readonly withoutBlobs?: boolean;
  /** A connection broke or was refused. */
  readonly onWaiting?: (error: ClientError) => void;
}

/**
 * Streams that send without end, a few events at a time and not quite regularly, through whatever
 * happens to the daemon, and write down what it acked.
 */
export class Senders {
  readonly #options: SendersOptions;
  readonly #running: Promise<void>[];
  /** The last seq each stream has come to. */
  readonly #ends: number[];
  readonly #moved = new Wake();
  readonly #progressed = new Wake();
  /** The numbers of the blobs under way, by id. */
  readonly #sent = new Map<string, number>();
  /** By stream: numbers of the blobs acked. */
  readonly #stored: readonly Set<number>[];
  #stopping = false;
  acked = 0;
  blobsAcked = 0;
  /** Acked, and then asked for again: a collector that had deleted them could not have sent them. */
  forgotten = 0;

  constructor(options: SendersOptions) {
    this.#options = options;
    this.#ends = Array.from({ length: options.streams }, () => 0);
    this.#stored = this.#ends.map(() => new Set());
    this.#running = this.#ends.map((_, stream) => this.#run(stream));
  }

  /** Events of all streams so far, acked or not. */
  get given(): number {
    return this.#ends.reduce((sum, end) => sum + end, 0);
  }

  /** Resolves when the next thing is acked. */
  get progress(): Promise<void> {
    return this.#progressed.rung;
  }

  /** Rejects when a stream fails. */
  get failed(): Promise<void> {
    return Promise.all(this.#running).then(() => undefined);
  }

  /** Lets every stream end where it is; resolves with the last seq of each when all of it is acked. */
  async stop(): Promise<number[]> {
    this.#stopping = true;
    this.#moved.ring();
    await Promise.all(this.#running);
    return this.#ends;
  }

  async #run(stream: number): Promise<void> {
    const { url, source } = this.#options;
    using link = createLink({ url });
    const from = {
      ref: source.name(stream),
      info: { task: "to be killed", collector: "torture/1" },
      events: (fromSeq: bigint, signal: AbortSignal) => this.#events(stream, Number(fromSeq), signal),
      blobs: (signal: AbortSignal) => this.#blobs(stream, signal),
      seal: () => undefined,
    };
    const patience = { backoff: { baseMs: 5, maxMs: 50 }, giveUpAfterMs: 60_000 };
    await uploadResuming(link, from, this.#observer(stream), patience, new AbortController().signal);
  }

  async *#events(stream: number, fromSeq: number, signal: AbortSignal): AsyncGenerator<SourceEvent> {
    const { source, random, pauseMs = 30 } = this.#options;
    for (let seq = fromSeq; !signal.aborted; seq++) {
      const known = this.#ends[stream] ?? 0;
      if (seq > known) {
        if (pauseMs > 0 && random() < 0.3) {
          await wait(random() * pauseMs, undefined, { signal }).catch(() => undefined);
        }
        if (this.#stopping) return;
        this.#ends[stream] = seq;
        this.#moved.ring();
      }
      yield { seq: BigInt(seq), event: source.event(stream, seq) };
    }
  }

  async *#blobs(stream: number, signal: AbortSignal): AsyncGenerator<SourceBlob> {
    if (this.#options.withoutBlobs === true) return;
    for (let number = 0; !signal.aborted; number++) {
      for (let moved = this.#moved.rung; number >= blobsUpTo(this.#ends[stream] ?? 0); moved = this.#moved.rung) {
        if (this.#stopping || signal.aborted) return;
        await unlessAborted(moved, signal).catch(() => undefined);
      }
      if (this.#stored[stream]?.has(number) === true) continue;
      const blob = this.#options.source.blob(stream, number);
      this.#sent.set(blob.id, number);
      yield blob;
    }
  }

  #observer(stream: number): UploadObserver & ResumeObserver {
    const { journal, source, onWaiting } = this.#options;
    let acked = 0;
    const ack = (durableSeq: bigint): void => {
      for (; acked < durableSeq; this.acked++) {
        acked += 1;
        this.#progressed.ring();
        journal.event(stream, acked, sha256(source.event(stream, acked)));
      }
    };
    return {
      connecting: () => undefined,
      waiting: (error) => onWaiting?.(error),
      opened: ({ durableSeq }) => {
        const forgotten = Math.max(0, acked - Number(durableSeq));
        this.forgotten += forgotten;
        this.acked -= forgotten;
        acked -= forgotten;
        ack(durableSeq);
      },
      sent: () => undefined,
      acked: ack,
      quarantined: (events) => {
        throw new Error(`stream ${stream}: ${events.length} events were quarantined, the first at ${events[0]?.seq}`);
      },
      blobStored: (id) => {
        journal.blob(id);
        this.blobsAcked += 1;
        this.#progressed.ring();
        this.#stored[stream]?.add(this.#sent.get(id) ?? -1);
        this.#sent.delete(id);
      },
      sealed: () => undefined,
    };
  }
}
