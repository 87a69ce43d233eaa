import { availableParallelism, hostname } from "node:os";
import type { App } from "../app.ts";
import type { Config } from "../config.ts";
import { AppError } from "../errors.ts";
import { loadPipeline } from "../pipeline/load.ts";
import { CampaignDriver } from "./campaign.ts";
import type { WorkerEvents } from "./events.ts";
import { HostPool } from "./host-pool.ts";
import { Worker } from "./worker.ts";

export interface WorkerStart {
  readonly app: App;
  readonly concurrency: number;
  /** The stages it runs; undefined means all. */
  readonly kinds: readonly string[] | undefined;
  readonly events: WorkerEvents;
  /** URL of a module that exports STAGES; the release's own when left out. */
  readonly stages?: string;
}

export interface StartedWorker extends AsyncDisposable {
  readonly worker: Worker;
  /** Processes that run stages now. */
  readonly hosts: number;
  /** Resolves when nothing is left that could be run now, nor any campaign that would bring more. */
  idle(signal: AbortSignal): Promise<void>;
}

/**
 * Starts a worker with the processes its stages run in, and what keeps campaigns going. Fails with
 * `invalid_argument` BAD_PIPELINE.
 */
export async function startWorker(options: WorkerStart): Promise<StartedWorker> {
  const { app, concurrency, events } = options;
  const { config, store, clock } = app;
  const { pipeline, stages, settings, module } = await loadPipeline(config.pipeline, options.stages);
  const { leaseMs, maxAttempts, keepMs, stageMemory: memoryBytes, stageDeadlineMs: deadlineMs } = config.jobs;
  const setup = { config, settings, stages: module };
  const pool = new HostPool({ setup, memoryBytes, deadlineMs, idleMs: HOST_IDLE_MS, clock });
  const worker = new Worker({
    ...{ store, stages: pool, concurrency, leaseMs, maxAttempts, keepMs, clock, events, random: Math.random },
    // A session that was begun is finished before another is: what is in between has no use.
    kinds: stages
      .map(({ name }) => name)
      .filter((name) => options.kinds?.includes(name) ?? true)
      .reverse(),
    owner: `${hostname()}/${process.pid}`,
  });
  const stopping = new AbortController();
  const driver = new CampaignDriver({
    ...{ store, pipeline, clock },
    onJobs: () => worker.wake(),
    onFailure: (error) => events.storeFailed("campaigns", error),
  });
  const driving = driver.run(stopping.signal);
  return {
    worker,
    get hosts() {
      return pool.size;
    },
    idle: (signal) => untilIdle(worker, options, signal),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await worker[Symbol.asyncDispose]();
      await Promise.all([driving, pool[Symbol.asyncDispose]()]);
    },
  };
}

async function untilIdle(worker: Worker, { app, events }: WorkerStart, signal: AbortSignal): Promise<void> {
  let before: string | undefined;
  for (;;) {
    const { bringing, standing } = await campaignsNow(app, signal).catch((error: unknown) => {
      if (signal.aborted) throw error;
      events.storeFailed("campaigns", AppError.from(error));
      return { bringing: true, standing: undefined };
    });
    // The worker was idle in between and nothing was brought or done: what is left can't be run now.
    if (!bringing && standing === before) return;
    before = standing;
    const { idle } = worker;
    worker.wake();
    await idle;
    if (bringing) await app.clock.sleep(LOOK_AGAIN_MS, signal);
  }
}

/** Whether a campaign has sessions left and room for them, and how far each has come. */
async function campaignsNow({ store }: App, signal: AbortSignal): Promise<{ bringing: boolean; standing: string }> {
  const running = await store.listCampaigns({ limit: 100, states: ["running"] }, signal);
  return {
    bringing: running.some(({ exhausted, settings, jobs }) => !exhausted && jobs.open < settings.window),
    standing: JSON.stringify(running.map(({ id, cursor, exhausted, jobs }) => [id, cursor, exhausted, jobs])),
  };
}

/** What `jobs.concurrency` comes to on this machine: a core is left to ingest. */
export function concurrencyOf({ jobs }: Config): number {
  return jobs.concurrency === "auto" ? Math.max(1, availableParallelism() - 1) : jobs.concurrency;
}

const HOST_IDLE_MS = 60_000;
const LOOK_AGAIN_MS = 100;
