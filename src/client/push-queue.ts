import type { ClientClock } from "./clock.ts";
import { ClientError } from "./errors.ts";
import type { SpoolBudget } from "./spool-budget.ts";
import type { SpoolLog } from "./spool-log.ts";
import { recordBytes } from "./spool-record.ts";
import { Wake } from "./wake.ts";

const BATCH_BYTES = 1024 * 1024;
/** Events in memory that wait for the disk; past this a push is refused at once. */
const WAITING_BYTES = 32 * 1024 * 1024;

/**
 * Events on their way into a log, in order. Those that wait while the disk writes go together in
 * the next write, so that one fsync keeps many. One that is not being written when its time is up
 * is taken back and takes no seq.
 */
export class PushQueue {
  readonly #log: SpoolLog;
  readonly #budget: SpoolBudget;
  readonly #clock: ClientClock;
  readonly #exclusively: Exclusively;
  readonly #closing = new AbortController();
  readonly #changed = new Wake();
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  #timer: { readonly atMs: number; readonly stop: AbortController } | undefined;
  #full = false;

  constructor(log: SpoolLog, budget: SpoolBudget, clock: ClientClock, exclusively: Exclusively) {
    this.#log = log;
    this.#budget = budget;
    this.#clock = clock;
    this.#exclusively = exclusively;
  }

  /**
   * Resolves with the event's seq when it is on disk. Fails with `resource_exhausted` SPOOL_FULL or
   * SPOOL_SLOW when it could not begin to be written within `maxBlockMs`, or with what the disk says.
   */
  push(event: Uint8Array, maxBlockMs: number): Promise<bigint> {
    if (this.#closing.signal.aborted) return Promise.reject(this.#closing.signal.reason);
    if (this.#waitingBytes + event.length > WAITING_BYTES) return Promise.reject(this.#tooLate());
    const { promise, resolve, reject } = Promise.withResolvers<bigint>();
    const expiresAtMs = this.#clock.now() + maxBlockMs;
    this.#waiting.push({ event, expiresAtMs, resolve, reject });
    this.#waitingBytes += event.length;
    this.#changed.ring();
    this.#writing ??= this.#write();
    if (this.#waiting.length > 0) this.#armTimer(expiresAtMs);
    return promise;
  }

  /** Resolves when nothing waits any more. */
  async drained(): Promise<void> {
    await this.#writing;
  }

  /** Refuses what is not being written and waits for what is. */
  async close(reason: ClientError): Promise<void> {
    this.#closing.abort(reason);
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
    this.#timer?.stop.abort();
    this.#changed.ring();
    await this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#closing.signal.aborted) {
      const [roomMade, changed] = [this.#budget.roomMade, this.#changed.rung];
      const batch = this.#takeBatch();
      if (batch.length > 0) await this.#append(batch);
      else if (this.#waiting.length > 0) await this.#budget.whilePressed(Promise.race([roomMade, changed]));
    }
    this.#writing = undefined;
  }

  async #append(batch: readonly Waiting[]): Promise<void> {
    try {
      const events = batch.map(({ event }) => event);
      const firstSeq = await this.#exclusively(() => this.#log.append(events));
      for (const [index, { resolve }] of batch.entries()) resolve(firstSeq + BigInt(index));
    } catch (error) {
      this.#budget.give(batch.reduce((sum, { event }) => sum + recordBytes(event), 0));
      for (const { reject } of batch) reject(error);
    }
  }

  /** As many from the front as there is room for, up to what one write should be. */
  #takeBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    this.#full = false;
    for (const { event } of this.#waiting) {
      if (bytes >= BATCH_BYTES) break;
      if (!this.#budget.take(recordBytes(event))) {
        this.#full = true;
        break;
      }
      bytes += recordBytes(event);
      count += 1;
    }
    this.#waitingBytes -= bytes - count * recordBytes(NO_EVENT);
    return this.#waiting.splice(0, count);
  }

  /** One timer, for the first event that would expire. */
  #armTimer(atMs: number): void {
    if (atMs >= (this.#timer?.atMs ?? Number.POSITIVE_INFINITY)) return;
    this.#timer?.stop.abort();
    const timer = { atMs, stop: new AbortController() };
    this.#timer = timer;
    void this.#clock.sleep(Math.max(0, atMs - this.#clock.now()), timer.stop.signal).then(
      () => {
        this.#timer = undefined;
        this.#expire();
        this.#armTimer(
          this.#waiting.reduce((first, { expiresAtMs }) => Math.min(first, expiresAtMs), Number.POSITIVE_INFINITY),
        );
      },
      () => undefined,
    );
  }

  #expire(): void {
    const now = this.#clock.now();
    const late = this.#waiting.filter(({ expiresAtMs }) => expiresAtMs <= now);
    if (late.length === 0) return;
    this.#waiting = this.#waiting.filter(({ expiresAtMs }) => expiresAtMs > now);
    for (const { event, reject } of late) {
      this.#waitingBytes -= event.length;
      reject(this.#tooLate());
    }
    this.#changed.ring();
  }

  #tooLate(): ClientError {
    return this.#full ? spoolFull(this.#budget) : spoolSlow();
  }
}

/** Runs one at a time what changes a log. */
export type Exclusively = <T>(change: () => Promise<T>) => Promise<T>;

const NO_EVENT = new Uint8Array(0);

interface Waiting {
  readonly event: Uint8Array;
  readonly expiresAtMs: number;
  readonly resolve: (seq: bigint) => void;
  readonly reject: (error: unknown) => void;
}

export function spoolFull(budget: SpoolBudget): ClientError {
  return new ClientError(
    "resource_exhausted",
    `The spool is full (${budget.usedBytes} of ${budget.maxBytes} bytes): the daemon is away or slower than the collector. Push again later.`,
    { reason: "SPOOL_FULL", retryable: true },
  );
}

function spoolSlow(): ClientError {
  return new ClientError("resource_exhausted", "The spool's disk is slower than the collector. Push again later.", {
    reason: "SPOOL_SLOW",
    retryable: true,
  });
}
