/**
 * Memory that all calls share: a semaphore of bytes. Waiters are served
 * in the order they came, and a call has at most one waiting, so calls share it fairly whatever
 * the size of their frames; none starves, because none overtakes.
 */
export class Budget {
  readonly #limit: number;
  readonly #queue: Waiter[] = [];
  #used = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get usedBytes(): number {
    return this.#used;
  }

  get limitBytes(): number {
    return this.#limit;
  }

  /** Resolves when `bytes` are the caller's, to be given back with `release`. More than the limit counts as the limit. */
  async acquire(bytes: number, signal: AbortSignal): Promise<number> {
    const granted = Math.min(bytes, this.#limit);
    signal.throwIfAborted();
    if (this.#queue.length === 0 && this.#used + granted <= this.#limit) {
      this.#used += granted;
      return granted;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiter = { bytes: granted, resolve };
    this.#queue.push(waiter);
    const leave = (): void => {
      const index = this.#queue.indexOf(waiter);
      if (index >= 0) {
        this.#queue.splice(index, 1);
        resolve();
        this.#serve();
      }
    };
    signal.addEventListener("abort", leave, { once: true });
    await promise;
    signal.removeEventListener("abort", leave);
    if (signal.aborted) {
      if (waiter.bytes === 0) this.release(granted);
      signal.throwIfAborted();
    }
    return granted;
  }

  release(bytes: number): void {
    this.#used -= bytes;
    this.#serve();
  }

  #serve(): void {
    for (;;) {
      const first = this.#queue[0];
      if (first === undefined || this.#used + first.bytes > this.#limit) return;
      this.#queue.shift();
      this.#used += first.bytes;
      first.bytes = 0;
      first.resolve();
    }
  }
}

interface Waiter {
  /** 0 once granted. */
  bytes: number;
  readonly resolve: () => void;
}

/**
 * The memory budget in its two parts. A message that arrives is held by `arriving`; whole, it moves
 * to `working`, where decoding and the store hold two copies of it. Parted, so that slow senders
 * who fill the first never keep whole messages from being worked off.
 */
export interface Memory {
  readonly arriving: Budget;
  readonly working: Budget;
}

const COPIES = 2;

/**
 * What one call holds of the memory, message by message. Beyond `credit` bytes unsettled its body
 * waits, which leaves the rest with the sender.
 */
export class Account implements Disposable {
  readonly #memory: Memory;
  readonly #messages: number[] = [];
  #arriving = 0;
  #unsettled = 0;
  #credit: number;
  readonly #waited: (seconds: number) => void;
  #wake: (() => void) | undefined;
  #closed = false;

  /** `waited` is told how long the sender was held back each time it was, in seconds. */
  constructor(memory: Memory, credit: number, waited: (seconds: number) => void) {
    this.#memory = memory;
    this.#credit = credit;
    this.#waited = waited;
  }

  set credit(bytes: number) {
    this.#credit = bytes;
    this.#wake?.();
  }

  /** Waits until the call is within its credit and there is room for a message to arrive. One at a time. */
  async arrive(bytes: number, signal: AbortSignal): Promise<void> {
    const begun = this.#unsettled > 0 && this.#unsettled + bytes > this.#credit ? performance.now() : undefined;
    while (this.#unsettled > 0 && this.#unsettled + bytes > this.#credit) {
      signal.throwIfAborted();
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = (): void => resolve();
      this.#wake = wake;
      signal.addEventListener("abort", wake, { once: true });
      await promise;
      signal.removeEventListener("abort", wake);
    }
    if (begun !== undefined) this.#waited((performance.now() - begun) / 1000);
    this.#arriving = await this.#memory.arriving.acquire(bytes, signal);
    if (this.#closed) this.arrived();
  }

  /** The message is whole: waits until it can be worked on. It may have unfolded to `bytes` at most. */
  async admit(bytes: number, signal: AbortSignal): Promise<void> {
    const granted = await this.#memory.working.acquire(bytes * COPIES, signal);
    this.#unsettled += granted;
    this.#messages.push(granted);
    if (this.#closed) this[Symbol.dispose]();
  }

  /** The bytes that arrived have been read. */
  arrived(): void {
    this.#memory.arriving.release(this.#arriving);
    this.#arriving = 0;
  }

  /** Takes over the oldest message: whoever calls this must call `settle` with the result. */
  claim(): number {
    return this.#messages.shift() ?? 0;
  }

  /** May come after the call has ended: what a store still works on is still held. */
  settle(granted: number): void {
    this.#unsettled -= granted;
    this.#memory.working.release(granted);
    this.#wake?.();
  }

  /** Gives back what nobody has claimed. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.arrived();
    for (const granted of this.#messages.splice(0)) this.settle(granted);
  }
}
