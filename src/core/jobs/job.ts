import type { AppError } from "../errors.ts";
import type { ClaimedJob, JobError, NewJob, Settlement } from "../store/jobs.ts";

/** What a failed attempt is judged by. */
export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly nowMs: number;
  /** A uniform number in [0, 1). */
  readonly random: () => number;
}

/**
 * What becomes of a job whose attempt failed:
 *
 *   what it needs is away (a store, a disk, a provider, a newer release) → snoozed, no attempt spent
 *   its inputs can never do                                             → dead at once
 *   anything else                                                       → retried, until its attempts are spent
 */
export function settlementOf(job: ClaimedJob, failure: AppError, policy: RetryPolicy): Settlement {
  const { nowMs, random } = policy;
  const lease = leaseOf(job);
  const error: JobError = { reason: failure.reason, message: failure.message };
  const awayMs = awayFor(failure);
  if (awayMs !== undefined) {
    return { lease, outcome: "snooze", runAtMs: nowMs + Math.ceil(awayMs * (1 + random() / 2)), error };
  }
  if (HOPELESS.has(failure.code) || job.attempt >= policy.maxAttempts) return { lease, outcome: "discard", error };
  return { lease, outcome: "retry", runAtMs: nowMs + backoffMs(job.attempt, random), error };
}

export function leaseOf({ job, fence }: ClaimedJob): Settlement["lease"] {
  return { job, fence };
}

/** The job of the session's next stage, in the same campaign and with the same priority. */
export function following({ project, session, priority, campaign, stages }: ClaimedJob, kind: string): NewJob {
  return {
    kind,
    project,
    session,
    priority,
    ...(campaign !== undefined && { campaign }),
    ...(stages !== undefined && { stages }),
  };
}

const HOPELESS: ReadonlySet<AppError["code"]> = new Set([
  "invalid_argument",
  "not_found",
  "failed_precondition",
  "data_loss",
]);

/** undefined when nothing is away: the attempt failed by itself. */
function awayFor({ code, reason, retryAfterMs }: AppError): number | undefined {
  if (retryAfterMs !== undefined) return Math.min(Math.max(retryAfterMs, SHORTEST_SNOOZE_MS), LONGEST_SNOOZE_MS);
  if (reason === "STAGE_VERSION_BACK") return LONGEST_SNOOZE_MS;
  return code === "unavailable" ? UNAVAILABLE_SNOOZE_MS : undefined;
}

const SHORTEST_SNOOZE_MS = 1_000;
const UNAVAILABLE_SNOOZE_MS = 10_000;
const LONGEST_SNOOZE_MS = 600_000;

/** Doubles with every attempt up to ten minutes; the upper half of it is chance, so that what failed together is spread. */
function backoffMs(attempt: number, random: () => number): number {
  const ceiling = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(attempt - 1, 30));
  return Math.ceil(ceiling * (0.5 + random() / 2));
}

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 600_000;
