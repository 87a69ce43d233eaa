import { unlessAborted, Wake } from "./wake.ts";

/** So many at a time; the others wait. */
export class Slots {
  #free: number;
  readonly #freed = new Wake();

  constructor(count: number) {
    this.#free = count;
  }

  async take(signal: AbortSignal): Promise<Disposable> {
    for (let freed = this.#freed.rung; this.#free === 0; freed = this.#freed.rung) await unlessAborted(freed, signal);
    this.#free -= 1;
    return {
      [Symbol.dispose]: () => {
        this.#free += 1;
        this.#freed.ring();
      },
    };
  }
}
