import type { Clock } from "../clock.ts";
import type { Partial } from "./partial.ts";

export interface ArrivingOptions {
  /** Partials kept in memory. One pushed out is read back from its file when its next chunk comes. */
  readonly maxPartials: number;
  /** Partials whose file is open. */
  readonly maxOpen: number;
  /** A file nobody used for this long is closed. */
  readonly idleMs: number;
  readonly clock: Clock;
  /** Whether somebody works with the partial at this path, so that it must stay. */
  readonly busy: (path: string) => boolean;
}

/** The partials in memory, within bounds. */
export class Arriving implements AsyncDisposable {
  readonly #options: ArrivingOptions;
  /** Least recently used first, as in the next. */
  readonly #partials = new Map<string, Partial>();
  readonly #open = new Map<string, Partial>();
  readonly #usedSinceSweep = new Set<string>();
  readonly #closing = new AbortController();
  #sweeping: Promise<void> | undefined;

  constructor(options: ArrivingOptions) {
    this.#options = options;
  }

  get(path: string): Partial | undefined {
    return this.#partials.get(path);
  }

  /** Keeps a partial that is about to be used. */
  keep(path: string, partial: Partial): void {
    this.forget(path);
    this.#partials.set(path, partial);
    this.#open.set(path, partial);
    this.#usedSinceSweep.add(path);
    this.#sweeping ??= this.#sweep();
  }

  forget(path: string): void {
    this.#partials.delete(path);
    this.#open.delete(path);
  }

  /** Lets go of the least recently used until the bounds hold again; what is busy stays. */
  async trim(): Promise<void> {
    const idle: Partial[] = [];
    for (const [path, partial] of this.#open) {
      if (this.#open.size <= this.#options.maxOpen) break;
      if (this.#options.busy(path)) continue;
      this.#open.delete(path);
      idle.push(partial);
    }
    for (const [path, partial] of this.#partials) {
      if (this.#partials.size <= this.#options.maxPartials) break;
      if (this.#options.busy(path)) continue;
      this.forget(path);
      idle.push(partial);
    }
    await closeAll(idle);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#sweeping;
    await closeAll(this.#partials.values());
  }

  /** Runs while files are open. */
  async #sweep(): Promise<void> {
    const { clock, idleMs, busy } = this.#options;
    while (this.#open.size > 0) {
      const [slept] = await Promise.allSettled([clock.sleep(idleMs, this.#closing.signal)]);
      if (slept.status === "rejected") break;
      const idle: Partial[] = [];
      for (const [path, partial] of this.#open) {
        if (this.#usedSinceSweep.has(path) || busy(path)) continue;
        this.#open.delete(path);
        idle.push(partial);
      }
      this.#usedSinceSweep.clear();
      await closeAll(idle);
    }
    this.#usedSinceSweep.clear();
    this.#sweeping = undefined;
  }
}

/** A failure to close says at most that bytes were not written, and the hash will tell that. */
async function closeAll(partials: Iterable<Partial>): Promise<void> {
  await Promise.allSettled(Array.from(partials, (partial) => partial.close()));
}
