import type { Database } from "better-sqlite3";
import { JOB_STATES, type JobFilter, type JobState } from "../jobs.ts";

export interface JobSearch {
  readonly filter: JobFilter;
  /** Only jobs in one of these. */
  readonly states: readonly JobState[];
  /** Only jobs older than this one. */
  readonly before: number | undefined;
  readonly limit: number;
}

/**
 * The ids of the jobs that match, newest first. What is looked through is the narrowest index there
 * is for the filter; the rest of it is checked row by row.
 */
export function findJobs(database: Database, search: JobSearch): number[] {
  const { filter, before, limit } = search;
  const states = search.states.filter((state) => filter.state === undefined || state === filter.state);
  const found = sources(filter, states).map(({ from, where, checked }) => {
    const conditions = [...where, ...remaining(filter, before, checked)];
    const text = conditions.length === 0 ? "" : `WHERE ${conditions.map((each) => each.sql).join(" AND ")}`;
    return database
      .prepare<Value[], number>(`SELECT jobs.id FROM ${from} ${text} ORDER BY jobs.id DESC LIMIT ?`)
      .pluck()
      .all(...conditions.flatMap(({ values }) => values), limit);
  });
  const [only = []] = found;
  if (found.length < 2) return only;
  return found
    .flat()
    .sort((a, b) => b - a)
    .slice(0, limit);
}

/** Which jobs to look through; several are parts of one whole. */
interface Source {
  readonly from: string;
  readonly where: readonly Condition[];
  /** What of the filter `where` holds to. */
  readonly checked: readonly (keyof JobFilter)[];
}

interface Condition {
  readonly sql: string;
  readonly values: readonly Value[];
}

type Value = string | number;

function sources(filter: JobFilter, states: readonly JobState[]): Source[] {
  const { ids, session, project, campaign } = filter;
  if (states.length === 0) return [];
  const inStates = states.length === JOB_STATES.length ? [] : [stateIn(states)];
  if (ids !== undefined) {
    const picked = { sql: "jobs.id IN (SELECT value FROM json_each(?))", values: [JSON.stringify(ids)] };
    return [{ from: "jobs", where: [picked, ...inStates], checked: ["ids"] }];
  }
  if (session !== undefined) {
    return [
      {
        from: "jobs INDEXED BY jobs_by_session",
        where: [ofSession(session, project), ...inStates],
        checked: ["session", "project"],
      },
    ];
  }
  if (campaign !== undefined) {
    return states.map((state) => ({
      from: "jobs INDEXED BY jobs_by_campaign",
      where: [{ sql: "campaign = ?", values: [campaign] }, stateIn([state])],
      checked: ["campaign"],
    }));
  }
  // Done jobs are most of a ledger: they are looked through as they lie.
  if (!states.includes("done")) {
    return states.map((state) => ({ from: `jobs INDEXED BY jobs_${state}`, where: [stateIn([state])], checked: [] }));
  }
  if (project !== undefined) {
    const own = { sql: "project = ?", values: [project] };
    return [{ from: "jobs INDEXED BY jobs_by_project", where: [own, ...inStates], checked: ["project"] }];
  }
  return [{ from: "jobs NOT INDEXED", where: inStates, checked: [] }];
}

function remaining(filter: JobFilter, before: number | undefined, checked: Source["checked"]): Condition[] {
  const { kind, project, session, campaign, reason } = filter;
  const conditions: (Condition | undefined)[] = [
    before === undefined ? undefined : { sql: "jobs.id < ?", values: [before] },
    kind === undefined ? undefined : { sql: "kind = ?", values: [kind] },
    project === undefined || checked.includes("project") ? undefined : { sql: "project = ?", values: [project] },
    session === undefined || checked.includes("session") ? undefined : ofSession(session, project),
    campaign === undefined || checked.includes("campaign") ? undefined : { sql: "campaign = ?", values: [campaign] },
    reason === undefined ? undefined : { sql: "error_reason = ?", values: [reason] },
  ];
  return conditions.filter((condition) => condition !== undefined);
}

function ofSession(session: string, project: string | undefined): Condition {
  if (project !== undefined) {
    return { sql: "session_key = (SELECT key FROM sessions WHERE project = ? AND id = ?)", values: [project, session] };
  }
  // Sessions are found by project and id: each project is asked.
  const keys = "SELECT key FROM sessions WHERE project IN (SELECT id FROM projects) AND id = ?";
  return { sql: `session_key IN (${keys})`, values: [session] };
}

/** Literals, not parameters: only they bring a state's own index into the plan. */
function stateIn(states: readonly JobState[]): Condition {
  const [only] = states;
  const quoted = states.map((state) => `'${state}'`).join(", ");
  return { sql: states.length === 1 ? `state = '${only}'` : `state IN (${quoted})`, values: [] };
}
