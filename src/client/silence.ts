import type { ClientClock } from "./clock.ts";
import { Wake } from "./wake.ts";

/** Watches how long a daemon that owes an answer says nothing. */
export class Silence {
  readonly #clock: ClientClock;
  readonly #allowedMs: () => number | undefined;
  readonly #restarted = new Wake();
  #sinceMs: number;

  /** `allowedMs` tells how long it may last, undefined while no answer is owed. */
  constructor(clock: ClientClock, allowedMs: () => number | undefined) {
    this.#clock = clock;
    this.#allowedMs = allowedMs;
    this.#sinceMs = clock.now();
  }

  /** The daemon said something. */
  broken(): void {
    this.#sinceMs = this.#clock.now();
  }

  /** Something else is waited for from now on. */
  restart(): void {
    this.broken();
    this.#restarted.ring();
  }

  /** Resolves with the time allowed when the silence has lasted longer; undefined when the signal aborts. */
  async lasted(signal: AbortSignal): Promise<number | undefined> {
    while (!signal.aborted) {
      const restarted = this.#restarted.rung;
      const allowedMs = this.#allowedMs();
      const leftMs = allowedMs === undefined ? LOOK_AGAIN_MS : this.#sinceMs + allowedMs - this.#clock.now();
      if (leftMs <= 0) return allowedMs;
      await this.#sleep(leftMs, restarted, signal);
    }
    return undefined;
  }

  async #sleep(ms: number, restarted: Promise<void>, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const until = AbortSignal.any([signal, woken.signal]);
    const slept = this.#clock.sleep(ms, until).catch((error: unknown) => {
      if (!until.aborted) throw error;
    });
    await Promise.race([slept, restarted]);
    woken.abort();
  }
}

const LOOK_AGAIN_MS = 10_000;
