import type { Clock } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { BlobStore } from "./blobs.ts";

export interface SweeperOptions {
  readonly stores: readonly BlobStore[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A collector that comes back within this goes on where its blob had come to. */
const KEPT_MS = 7 * 24 * 3_600_000;
const EVERY_MS = 24 * 3_600_000;

/**
 * Removes what arrived of blobs whose rest never came: when it is made and once a day, until it is
 * disposed. What fails is logged and tried again the next day.
 */
export class Sweeper implements AsyncDisposable {
  readonly #options: SweeperOptions;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: SweeperOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await this.#sweep(signal);
      // Only closing ends the sleep early.
      await this.#options.clock.sleep(EVERY_MS, signal).catch(() => undefined);
    }
  }

  async #sweep(signal: AbortSignal): Promise<void> {
    const { stores, clock, logger } = this.#options;
    for (const store of stores) {
      try {
        const removed = await store.sweep(clock.now() - KEPT_MS, signal);
        if (removed > 0) logger.info({ removed }, "removed blobs that had arrived in part and were given up");
      } catch (error) {
        if (!signal.aborted) logger.warn({ err: AppError.from(error) }, "blobs given up could not be removed");
      }
    }
  }
}
