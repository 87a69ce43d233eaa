import { randomUUID } from "node:crypto";
import { closeSync, fdatasyncSync, openSync } from "node:fs";
import Database from "better-sqlite3";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { SqliteStore } from "../../src/core/store/sqlite/sqlite-store.ts";

/** Jobs in one claim, and in one settle. */
const GROUP = 125;
/** Claims and settles in flight: enough that one commit carries several. With GROUP, 500 jobs in hand, as graphile-worker has. */
const LANES = 4;
const LEASE_MS = 60_000;
const SIGNAL = new AbortController().signal;

/** A store whose no-op jobs are run through the Store port with its threads, at synchronous=FULL. */
export class NoopLedger implements AsyncDisposable {
  readonly #path: string;
  readonly #store: SqliteStore;

  private constructor(path: string, store: SqliteStore) {
    this.#path = path;
    this.#store = store;
  }

  static async open(path: string): Promise<NoopLedger> {
    return new NoopLedger(path, await SqliteStore.open({ path, limits: DEFAULT_LIMITS, create: false }));
  }

  async enqueue(jobs: number): Promise<void> {
    const sessions = addSessions(this.#path, jobs);
    for (let from = 0; from < jobs; from += 1_000) {
      const part = sessions.slice(from, from + 1_000).map((session) => ({ ...JOB, session }));
      await this.#store.enqueue(part, Date.now(), SIGNAL);
    }
  }

  /** Claims each under a lease and a fence, runs it (nothing), and settles it. Returns the seconds it took. */
  async run(jobs: number): Promise<number> {
    let left = jobs;
    let settled = 0;
    const lane = async (_: unknown, number: number): Promise<void> => {
      while (left > 0) {
        const total = Math.min(GROUP, left);
        left -= total;
        const ended = await this.#group(`lane-${number}`, total);
        settled += ended;
      }
    };
    const begun = performance.now();
    await Promise.all(Array.from({ length: LANES }, lane));
    const seconds = (performance.now() - begun) / 1000;
    if (settled !== jobs) throw new Error(`${settled} of ${jobs} jobs were settled`);
    return seconds;
  }

  async #group(owner: string, total: number): Promise<number> {
    const kinds = [{ kind: JOB.kind, limit: total }];
    const claimed = await this.#store.claim({ owner, kinds, total, leaseMs: LEASE_MS, nowMs: Date.now() }, SIGNAL);
    const outcomes = await this.#store.settle(
      claimed.map(({ job, fence }) => ({ lease: { job, fence }, outcome: "done", artifact: undefined, follow: [] })),
      Date.now(),
      SIGNAL,
    );
    return outcomes.filter((outcome) => outcome === "settled").length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }
}

const JOB = { kind: "noop", project: "bench", priority: 5 };

/**
 * Makes a store with a backlog of other jobs of the same kind, half of them available and less
 * urgent, half scheduled for another day, each of a session of its own.
 */
export async function fillLedger(path: string, backlog: number): Promise<void> {
  await (await SqliteStore.open({ path, limits: DEFAULT_LIMITS, create: true }))[Symbol.asyncDispose]();
  const database = new Database(path);
  database.exec("INSERT INTO projects (id, created_at) VALUES ('bench', 1)");
  database.close();
  if (backlog === 0) return;
  addSessions(path, backlog);
  const filled = new Database(path);
  filled.pragma("synchronous = OFF");
  filled.exec("INSERT INTO job_kinds (kind) VALUES ('noop')");
  filled
    .prepare(
      `INSERT INTO jobs (kind, project, session_key, state, priority, created_at, run_at)
       SELECT 'noop', 'bench', key, iif(key % 2, 'scheduled', 'available'), 9, 1, iif(key % 2, ?, 1) FROM sessions`,
    )
    .run(Date.now() + 86_400_000);
  filled.close();
  toDisk(path);
}

/** Sealed sessions, as collectors name them: at random. Returns their ids. */
function addSessions(path: string, count: number): string[] {
  const ids = Array.from({ length: count }, () => randomUUID());
  const database = new Database(path);
  database.pragma("synchronous = OFF");
  const insert = database.prepare(
    `INSERT INTO sessions (project, id, created_at, updated_at, status, sealed_at, sealed_missing, info)
     VALUES ('bench', ?, ?, 1, 'sealed', 1, '[]', ?)`,
  );
  const info = JSON.stringify({
    ...{ task: "Order a mug and have it sent home", collector: "extension/2.1.0", startUrl: "https://shop.example/" },
    ...{ userAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", labels: [], rawJson: "" },
  });
  database.transaction(() => {
    for (const [index, id] of ids.entries()) insert.run(id, index, info);
  })();
  database.close();
  toDisk(path);
  return ids;
}

/** Else the first checkpoint of what is measured would wait for all that was prepared. */
function toDisk(path: string): void {
  const file = openSync(path, "r+");
  fdatasyncSync(file);
  closeSync(file);
}
