import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Database } from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { JOB_STATES, type JobFilter } from "../../../src/core/store/jobs.ts";
import { ArtifactTable } from "../../../src/core/store/sqlite/artifact-table.ts";
import { openDatabase } from "../../../src/core/store/sqlite/database.ts";
import { findJobs } from "../../../src/core/store/sqlite/job-find.ts";
import { JobReader } from "../../../src/core/store/sqlite/job-reader.ts";
import { JobTable } from "../../../src/core/store/sqlite/job-table.ts";
import { migrateUp } from "../../../src/core/store/sqlite/migrate.ts";
import { listIds } from "../../../src/core/store/sqlite/session-list.ts";
import { Settler } from "../../../src/core/store/sqlite/settle.ts";

let dir: string;
let database: Database;
/** Every statement that was prepared, once. */
const prepared = new Set<string>();

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "sluice-plans-"));
  database = openDatabase({ path: join(dir, "sluice.db"), synchronous: "FULL", readonly: false });
  migrateUp(database, () => 1);
  const prepare = database.prepare.bind(database);
  database.prepare = (sql: string) => {
    prepared.add(sql);
    return prepare(sql);
  };
});
afterAll(async () => {
  database.close();
  await rm(dir, { recursive: true, force: true });
});

/** How SQLite goes about a statement, a line a step. */
function planOf(sql: string): string[] {
  const names = [...sql.matchAll(/@(\w+)/g)].map(({ 1: name = "" }) => [name, null]);
  const unnamed = [...sql.matchAll(/\?/g)].map(() => null);
  return database
    .prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`)
    .all(...unnamed, ...(names.length === 0 ? [] : [Object.fromEntries(names)]))
    .map(({ detail }) => detail);
}

/** The statements `act` prepares. */
function statementsOf(act: () => unknown): string[] {
  prepared.clear();
  act();
  return [...prepared];
}

describe("the statements of the ledger", () => {
  it("reach every job, session and artifact by an index, whatever they do", () => {
    const statements = statementsOf(() => {
      const jobs = new JobTable(database);
      jobs.setKind({ kind: "a", change: {} });
      new Settler(database, jobs, new ArtifactTable(database));
      const reader = new JobReader(database);
      reader.read(1);
      reader.nextDue(["a"]);
      reader.stats(1);
    });
    expect(statements.length).toBeGreaterThan(40);
    for (const sql of statements) {
      const scans = planOf(sql).filter((step) => step.startsWith("SCAN "));
      // As many as there are kinds, priorities, or things the caller names.
      const small = scans.filter((step) => /^SCAN (job_kinds|json_each)\b/.test(step));
      expect(scans, sql).toEqual(small);
    }
  });

  it("find what to claim in order, in the index of what is available alone", () => {
    const [claim, ...more] = statementsOf(() => new JobTable(database)).filter((sql) => /ORDER BY priority/.test(sql));
    expect(more).toEqual([]);
    expect(planOf(claim ?? "")).toEqual(["SEARCH jobs USING COVERING INDEX jobs_available (kind=?)"]);
  });

  it.each<[filter: JobFilter, index: RegExp]>([
    [{}, /^SCAN jobs$/],
    [{ state: "done" }, /^SCAN jobs$/],
    [{ project: "p" }, /COVERING INDEX jobs_by_project \(project=\?\)/],
    [{ campaign: "c" }, /COVERING INDEX jobs_by_campaign \(campaign=\? AND state=\?\)/],
    [{ session: "s" }, /COVERING INDEX jobs_by_session \(session_key=\?\)/],
    [{ session: "s", project: "p" }, /COVERING INDEX jobs_by_session \(session_key=\?\)/],
    [{ ids: [1] }, /INTEGER PRIMARY KEY/],
    [{ state: "dead", kind: "k" }, /INDEX jobs_dead \(kind=\?\)/],
    [{ state: "running", reason: "r" }, /INDEX jobs_running/],
  ])("list jobs of %j by its own index", (filter, index) => {
    const search = { filter, states: JOB_STATES, before: undefined, limit: 10 };
    for (const sql of statementsOf(() => findJobs(database, search))) expect(planOf(sql)[0]).toMatch(index);
  });

  it.each([
    ["open", /INDEX sessions_open \(project=\?/],
    ["sealed", /COVERING INDEX sessions_sealed \(project=\?/],
  ] as const)("list %s sessions by an index of their own", (status, index) => {
    const query = { project: "p", limit: 5, cursor: undefined, status, sinceMs: 1, untilMs: 2 };
    const [list = ""] = statementsOf(() => listIds(database, { ...query, labels: [], collector: undefined }));
    expect(planOf(list)[0]).toMatch(index);
    expect(planOf(list).join()).not.toContain("TEMP B-TREE");
  });
});
