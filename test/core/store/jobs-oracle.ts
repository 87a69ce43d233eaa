import type {
  Enqueued,
  JobError,
  JobFilter,
  JobState,
  KindSettings,
  LeaseStatus,
  NewJob,
  Rescued,
} from "../../../src/core/store/jobs.ts";

/** A job as the oracle knows it. `id` is what the store calls it, once a claim has told. */
export interface OracleJob {
  readonly kind: string;
  readonly session: string;
  readonly campaign: string | undefined;
  readonly priority: number;
  id: number | undefined;
  state: JobState;
  runAt: number;
  endedAt: number | undefined;
  attempts: number;
  lost: number;
  fence: number;
  owner: string | undefined;
  leaseUntil: number;
  cancel: boolean;
  rerun: boolean;
  error: string | undefined;
  readonly history: { readonly outcome: string; readonly attempt: number; readonly reason: string }[];
}

/** A claim somebody got. It stays in hand after the lease is lost: its holder is a zombie then. */
export interface Held {
  readonly job: OracleJob;
  readonly fence: number;
}

/** How an attempt is to end. */
export type Ending =
  | { readonly outcome: "done"; readonly artifact: string | undefined; readonly follow: readonly NewJob[] }
  | {
      readonly outcome: "retry" | "snooze" | "discard" | "cancelled";
      readonly runAt: number;
      readonly error: JobError;
    };

/** The ledger in plain words: one array, no index, no SQL. Jobs stand in the order they were made. */
export class JobsOracle {
  readonly jobs: OracleJob[] = [];
  /** Keys of the artifacts of each session, in the order they were given. */
  readonly artifacts = new Map<string, string[]>();
  readonly #kinds = new Map<string, { paused: boolean; maxRunning: number | undefined }>();

  enqueue(jobs: readonly NewJob[], now: number): Enqueued {
    let added = 0;
    for (const { kind, session, campaign, priority, runAtMs } of jobs) {
      this.#kind(kind);
      const there = this.jobs.find((job) => job.kind === kind && job.session === session && unfinished(job));
      if (there !== undefined) {
        if (there.state === "running") there.rerun = true;
        continue;
      }
      added += 1;
      const runAt = Math.max(now, runAtMs ?? now);
      this.jobs.push({
        ...{ kind, session, campaign, priority, runAt, id: undefined, state: runAt > now ? "scheduled" : "available" },
        ...{ endedAt: undefined, attempts: 0, lost: 0, fence: 0, owner: undefined, leaseUntil: 0 },
        ...{ cancel: false, rerun: false, error: undefined, history: [] },
      });
    }
    return { added, existing: jobs.length - added };
  }

  claim(
    owner: string,
    kinds: readonly { readonly kind: string; readonly limit: number }[],
    total: number,
    leaseMs: number,
    now: number,
  ): Held[] {
    const chosen = kinds.flatMap(({ kind, limit }, order) => {
      const settings = this.#kinds.get(kind);
      if (settings === undefined || settings.paused) return [];
      const own = this.jobs.filter((job) => job.kind === kind);
      for (const job of own) if (job.state === "scheduled" && job.runAt <= now) job.state = "available";
      const running = own.filter((job) => job.state === "running").length;
      const room = Math.min(limit, Math.max(0, (settings.maxRunning ?? Number.POSITIVE_INFINITY) - running));
      return own
        .filter((job) => job.state === "available")
        .sort((a, b) => a.priority - b.priority)
        .slice(0, room)
        .map((job) => ({ job, order }));
    });
    const taken = chosen.sort((a, b) => a.job.priority - b.job.priority || a.order - b.order).slice(0, total);
    return taken.map(({ job }) => {
      job.state = "running";
      job.fence += 1;
      job.owner = owner;
      job.leaseUntil = now + leaseMs;
      job.rerun = false;
      return { job, fence: job.fence };
    });
  }

  heartbeat({ job, fence }: Held, until: number): LeaseStatus {
    if (!holds({ job, fence })) return "lost";
    job.leaseUntil = Math.max(job.leaseUntil, until);
    return job.cancel ? "cancel" : "held";
  }

  settle(held: Held, ending: Ending, now: number): "settled" | "lost" {
    const { job } = held;
    if (!holds(held)) return "lost";
    switch (ending.outcome) {
      case "done":
        end(job, "done", undefined, now);
        if (ending.artifact !== undefined) this.#artifacts(job.session).push(ending.artifact);
        this.enqueue(ending.follow, now);
        return "settled";
      case "retry":
      case "snooze":
        job.history.push({ outcome: ending.outcome, attempt: job.attempts + 1, reason: ending.error.reason });
        if (job.cancel) {
          end(job, "cancelled", ending.error.reason, now, ending.outcome === "retry");
          return "settled";
        }
        if (ending.outcome === "retry") job.attempts += 1;
        job.error = ending.error.reason;
        job.runAt = Math.max(now, ending.runAt);
        giveUp(job, ending.runAt > now ? "scheduled" : "available");
        return "settled";
      case "discard":
        job.history.push({ outcome: "discard", attempt: job.attempts + 1, reason: ending.error.reason });
        end(job, "dead", ending.error.reason, now);
        return "settled";
      case "cancelled":
        job.history.push({ outcome: "cancelled", attempt: job.attempts + 1, reason: "CANCELLED" });
        end(job, "cancelled", job.error, now);
        return "settled";
      default:
        return ending satisfies never;
    }
  }

  rescue(now: number, maxLost: number): Rescued {
    const expired = this.jobs.filter((job) => job.state === "running" && job.leaseUntil <= now);
    for (const job of expired) {
      job.history.push({ outcome: "lost", attempt: job.attempts + 1, reason: "LEASE_EXPIRED" });
      const tooOften = job.lost + 1 >= maxLost;
      job.runAt = now;
      job.error = tooOften && !job.rerun ? "LOST_TOO_OFTEN" : "LEASE_EXPIRED";
      if (job.rerun) {
        job.attempts = 0;
        job.lost = 0;
        giveUp(job, "available");
        continue;
      }
      const state = job.cancel ? "cancelled" : tooOften ? "dead" : "available";
      job.lost += 1;
      giveUp(job, state);
      if (state !== "available") job.endedAt = now;
    }
    const dead = expired.filter((job) => job.state === "dead").length;
    return { rescued: expired.length - dead, dead };
  }

  cancel(filter: JobFilter, now: number): number {
    const matching = this.#matching(filter).filter((job) => unfinished(job) && !(job.cancel && !job.rerun));
    for (const job of matching) {
      if (job.state === "running") {
        job.cancel = true;
        job.rerun = false;
        continue;
      }
      job.state = "cancelled";
      job.endedAt = now;
    }
    return matching.length;
  }

  redrive(filter: JobFilter, now: number): number {
    let count = 0;
    for (const job of this.#matching(filter).reverse()) {
      if (job.state !== "dead" && job.state !== "cancelled") continue;
      if (this.jobs.some((other) => other.kind === job.kind && other.session === job.session && unfinished(other))) {
        continue;
      }
      Object.assign(job, {
        state: "available",
        runAt: now,
        endedAt: undefined,
        attempts: 0,
        lost: 0,
        error: undefined,
      });
      count += 1;
    }
    return count;
  }

  runNow(filter: JobFilter, now: number): number {
    const matching = this.#matching(filter).filter((job) => job.state === "scheduled");
    for (const job of matching) Object.assign(job, { state: "available", runAt: now });
    return matching.length;
  }

  prune(before: number): number {
    const stays = ({ state, endedAt }: OracleJob): boolean =>
      endedAt === undefined || state === "dead" || endedAt >= before;
    const pruned = this.jobs.filter((job) => !stays(job)).length;
    this.jobs.splice(0, this.jobs.length, ...this.jobs.filter(stays));
    return pruned;
  }

  setKind(kind: string, change: KindSettings): void {
    const settings = this.#kind(kind);
    if (change.paused !== undefined) settings.paused = change.paused;
    if ("maxRunning" in change) settings.maxRunning = change.maxRunning;
  }

  /** When the next scheduled job of a kind that is not paused is due. */
  nextDue(kinds: readonly string[]): number | undefined {
    const due = this.jobs
      .filter(
        ({ kind, state }) => kinds.includes(kind) && state === "scheduled" && this.#kinds.get(kind)?.paused === false,
      )
      .map(({ runAt }) => runAt);
    return due.length === 0 ? undefined : Math.min(...due);
  }

  #matching({ kind, session, campaign, state, reason, ids }: JobFilter): OracleJob[] {
    return this.jobs.filter(
      (job) =>
        (kind === undefined || job.kind === kind) &&
        (session === undefined || job.session === session) &&
        (campaign === undefined || job.campaign === campaign) &&
        (state === undefined || job.state === state) &&
        (reason === undefined || job.error === reason) &&
        (ids === undefined || (job.id !== undefined && ids.includes(job.id))),
    );
  }

  #kind(kind: string): { paused: boolean; maxRunning: number | undefined } {
    const settings = this.#kinds.get(kind) ?? { paused: false, maxRunning: undefined };
    this.#kinds.set(kind, settings);
    return settings;
  }

  #artifacts(session: string): string[] {
    const keys = this.artifacts.get(session) ?? [];
    this.artifacts.set(session, keys);
    return keys;
  }
}

function unfinished(job: OracleJob): boolean {
  return job.endedAt === undefined;
}

function holds({ job, fence }: Held): boolean {
  return job.state === "running" && job.fence === fence;
}

function giveUp(job: OracleJob, state: JobState): void {
  Object.assign(job, { state, owner: undefined, leaseUntil: 0, cancel: false, rerun: false });
}

/** The attempt was the job's last, unless it was enqueued again meanwhile. */
function end(job: OracleJob, state: JobState, error: string | undefined, now: number, spent = true): void {
  job.error = error;
  if (job.rerun) {
    Object.assign(job, { attempts: 0, lost: 0, runAt: now });
    giveUp(job, "available");
    return;
  }
  if (spent) job.attempts += 1;
  job.endedAt = now;
  giveUp(job, state);
}
