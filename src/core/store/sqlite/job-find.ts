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
  const find = ({ from, where, params }: Source): number[] => {
    const rest = residual(filter, before);
    const conditions = [...where, ...rest.where];
    const text = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
    return database
      .prepare<(string | number)[], number>(`SELECT jobs.id FROM ${from} ${text} ORDER BY jobs.id DESC LIMIT ?`)
      .pluck()
      .all(...params, ...rest.params, limit);
  };
  const found = sources(filter, states).map(find);
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
  readonly where: readonly string[];
  readonly params: readonly (string | number)[];
}

function sources(filter: JobFilter, states: readonly JobState[]): Source[] {
  const { ids, session, project, campaign } = filter;
  if (states.length === 0) return [];
  const inStates = states.length === JOB_STATES.length ? [] : [`state IN (${states.map(quoted).join(", ")})`];
  if (ids !== undefined) {
    const picked = "jobs.id IN (SELECT value FROM json_each(?))";
    return [{ from: "jobs", where: [picked, ...inStates], params: [JSON.stringify(ids)] }];
  }
  if (session !== undefined) {
    const projects = project === undefined ? "SELECT id FROM projects" : "SELECT ?";
    const keys = `session_key IN (SELECT key FROM sessions WHERE project IN (${projects}) AND id = ?)`;
    const params = project === undefined ? [session] : [project, session];
    return [{ from: "jobs INDEXED BY jobs_by_session", where: [keys, ...inStates], params }];
  }
  if (campaign !== undefined) {
    return states.map((state) => ({
      from: "jobs INDEXED BY jobs_by_campaign",
      where: ["campaign = ?", `state = ${quoted(state)}`],
      params: [campaign],
    }));
  }
  // Done jobs are most of a ledger: they are looked through as they lie.
  if (!states.includes("done")) {
    return states.map((state) => ({
      from: `jobs INDEXED BY jobs_${state}`,
      where: [`state = ${quoted(state)}`],
      params: [],
    }));
  }
  if (project !== undefined) {
    return [{ from: "jobs INDEXED BY jobs_by_project", where: ["project = ?", ...inStates], params: [project] }];
  }
  return [{ from: "jobs NOT INDEXED", where: inStates, params: [] }];
}

function residual(filter: JobFilter, before: number | undefined): Pick<Source, "where" | "params"> {
  const checks: readonly (readonly [string, string | number | undefined])[] = [
    ["jobs.id < ?", before],
    ["kind = ?", filter.kind],
    ["project = ?", filter.project],
    ["session_key IN (SELECT key FROM sessions WHERE id = ?)", filter.ids && filter.session],
    ["campaign = ?", filter.campaign],
    ["error_reason = ?", filter.reason],
  ];
  const given = checks.flatMap(([text, value]) => (value === undefined ? [] : [{ text, value }]));
  return { where: given.map(({ text }) => text), params: given.map(({ value }) => value) };
}

function quoted(state: JobState): string {
  return `'${state}'`;
}
