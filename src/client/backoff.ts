export interface BackoffOptions {
  /** Mean of the first wait is half of this, in milliseconds. */
  readonly baseMs: number;
  readonly maxMs: number;
}

export const DEFAULT_BACKOFF: BackoffOptions = { baseMs: 100, maxMs: 30_000 };

/** A daemon that asks for longer is asked again after this. */
const LONGEST_RETRY_AFTER_MS = 3_600_000;

/**
 * Exponential backoff with full jitter: a uniform wait in [0, min(max, base · 2^attempt)), which
 * spreads clients that failed together better than a wait around a mean does. A wait the daemon
 * asked for is the minimum, and the jitter comes on top of it.
 */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: () => number;
  #attempt = 0;

  constructor(options: BackoffOptions, random: () => number) {
    this.#options = options;
    this.#random = random;
  }

  /** Failures since the last success. */
  get attempt(): number {
    return this.#attempt;
  }

  /** The next wait, in milliseconds. */
  next(retryAfterMs: number | undefined): number {
    const ceiling = Math.min(this.#options.maxMs, this.#options.baseMs * 2 ** Math.min(this.#attempt, 30));
    this.#attempt += 1;
    return Math.min(retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS) + Math.floor(this.#random() * ceiling);
  }

  reset(): void {
    this.#attempt = 0;
  }
}
