import { Backoff, type BackoffOptions, DEFAULT_BACKOFF } from "./backoff.ts";
import { type ClientClock, systemClock } from "./clock.ts";
import { ClientError } from "./errors.ts";
import type { UploadObserver, UploadSource } from "./source.ts";
import type { Link } from "./transport.ts";
import { uploadOnce } from "./upload.ts";

export interface ResumeOptions {
  readonly clock?: ClientClock;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  readonly backoff?: BackoffOptions;
  /** Until the daemon has answered a connection; 10 s by default. */
  readonly connectTimeoutMs?: number;
  /** Until a connection whose daemon acknowledges nothing is given up and made again; 30 s by default. */
  readonly idleTimeoutMs?: number;
  /** Give up, with the last error, after this long without progress. Never by default. */
  readonly giveUpAfterMs?: number;
}

/** Told how connecting goes. Must not throw. */
export interface ResumeObserver {
  connecting(): void;
  /** The connection broke or was refused; the next is tried after `waitMs`. */
  waiting(error: ClientError, waitMs: number): void;
}

const FRAME_BYTES = 256 * 1024;
const SMALLEST_FRAME_BYTES = 16 * 1024;
const CONNECT_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 30_000;

/**
 * Uploads a source to its end through any number of connections. Each begins from the daemon's
 * watermark. What can pass is retried with backoff, for as long as it takes; what cannot (see
 * ClientError.retryable) is thrown.
 */
export async function uploadResuming(
  link: Link,
  source: UploadSource,
  observer: UploadObserver & ResumeObserver,
  options: ResumeOptions,
  signal: AbortSignal,
): Promise<void> {
  const clock = options.clock ?? systemClock;
  const random = options.random ?? Math.random;
  const backoff = new Backoff(options.backoff ?? DEFAULT_BACKOFF, random);
  const attempt = new Attempt(observer, clock);
  let frameBytes = FRAME_BYTES;
  for (;;) {
    observer.connecting();
    const begun = attempt.begin();
    try {
      const { connectTimeoutMs = CONNECT_TIMEOUT_MS, idleTimeoutMs = IDLE_TIMEOUT_MS } = options;
      await uploadOnce(
        link.transport,
        source,
        begun,
        { clock, random, connectTimeoutMs, idleTimeoutMs, frameBytes },
        signal,
      );
      return;
    } catch (thrown) {
      const error = ClientError.from(thrown);
      if (signal.aborted) throw error;
      const mayBeOurs = error.reason === "FENCED" && attempt.openUnanswered;
      if (!error.retryable && !mayBeOurs) throw error;
      if (clock.now() - attempt.progressAtMs >= (options.giveUpAfterMs ?? Number.POSITIVE_INFINITY)) throw error;
      if (error.reason === "CONNECT_TIMEOUT") link.resetUnlessOpen();
      // A frame that takes longer to send than the daemon may be silent would never arrive.
      if (error.reason === "IDLE") frameBytes = Math.max(SMALLEST_FRAME_BYTES, frameBytes / 2);
      if (attempt.progressed) backoff.reset();
      attempt.end();
      const waitMs = backoff.next(error.retryAfterMs);
      observer.waiting(error, waitMs);
      await clock.sleep(waitMs, signal).catch((thrown: unknown) => {
        throw ClientError.from(thrown);
      });
    }
  }
}

/** What the loop has to know of the connections so far. */
class Attempt {
  readonly #observer: UploadObserver;
  readonly #clock: ClientClock;
  #opened = false;
  #openUnanswered = false;
  #durableSeq = -1n;
  progressAtMs: number;
  progressed = false;

  constructor(observer: UploadObserver, clock: ClientClock) {
    this.#observer = observer;
    this.#clock = clock;
    this.progressAtMs = clock.now();
  }

  /**
   * The connection before this one ended with its Open unanswered. The daemon may have come to that
   * Open after this connection's, so the one that fenced us may be ourselves.
   */
  get openUnanswered(): boolean {
    return this.#openUnanswered;
  }

  begin(): UploadObserver {
    this.#opened = false;
    this.progressed = false;
    const observer = this.#observer;
    return {
      opened: (opened) => {
        this.#opened = true;
        observer.opened(opened);
        this.#at(opened.durableSeq);
      },
      sent: (events, bytes) => observer.sent(events, bytes),
      acked: (durableSeq) => {
        this.#at(durableSeq);
        observer.acked(durableSeq);
      },
      quarantined: (events) => observer.quarantined(events),
      blobStored: (id, how) => {
        if (how === "sent") this.#moved();
        observer.blobStored(id, how);
      },
      sealed: (sealed) => observer.sealed(sealed),
    };
  }

  end(): void {
    this.#openUnanswered = !this.#opened;
  }

  #at(durableSeq: bigint): void {
    if (this.#durableSeq >= 0n && durableSeq > this.#durableSeq) this.#moved();
    if (durableSeq > this.#durableSeq) this.#durableSeq = durableSeq;
  }

  #moved(): void {
    this.progressed = true;
    this.progressAtMs = this.#clock.now();
  }
}
