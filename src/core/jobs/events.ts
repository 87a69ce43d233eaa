import type { AppError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { ClaimedJob, Settlement } from "../store/jobs.ts";
import type { JobMetrics } from "./job-metrics.ts";

/** What happens in a worker, for whoever counts and logs it. */
export interface WorkerEvents {
  /** An attempt has ended and that is stored. `failure` is why, when it did not end well. */
  settled(job: ClaimedJob, outcome: Settlement["outcome"], seconds: number, failure: AppError | undefined): void;
  /** The job is somebody else's: what was done for it is thrown away. */
  leaseLost(job: ClaimedJob, seconds: number): void;
  /** The store did not do what it was asked; it is asked again. */
  storeFailed(operation: string, failure: AppError): void;
  /** No process to run stages in could be started; it is tried again. */
  hostFailed(failure: AppError): void;
  swept(found: { readonly rescued: number; readonly dead: number; readonly pruned: number }): void;
}

/** Logs what happens, and counts it where there is somebody to ask. */
export function loggedEvents(logger: Logger, metrics?: JobMetrics): WorkerEvents {
  return {
    settled: (job, outcome, seconds, failure) => {
      metrics?.ran(job.kind, outcome, seconds);
      const level = outcome === "done" ? "debug" : outcome === "discard" ? "error" : "warn";
      // Only what nobody foresaw is looked for by its stack.
      const why = failure?.code === "internal" ? { err: failure } : { reason: failure?.reason, why: failure?.message };
      logger[level]({ ...named(job), outcome, seconds, ...(failure !== undefined && why) }, "job ended");
    },
    leaseLost: (job, seconds) => {
      metrics?.ran(job.kind, "lost", seconds);
      logger.warn(
        { ...named(job), reason: "LEASE_LOST" },
        "the job is another worker's by now; its result was dropped",
      );
    },
    storeFailed: (operation, { reason, message }) => {
      logger.warn({ operation, reason, why: message }, "the store did not answer a worker; it is asked again");
    },
    hostFailed: (err) => logger.error({ err }, "no process for stages; it is tried again"),
    swept: (found) => logger.info(found, "expired leases and old jobs"),
  };
}

function named({ job, fence, kind, project, session, attempt, campaign }: ClaimedJob): Record<string, unknown> {
  return { job, fence, kind, project, session, attempt, campaign };
}
