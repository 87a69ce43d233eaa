import type { Database } from "better-sqlite3";
import { AppError } from "../../errors.ts";
import { JOB_STATES, type JobDetail, type JobPage, type JobQuery, type JobState, type KindStats } from "../jobs.ts";
import { findJobs, type JobSearch } from "./job-find.ts";
import { type AttemptRow, attemptOf, type JobRow, jobOf } from "./job-rows.ts";

/** Reads the ledger of jobs. */
export class JobReader {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  find(search: JobSearch): number[] {
    return findJobs(this.#database, search);
  }

  read(id: number): JobDetail | undefined {
    const [row] = this.#rows([id]);
    if (row === undefined) return undefined;
    const attempts = this.#database
      .prepare<[number], AttemptRow>(
        `SELECT attempt, outcome, owner, started_at, ended_at, reason, message FROM job_attempts
         WHERE job = ? ORDER BY fence`,
      )
      .all(id);
    return { ...jobOf(row), history: attempts.map(attemptOf) };
  }

  list({ limit, cursor, ...filter }: JobQuery): JobPage {
    const before = cursor === undefined ? undefined : parseCursor(cursor);
    const ids = this.find({ filter, states: JOB_STATES, before, limit: limit + 1 });
    const page = ids.slice(0, limit);
    const last = page.at(-1);
    return {
      jobs: this.#rows(page).map(jobOf),
      nextCursor: ids.length > limit && last !== undefined ? printCursor(last) : undefined,
    };
  }

  #rows(ids: readonly number[]): JobRow[] {
    return this.#database
      .prepare<[string], JobRow>(
        `SELECT jobs.*, sessions.id AS session FROM jobs JOIN sessions ON sessions.key = session_key
         WHERE jobs.id IN (SELECT value FROM json_each(?)) ORDER BY jobs.id DESC`,
      )
      .all(JSON.stringify(ids));
  }

  nextDue(kinds: readonly string[]): number | undefined {
    const row = this.#database
      .prepare<[string], { due: number | null }>(
        `SELECT min((SELECT min(run_at) FROM jobs WHERE state = 'scheduled' AND jobs.kind = job_kinds.kind)) AS due
         FROM job_kinds WHERE kind IN (SELECT value FROM json_each(?)) AND paused = 0`,
      )
      .get(JSON.stringify(kinds));
    return row?.due ?? undefined;
  }

  stats(nowMs: number): KindStats[] {
    const kinds = this.#database
      .prepare<[], { kind: string; paused: number; max_running: number | null }>(
        "SELECT kind, paused, max_running FROM job_kinds ORDER BY kind",
      )
      .all();
    return kinds.map(({ kind, paused, max_running }) => {
      const since = this.#oldestAvailable(kind);
      return {
        kind,
        paused: paused === 1,
        maxRunning: max_running ?? undefined,
        counts: this.#counts(kind),
        oldestAvailableMs: since === undefined ? undefined : Math.max(0, nowMs - since),
      };
    });
  }

  #counts(kind: string): Record<JobState, number> {
    const count = (state: JobState): number =>
      this.#database
        .prepare<[string], number>(`SELECT count(*) FROM jobs WHERE state = '${state}' AND kind = ?`)
        .pluck()
        .get(kind) ?? 0;
    return {
      scheduled: count("scheduled"),
      available: count("available"),
      running: count("running"),
      done: count("done"),
      dead: count("dead"),
      cancelled: count("cancelled"),
    };
  }

  /** Since when: the first of each priority is the oldest of it. */
  #oldestAvailable(kind: string): number | undefined {
    return this.#database
      .prepare<[string], number>(
        `SELECT run_at FROM jobs WHERE id = (
           SELECT min((SELECT min(id) FROM jobs WHERE state = 'available' AND kind = ? AND priority = value))
           FROM json_each('[0,1,2,3,4,5,6,7,8,9]'))`,
      )
      .pluck()
      .get(kind);
  }
}

function printCursor(id: number): string {
  return Buffer.from(JSON.stringify([id])).toString("base64url");
}

function parseCursor(cursor: string): number {
  try {
    const [id]: unknown[] = JSON.parse(Buffer.from(cursor, "base64url").toString());
    if (typeof id === "number") return id;
  } catch {
    // Falls through to the one error there is for a token that is not ours.
  }
  throw new AppError("invalid_argument", "The page token is not one that a list call returned.", {
    reason: "BAD_PAGE_TOKEN",
  });
}
