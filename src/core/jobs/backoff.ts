/** A wait that doubles from failure to failure, the upper half of it chance. */
export class Backoff {
  readonly #firstMs: number;
  readonly #longestMs: number;
  readonly #random: () => number;
  #ceilingMs: number;

  constructor(firstMs: number, longestMs: number, random: () => number) {
    this.#firstMs = firstMs;
    this.#longestMs = longestMs;
    this.#random = random;
    this.#ceilingMs = firstMs;
  }

  /** Milliseconds. */
  next(): number {
    const wait = Math.ceil(this.#ceilingMs * (0.5 + this.#random() / 2));
    this.#ceilingMs = Math.min(this.#longestMs, this.#ceilingMs * 2);
    return wait;
  }

  reset(): void {
    this.#ceilingMs = this.#firstMs;
  }
}
