import type { Database } from "better-sqlite3";
import type {
  Selection,
  SelectionPage,
  SelectionQuery,
  SessionCursor,
  SignatureCount,
  StageDuration,
} from "../campaigns.ts";
import type { Exportable, ExportableQuery } from "../exports.ts";

type Value = string | number;

interface Condition {
  readonly sql: string;
  readonly values: readonly Value[];
}

/**
 * Which sessions a campaign works on. Both queries walk `sessions_sealed` (project,
 * created_at, id, pipeline), and read rows of `sessions` only for what that index does not hold.
 */
export class SelectionReader {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  count(selection: Selection): SignatureCount[] {
    const where = joined([...range(selection), ...filters(selection), ...freshUnder(this.#interned(selection))]);
    const rows = this.#database
      .prepare<Value[], { pipeline: number | null; sessions: number }>(
        `SELECT pipeline, count(*) AS sessions FROM sessions WHERE ${where.sql} GROUP BY pipeline`,
      )
      .all(...where.values);
    const signatures = this.#signatures();
    return rows.map(({ pipeline, sessions }) => ({ signature: signatures.get(pipeline) ?? "", sessions }));
  }

  select({ selection, after, limit, scan }: SelectionQuery): SelectionPage {
    const scanned = joined([...range(selection), ...past(after)]);
    const wanted = joined([...filters(selection), ...freshUnder(this.#interned(selection))]);
    const edge = this.#database
      .prepare<Value[], { created_at: number; id: string }>(
        `SELECT created_at, id FROM sessions WHERE ${scanned.sql} ORDER BY created_at, id LIMIT 1 OFFSET ?`,
      )
      .get(...scanned.values, scan - 1);
    const upTo: Condition[] =
      edge === undefined ? [] : [{ sql: "(created_at, id) <= (?, ?)", values: [edge.created_at, edge.id] }];
    const within = joined([...range(selection), ...past(after), ...upTo]);
    const rows = this.#database
      .prepare<Value[], { created_at: number; id: string; pipeline: number | null }>(
        `SELECT created_at, id, pipeline FROM sessions WHERE ${within.sql} AND ${wanted.sql} ORDER BY created_at, id LIMIT ?`,
      )
      .all(...within.values, ...wanted.values, limit);
    const signatures = this.#signatures();
    const sessions = rows.map((row) => ({
      createdAtMs: row.created_at,
      id: row.id,
      signature: signatures.get(row.pipeline) ?? "",
    }));
    const last = sessions.at(-1);
    // A page that is full may leave matches before the edge of what was scanned.
    if (rows.length === limit && last !== undefined) {
      return { sessions, cursor: { createdAtMs: last.createdAtMs, id: last.id }, exhausted: false };
    }
    const cursor = edge === undefined ? after : { createdAtMs: edge.created_at, id: edge.id };
    return { sessions, cursor, exhausted: edge === undefined };
  }

  /** Sessions in any state, by id. Walks `sessions_by_id`. */
  byId({ selection, after, limit }: ExportableQuery): Exportable[] {
    const { project, sinceMs, untilMs } = selection;
    const where = joined([
      { sql: "project = ?", values: [project] },
      ...(after === undefined ? [] : [{ sql: "id > ?", values: [after] }]),
      ...(sinceMs === undefined ? [] : [{ sql: "+created_at >= ?", values: [sinceMs] }]),
      ...(untilMs === undefined ? [] : [{ sql: "+created_at < ?", values: [untilMs] }]),
      ...filters(selection),
      ...freshUnder(this.#interned(selection)),
    ]);
    const rows = this.#database
      .prepare<Value[], { id: string; status: string; pipeline: number | null; score: number | null }>(
        `SELECT id, status, pipeline, score FROM sessions INDEXED BY sessions_by_id WHERE ${where.sql} ORDER BY id LIMIT ?`,
      )
      .all(...where.values, limit);
    const signatures = this.#signatures();
    return rows.map(({ id, status, pipeline, score }) => ({
      session: id,
      sealed: status === "sealed",
      signature: signatures.get(pipeline) ?? "",
      score: score ?? undefined,
    }));
  }

  durations(): StageDuration[] {
    return this.#database
      .prepare<[number], StageDuration>(
        `SELECT stage, avg(duration_ms) AS meanMs, count(*) AS samples
         FROM (SELECT stage, duration_ms FROM artifacts ORDER BY id DESC LIMIT ?) GROUP BY stage`,
      )
      .all(SAMPLED);
  }

  #signatures(): Map<number | null, string> {
    const rows = this.#database
      .prepare<[], { id: number; signature: string }>("SELECT id, signature FROM pipeline_signatures")
      .all();
    return new Map<number | null, string>([[null, ""], ...rows.map((row) => [row.id, row.signature] as const)]);
  }

  /** The ids of the signatures wanted, 0 for "" ; undefined when any will do. */
  #interned({ signatures }: Selection): number[] | undefined {
    if (signatures === undefined) return undefined;
    const wanted = new Set(signatures);
    return [...this.#signatures()].filter(([, signature]) => wanted.has(signature)).map(([id]) => id ?? 0);
  }
}

/** Artifacts whose durations are averaged, over all stages. */
const SAMPLED = 2_000;

function joined(conditions: readonly Condition[]): Condition {
  return {
    sql: conditions.length === 0 ? "TRUE" : conditions.map(({ sql }) => sql).join(" AND "),
    values: conditions.flatMap(({ values }) => values),
  };
}

/** What the index answers. */
function range({ project, sinceMs, untilMs }: Selection): Condition[] {
  return [
    { sql: "project = ? AND status = 'sealed'", values: [project] },
    ...(sinceMs === undefined ? [] : [{ sql: "created_at >= ?", values: [sinceMs] }]),
    ...(untilMs === undefined ? [] : [{ sql: "created_at < ?", values: [untilMs] }]),
  ];
}

function past(after: SessionCursor | undefined): Condition[] {
  return after === undefined ? [] : [{ sql: "(created_at, id) > (?, ?)", values: [after.createdAtMs, after.id] }];
}

function freshUnder(signatures: readonly number[] | undefined): Condition[] {
  if (signatures === undefined) return [];
  return [{ sql: "coalesce(pipeline, 0) IN (SELECT value FROM json_each(?))", values: [JSON.stringify(signatures)] }];
}

function filters({ ids, collector, labels, minScore, maxScore }: Selection): Condition[] {
  return [
    ...(ids === undefined ? [] : [{ sql: "id IN (SELECT value FROM json_each(?))", values: [JSON.stringify(ids)] }]),
    ...(collector === undefined ? [] : [{ sql: "collector = ?", values: [collector] }]),
    ...(minScore === undefined ? [] : [{ sql: "score >= ?", values: [minScore] }]),
    ...(maxScore === undefined ? [] : [{ sql: "score <= ?", values: [maxScore] }]),
    ...(labels ?? []).map(({ name, value }) => ({
      sql: "EXISTS (SELECT 1 FROM session_labels WHERE session_key = sessions.key AND name = ? AND value = ?)",
      values: [name, value],
    })),
  ];
}
