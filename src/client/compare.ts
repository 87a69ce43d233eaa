import { IngestService } from "../wire/gen/sluice/v1/ingest_pb.ts";
import { opaqueAppend } from "../wire/opaque.ts";
import { Backoff, DEFAULT_BACKOFF } from "./backoff.ts";
import { type ClientClock, systemClock } from "./clock.ts";
import { ClientError } from "./errors.ts";
import { sourceGap } from "./event-lane.ts";
import type { ResumeOptions } from "./resume.ts";
import type { SourceEvent, StreamName } from "./source.ts";
import type { Link } from "./transport.ts";

export interface ComparedRecording {
  readonly ref: StreamName;
  events(fromSeq: bigint, signal: AbortSignal): AsyncIterable<SourceEvent>;
}

export interface CompareObserver {
  /** The daemon holds so many more events with these very bytes. */
  compared(events: number): void;
  /** A call failed; the next try comes after `waitMs`. */
  waiting(error: ClientError, waitMs: number): void;
}

const BATCH_EVENTS = 200;
const BATCH_BYTES = 256 * 1024;
const CALL_TIMEOUT_MS = 30_000;
/** The daemon's limits are smaller than a batch. */
const TOO_LARGE: ReadonlySet<string> = new Set(["BATCH_TOO_LARGE", "MESSAGE_TOO_LARGE"]);

/**
 * Sends again, from the first on, every event the daemon holds of the stream, so that it compares
 * them: one with the same bytes is a duplicate and changes nothing. Fails with `conflict` CONFLICT,
 * metadata `seq`, where other bytes are stored, and else as `uploadRecording` does. A recording with
 * fewer events than the daemon holds is compared to its end.
 */
export async function compareStored(
  link: Link,
  recording: ComparedRecording,
  observer: CompareObserver,
  options: ResumeOptions,
  signal: AbortSignal,
): Promise<void> {
  const { ref } = recording;
  const stream = { project: ref.project ?? "", session: ref.session, stream: ref.stream ?? "" };
  const calls = new PatientCalls(observer, options, signal);
  const send = async (firstSeq: bigint, events: readonly Uint8Array[]): Promise<void> => {
    const request = { stream, events: { firstSeq, events: [...events] } };
    try {
      await calls.make(() => link.transport.unary(opaqueAppend, signal, CALL_TIMEOUT_MS, undefined, request));
      observer.compared(events.length);
    } catch (error) {
      if (!(error instanceof ClientError && TOO_LARGE.has(error.reason) && events.length > 1)) throw error;
      const half = events.length >> 1;
      await send(firstSeq, events.slice(0, half));
      await send(firstSeq + BigInt(half), events.slice(half));
    }
  };
  const { message } = await calls.make(() =>
    link.transport.unary(IngestService.method.getWatermark, signal, CALL_TIMEOUT_MS, undefined, { stream }),
  );
  for await (const batch of batches(recording, message.durableSeq, signal)) await send(batch.firstSeq, batch.events);
}

interface Batch {
  readonly firstSeq: bigint;
  readonly events: readonly Uint8Array[];
}

/** The events up to `lastSeq`. */
async function* batches(recording: ComparedRecording, lastSeq: bigint, signal: AbortSignal): AsyncGenerator<Batch> {
  if (lastSeq === 0n) return;
  let firstSeq = 1n;
  let events: Uint8Array[] = [];
  let bytes = 0;
  for await (const { seq, event } of recording.events(1n, signal)) {
    const expected = firstSeq + BigInt(events.length);
    if (seq !== expected) throw sourceGap(expected, seq);
    if (events.length === BATCH_EVENTS || (events.length > 0 && bytes + event.length > BATCH_BYTES)) {
      yield { firstSeq, events };
      firstSeq = seq;
      events = [];
      bytes = 0;
    }
    events.push(event);
    bytes += event.length;
    if (seq === lastSeq) break;
  }
  if (events.length > 0) yield { firstSeq, events };
}

/** Makes a call again after what can pass, with backoff, until there is no progress for too long. */
class PatientCalls {
  readonly #observer: CompareObserver;
  readonly #options: ResumeOptions;
  readonly #signal: AbortSignal;
  readonly #clock: ClientClock;
  readonly #backoff: Backoff;
  #progressAtMs: number;

  constructor(observer: CompareObserver, options: ResumeOptions, signal: AbortSignal) {
    this.#observer = observer;
    this.#options = options;
    this.#signal = signal;
    this.#clock = options.clock ?? systemClock;
    this.#backoff = new Backoff(options.backoff ?? DEFAULT_BACKOFF, options.random ?? Math.random);
    this.#progressAtMs = this.#clock.now();
  }

  async make<T>(call: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        const answer = await call();
        this.#backoff.reset();
        this.#progressAtMs = this.#clock.now();
        return answer;
      } catch (thrown) {
        await this.#bear(ClientError.from(thrown));
      }
    }
  }

  /** Throws what no retry changes, and waits for the next one after the rest. */
  async #bear(error: ClientError): Promise<void> {
    const { giveUpAfterMs = Number.POSITIVE_INFINITY } = this.#options;
    if (this.#signal.aborted) throw cancelled(error);
    if (!error.retryable || this.#clock.now() - this.#progressAtMs >= giveUpAfterMs) throw error;
    const waitMs = this.#backoff.next(error.retryAfterMs);
    this.#observer.waiting(error, waitMs);
    await this.#clock.sleep(waitMs, this.#signal).catch((thrown: unknown) => {
      throw cancelled(thrown);
    });
  }
}

function cancelled(cause: unknown): ClientError {
  return new ClientError("cancelled", "The upload was cancelled.", { reason: "CANCELLED", cause });
}
