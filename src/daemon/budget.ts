/**
 * The memory that frames of all calls together may hold: a semaphore of bytes. Waiters are served
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
 * What one call holds of the budget, message by message: the body charges a message before it
 * reads it, the handler settles it when it has done with it. Beyond `credit` bytes unsettled the
 * body waits, which leaves the rest with the sender.
 */
export class Account implements Disposable {
  readonly #budget: Budget;
  readonly #charges: number[] = [];
  #held = 0;
  #credit: number;
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(budget: Budget, credit: number) {
    this.#budget = budget;
    this.#credit = credit;
  }

  set credit(bytes: number) {
    this.#credit = bytes;
    this.#wake?.();
  }

  /** Waits until the call is within its credit and the budget has room. One at a time. */
  async charge(bytes: number, signal: AbortSignal): Promise<void> {
    while (this.#held > 0 && this.#held + bytes > this.#credit) {
      signal.throwIfAborted();
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = (): void => resolve();
      this.#wake = wake;
      signal.addEventListener("abort", wake, { once: true });
      await promise;
      signal.removeEventListener("abort", wake);
    }
    const granted = await this.#budget.acquire(bytes, signal);
    if (this.#closed) this.#budget.release(granted);
    else {
      this.#held += granted;
      this.#charges.push(granted);
    }
  }

  /** Takes over the oldest message's charge: whoever calls this must call `settle` with the result. */
  claim(): number {
    return this.#charges.shift() ?? 0;
  }

  /** May come after the call has ended: what a store still works on is still held. */
  settle(bytes: number): void {
    this.#held -= bytes;
    this.#budget.release(bytes);
    this.#wake?.();
  }

  /** Gives back what nobody has claimed. */
  [Symbol.dispose](): void {
    this.#closed = true;
    for (const bytes of this.#charges.splice(0)) this.settle(bytes);
  }
}
