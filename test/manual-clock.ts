import type { Clock } from "../src/core/clock.ts";

/** A clock that stands still until it is told to move. */
export class ManualClock implements Clock {
  #now: number;
  readonly #sleepers = new Set<Sleeper>();

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  /** How many are asleep now. */
  get sleepers(): number {
    return this.#sleepers.size;
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const sleeper: Sleeper = { untilMs: this.#now + ms, wake: resolve };
    const leave = () => reject(signal.reason);
    this.#sleepers.add(sleeper);
    signal.addEventListener("abort", leave, { once: true });
    try {
      await promise;
    } finally {
      this.#sleepers.delete(sleeper);
      signal.removeEventListener("abort", leave);
    }
  }

  /** Moves time and wakes whoever is due; they run when the caller next awaits. */
  advance(ms: number): void {
    this.#now += ms;
    for (const sleeper of this.#sleepers) if (sleeper.untilMs <= this.#now) sleeper.wake();
  }
}

interface Sleeper {
  readonly untilMs: number;
  readonly wake: () => void;
}
