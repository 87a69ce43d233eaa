import type { ClientClock } from "../../src/client/clock.ts";

/** Time that passes only when told to. */
export class ManualClock implements ClientClock {
  #now = 1_700_000_000_000;
  #sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();
  #slept = Promise.withResolvers<void>();
  readonly slept: number[] = [];

  now(): number {
    return this.#now;
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.slept.push(ms);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const sleeper = { at: this.#now + ms, wake: resolve };
    this.#sleepers.add(sleeper);
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#slept.resolve();
    this.#slept = Promise.withResolvers<void>();
    try {
      await promise;
    } finally {
      this.#sleepers.delete(sleeper);
      signal.removeEventListener("abort", onAbort);
    }
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const sleeper of [...this.#sleepers]) {
      if (sleeper.at > this.#now) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }

  /** Resolves once somebody sleeps for a time that `matches`. */
  async sleeping(matches: (ms: number) => boolean): Promise<void> {
    for (;;) {
      const slept = this.#slept.promise;
      if ([...this.#sleepers].some(({ at }) => matches(at - this.#now))) return;
      await slept;
    }
  }
}
