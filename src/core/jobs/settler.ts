import { type Clock, withDeadline } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { JobStore, Settlement } from "../store/jobs.ts";
import { Backoff } from "./backoff.ts";
import type { WorkerEvents } from "./events.ts";

export interface SettlerOptions {
  readonly store: Pick<JobStore, "settle">;
  readonly clock: Clock;
  readonly events: Pick<WorkerEvents, "storeFailed">;
  readonly random: () => number;
  /** For one call. */
  readonly deadlineMs: number;
}

/**
 * Ends attempts in groups, so that one fsync serves many: what gathers while a group is on its way
 * goes with the next. While the store is away it is asked again, for as long as it takes.
 */
export class Settler {
  readonly #options: SettlerOptions;
  readonly #backoff: Backoff;
  readonly #closing = new AbortController();
  #waiting: Waiting[] = [];
  #running = false;

  constructor(options: SettlerOptions) {
    this.#options = options;
    this.#backoff = new Backoff(FIRST_WAIT_MS, LONGEST_WAIT_MS, options.random);
  }

  /** Fails with what the store refuses this settlement for, or with `unavailable` when closed before it could be stored. */
  settle(settlement: Settlement): Promise<"settled" | "lost"> {
    const { promise, resolve, reject } = Promise.withResolvers<"settled" | "lost">();
    this.#waiting.push({ settlement, resolve, reject });
    if (!this.#running) void this.#run();
    return promise;
  }

  /** From now on nothing is asked twice. */
  close(): void {
    this.#closing.abort(new AppError("unavailable", "The worker has stopped.", { reason: "WORKER_STOPPED" }));
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) await this.#store(this.#waiting.splice(0, MAX_GROUP));
    this.#running = false;
  }

  /** Never rejects. */
  async #store(group: readonly Waiting[]): Promise<void> {
    for (;;) {
      const failure = await this.#try(group);
      if (failure === undefined) return;
      if (!PASSING.has(failure.code)) return await this.#refuse(group, failure);
      this.#options.events.storeFailed("settle", failure);
      const stopped = await this.#options.clock.sleep(this.#backoff.next(), this.#closing.signal).then(
        () => undefined,
        () => failure,
      );
      if (stopped !== undefined) return await this.#refuse(group.slice(0, 1), stopped, group.slice(1));
    }
  }

  async #try(group: readonly Waiting[]): Promise<AppError | undefined> {
    const { store, clock, deadlineMs } = this.#options;
    const settlements = group.map(({ settlement }) => settlement);
    try {
      const answers = await store.settle(settlements, clock.now(), withDeadline(NEVER, deadlineMs));
      for (const [index, { resolve }] of group.entries()) resolve(answers[index] ?? "lost");
      this.#backoff.reset();
      return undefined;
    } catch (error) {
      return AppError.from(error);
    }
  }

  /** One that can't be stored must not keep the others from it. */
  async #refuse(group: readonly Waiting[], failure: AppError, rest: readonly Waiting[] = []): Promise<void> {
    if (group.length === 1) for (const { reject } of [...group, ...rest]) reject(failure);
    else for (const one of group) await this.#store([one]);
  }
}

interface Waiting {
  readonly settlement: Settlement;
  readonly resolve: (answer: "settled" | "lost") => void;
  readonly reject: (error: AppError) => void;
}

/** What goes by without anybody's doing. */
const PASSING: ReadonlySet<AppError["code"]> = new Set([
  "unavailable",
  "deadline_exceeded",
  "resource_exhausted",
  "aborted",
]);
const MAX_GROUP = 64;
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 5_000;
const NEVER = new AbortController().signal;
