import { type Clock, withDeadline } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { JobStore } from "../store/jobs.ts";
import type { WorkerEvents } from "./events.ts";

export interface SweeperOptions {
  readonly store: Pick<JobStore, "rescue" | "pruneJobs">;
  readonly clock: Clock;
  readonly events: Pick<WorkerEvents, "storeFailed" | "swept">;
  readonly random: () => number;
  /** For one call. */
  readonly deadlineMs: number;
  /** How often expired leases are looked for. */
  readonly everyMs: number;
  /** How long finished jobs are kept. */
  readonly keepMs: number;
}

/**
 * Gives back the jobs of workers that died, and deletes jobs that have been finished for long. Every
 * worker does it, whichever comes first; what fails is tried at the next turn. Calls `rescued` when
 * there is something to claim again. Resolves when `signal` aborts.
 */
export async function sweep(options: SweeperOptions, rescued: () => void, signal: AbortSignal): Promise<void> {
  const { clock, events, random, everyMs } = options;
  let pruneAtMs = 0;
  while (!signal.aborted) {
    try {
      const found = await rescue(options);
      const pruning = clock.now() >= pruneAtMs;
      const pruned = pruning ? await prune(options, signal) : 0;
      if (pruning) pruneAtMs = clock.now() + PRUNE_EVERY_MS * (0.5 + random());
      if (found.rescued + found.dead + pruned > 0) events.swept({ ...found, pruned });
      if (found.rescued > 0) rescued();
    } catch (error) {
      events.storeFailed("sweep", AppError.from(error));
    }
    // At other moments than the other workers, which began together with this one perhaps.
    await clock.sleep(everyMs * (0.5 + random()), signal).catch(() => undefined);
  }
}

async function rescue({ store, clock, deadlineMs }: SweeperOptions): Promise<{ rescued: number; dead: number }> {
  const sum = { rescued: 0, dead: 0 };
  for (;;) {
    const options = { nowMs: clock.now(), limit: GROUP, maxLost: MAX_LOST };
    const { rescued, dead } = await store.rescue(options, withDeadline(NEVER, deadlineMs));
    sum.rescued += rescued;
    sum.dead += dead;
    if (rescued + dead < GROUP) return sum;
  }
}

async function prune({ store, clock, keepMs, deadlineMs }: SweeperOptions, signal: AbortSignal): Promise<number> {
  for (let pruned = 0; ; ) {
    const count = await store.pruneJobs(clock.now() - keepMs, GROUP, withDeadline(NEVER, deadlineMs));
    pruned += count;
    if (count < GROUP || signal.aborted) return pruned;
  }
}

/** What one commit may hold up. */
const GROUP = 500;
const PRUNE_EVERY_MS = 600_000;
/**
 * A job that took so many workers with it is suspected of it. Stages run in other processes, so it
 * takes a machine to fall; where workers were killed every two seconds, innocent jobs were lost ten times.
 */
const MAX_LOST = 25;
const NEVER = new AbortController().signal;
