import type { Job, JobAttempt, JobError, JobState } from "../jobs.ts";

/** A row of `jobs` with its session's id, as the driver gives it. */
export interface JobRow {
  readonly id: number;
  readonly kind: string;
  readonly project: string;
  readonly session: string;
  readonly state: JobState;
  readonly priority: number;
  readonly attempts: number;
  readonly lost: number;
  readonly campaign: string | null;
  readonly created_at: number;
  readonly run_at: number;
  readonly started_at: number | null;
  readonly ended_at: number | null;
  readonly lease_owner: string | null;
  readonly lease_until: number | null;
  readonly error_reason: string | null;
  readonly error_message: string | null;
}

export function jobOf(row: JobRow): Job {
  const { id, kind, project, session, state, priority, attempts, lost } = row;
  return {
    ...{ id, kind, project, session, state, priority, attempts, lost },
    campaign: row.campaign ?? undefined,
    createdAtMs: row.created_at,
    runAtMs: row.run_at,
    startedAtMs: row.started_at ?? undefined,
    endedAtMs: row.ended_at ?? undefined,
    leaseOwner: row.lease_owner ?? undefined,
    leaseUntilMs: row.lease_until ?? undefined,
    error: errorOf(row),
  };
}

function errorOf({ error_reason: reason, error_message: message }: JobRow): JobError | undefined {
  return reason === null || message === null ? undefined : { reason, message };
}

export interface AttemptRow {
  readonly attempt: number;
  readonly outcome: JobAttempt["outcome"];
  readonly owner: string;
  readonly started_at: number;
  readonly ended_at: number;
  readonly reason: string;
  readonly message: string;
}

export function attemptOf({ attempt, outcome, owner, started_at, ended_at, reason, message }: AttemptRow): JobAttempt {
  return { attempt, outcome, owner, startedAtMs: started_at, endedAtMs: ended_at, error: { reason, message } };
}

/** The column is written by this adapter alone: its shape is known. */
export function parseStages(text: string | null): readonly string[] | undefined {
  return text === null ? undefined : JSON.parse(text);
}
