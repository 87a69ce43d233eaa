import type { NewArtifact } from "./artifacts.ts";

/**
 * The ledger of jobs: the truth about what has to be done, who does it and how it ended. A job is
 * run under a lease with a fencing token that grows with every claim; what a worker writes is
 * compared with it in the same commit, so that one that lost its lease changes nothing. All of it
 * is part of the Store, and like the rest of it each method is one atomic, fsynced step. The time
 * is the caller's: `nowMs`, epoch milliseconds.
 */
export interface JobStore {
  /**
   * A job that is there unfinished (same kind, project, session) is kept; if it is running it will run
   * once more. Fails with `not_found` SESSION_NOT_FOUND, adding none, if a session is not there.
   */
  enqueue(jobs: readonly NewJob[], nowMs: number, signal: AbortSignal): Promise<Enqueued>;

  /**
   * Takes up to `limit` jobs of each kind asked for under a lease, and `total` in all, most urgent
   * first: lowest priority number, then the kind named earlier, then oldest. Kinds that are paused, or
   * have as many running as they may, give none. Due jobs that were scheduled are among them.
   */
  claim(request: ClaimRequest, signal: AbortSignal): Promise<ClaimedJob[]>;

  /** Extends leases to `untilMs`. Answers in the order given. */
  heartbeat(leases: readonly Lease[], untilMs: number, nowMs: number, signal: AbortSignal): Promise<LeaseStatus[]>;

  /**
   * Ends attempts, each with what came of it, all or nothing for each: the job's new state, its
   * artifact, and the jobs that follow. `lost` for a lease that is not the job's any more: nothing
   * of that settlement is stored. Answers in the order given.
   */
  settle(settlements: readonly Settlement[], nowMs: number, signal: AbortSignal): Promise<("settled" | "lost")[]>;

  /** Gives back jobs whose lease has expired, at most `limit`; those lost `maxLost` times are dead (LOST_TOO_OFTEN). */
  rescue(options: RescueOptions, signal: AbortSignal): Promise<Rescued>;

  /** When the next scheduled job of these kinds is due; undefined when none is. */
  nextDue(kinds: readonly string[], signal: AbortSignal): Promise<number | undefined>;

  // These three change as many jobs as match, in pieces of some thousands that are atomic each, so that
  // appends go on meanwhile. One that fails half-way can be called again.

  /** What is not running becomes cancelled; what runs is told by its next heartbeat. Returns how many. */
  cancelJobs(filter: JobFilter, nowMs: number, signal: AbortSignal): Promise<number>;
  /**
   * Dead and cancelled jobs become available with their attempts anew, unless the session has an
   * unfinished job of that kind. Returns how many.
   */
  redrive(filter: JobFilter, nowMs: number, signal: AbortSignal): Promise<number>;
  /** Scheduled jobs become available now. Returns how many. */
  runNow(filter: JobFilter, nowMs: number, signal: AbortSignal): Promise<number>;
  /** Deletes finished jobs (done, cancelled) that ended before, at most `limit`. Dead ones stay. */
  pruneJobs(endedBeforeMs: number, limit: number, signal: AbortSignal): Promise<number>;

  /** Pauses or bounds a kind over all workers. `maxRunning` undefined means no bound. */
  setKind(kind: string, change: KindSettings, signal: AbortSignal): Promise<void>;

  readJob(id: number, signal: AbortSignal): Promise<JobDetail | undefined>;
  /** Newest first, at most `limit`; the cursor is opaque. */
  listJobs(query: JobQuery, signal: AbortSignal): Promise<JobPage>;
  jobStats(nowMs: number, signal: AbortSignal): Promise<KindStats[]>;
}

/**
 * scheduled: waits for its time. available: waits for a worker. running: under a lease.
 * done, dead (given up after its attempts or at once, waits for a person), cancelled: finished.
 */
export const JOB_STATES = ["scheduled", "available", "running", "done", "dead", "cancelled"] as const;

export type JobState = (typeof JOB_STATES)[number];

export interface NewJob {
  /** What is to be run: the name of a stage. */
  readonly kind: string;
  readonly project: string;
  readonly session: string;
  /** 0 first, 9 last. */
  readonly priority: number;
  readonly runAtMs?: number;
  /** The campaign it belongs to. */
  readonly campaign?: string;
  /** The stages the session may go on with after this one; undefined means all. */
  readonly stages?: readonly string[];
}

export interface Enqueued {
  readonly added: number;
  readonly existing: number;
}

export interface ClaimRequest {
  /** Who asks; told in errors and listings. */
  readonly owner: string;
  readonly kinds: readonly { readonly kind: string; readonly limit: number }[];
  readonly total: number;
  readonly leaseMs: number;
  readonly nowMs: number;
}

export interface Lease {
  readonly job: number;
  readonly fence: number;
}

export interface ClaimedJob extends Lease {
  readonly kind: string;
  readonly project: string;
  readonly session: string;
  readonly priority: number;
  readonly campaign: string | undefined;
  readonly stages: readonly string[] | undefined;
  /** Which attempt this is, from 1. Lost leases and snoozes are none. */
  readonly attempt: number;
  readonly lost: number;
}

/** `cancel`: the lease holds, but somebody wants the job to end. */
export type LeaseStatus = "held" | "cancel" | "lost";

export type Settlement = { readonly lease: Lease } & (
  | {
      readonly outcome: "done";
      /** What the stage gave; undefined when there was nothing to do. */
      readonly artifact: NewArtifact | undefined;
      readonly follow: readonly NewJob[];
    }
  /** Tried again at `runAtMs`; the attempt is spent. */
  | { readonly outcome: "retry"; readonly runAtMs: number; readonly error: JobError }
  /** Tried again at `runAtMs`; no attempt is spent. */
  | { readonly outcome: "snooze"; readonly runAtMs: number; readonly error: JobError }
  | { readonly outcome: "discard"; readonly error: JobError }
  | { readonly outcome: "cancelled" }
);

export interface JobError {
  /** An AppError's reason. */
  readonly reason: string;
  /** For people; never a recorded value. */
  readonly message: string;
}

export interface RescueOptions {
  readonly nowMs: number;
  readonly limit: number;
  readonly maxLost: number;
}

export interface Rescued {
  readonly rescued: number;
  readonly dead: number;
}

/** All that are given must match. An empty filter matches every job. */
export interface JobFilter {
  readonly ids?: readonly number[];
  readonly kind?: string;
  readonly project?: string;
  readonly session?: string;
  readonly campaign?: string;
  readonly state?: JobState;
  /** The reason of its last error. */
  readonly reason?: string;
}

export interface KindSettings {
  readonly paused?: boolean;
  readonly maxRunning?: number | undefined;
}

export interface Job {
  readonly id: number;
  readonly kind: string;
  readonly project: string;
  readonly session: string;
  readonly state: JobState;
  readonly priority: number;
  readonly attempts: number;
  readonly lost: number;
  readonly campaign: string | undefined;
  readonly createdAtMs: number;
  readonly runAtMs: number;
  readonly startedAtMs: number | undefined;
  readonly endedAtMs: number | undefined;
  readonly leaseOwner: string | undefined;
  readonly leaseUntilMs: number | undefined;
  readonly error: JobError | undefined;
}

export interface JobDetail extends Job {
  /** Attempts that did not end well, oldest first. */
  readonly history: readonly JobAttempt[];
}

export interface JobAttempt {
  readonly attempt: number;
  readonly outcome: "retry" | "snooze" | "discard" | "cancelled" | "lost";
  readonly owner: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly error: JobError;
}

export interface JobQuery extends JobFilter {
  readonly limit: number;
  readonly cursor: string | undefined;
}

export interface JobPage {
  readonly jobs: readonly Job[];
  readonly nextCursor: string | undefined;
}

export interface KindStats {
  readonly kind: string;
  readonly paused: boolean;
  readonly maxRunning: number | undefined;
  readonly counts: Readonly<Record<JobState, number>>;
  /** How long the oldest available job has waited. Milliseconds. */
  readonly oldestAvailableMs: number | undefined;
}
