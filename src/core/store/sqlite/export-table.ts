import type { Database, Statement } from "better-sqlite3";
import type { Exportable, ExportableQuery, ExportRecord } from "../exports.ts";
import { SelectionReader } from "./selection.ts";

interface Row {
  readonly root: string;
  readonly project: string;
  readonly format: string;
  readonly path: string;
  readonly examples: number;
  readonly created_at: number;
}

const COLUMNS = "lower(hex(root)) AS root, project, format, path, examples, created_at";

/** The exports there were, and the sessions each names. */
export class ExportTable {
  readonly #selection: SelectionReader;
  readonly #insert: Statement<[ExportArgs]>;
  readonly #name: Statement<[sessions: string, root: Buffer, path: string]>;
  readonly #byRoot: Statement<[Buffer], Row>;
  readonly #bySession: Statement<[session: string, project: string], Row>;

  constructor(database: Database) {
    this.#selection = new SelectionReader(database);
    this.#insert = database.prepare(
      `INSERT INTO exports (root, project, format, path, examples, created_at)
       VALUES (@root, @project, @format, @path, @examples, @createdAtMs) ON CONFLICT (root, path) DO NOTHING`,
    );
    this.#name = database.prepare(
      `INSERT INTO export_sessions (export, session)
       SELECT e.key, s.value FROM exports e, json_each(?) s WHERE e.root = ? AND e.path = ?
       ON CONFLICT DO NOTHING`,
    );
    this.#byRoot = database.prepare(`SELECT ${COLUMNS} FROM exports WHERE root = ? ORDER BY key`);
    this.#bySession = database.prepare(
      `SELECT ${COLUMNS} FROM export_sessions s JOIN exports e ON e.key = s.export
       WHERE s.session = ? AND e.project = ? ORDER BY e.key`,
    );
  }

  exportable(query: ExportableQuery): Exportable[] {
    return this.#selection.byId(query);
  }

  record({ root, ...record }: ExportRecord, sessions: readonly string[]): void {
    const bytes = Buffer.from(root, "hex");
    this.#insert.run({ ...record, root: bytes });
    this.#name.run(JSON.stringify(sessions), bytes, record.path);
  }

  find(root: string): ExportRecord[] {
    return this.#byRoot.all(Buffer.from(root, "hex")).map(recordOf);
  }

  naming(project: string, session: string): ExportRecord[] {
    return this.#bySession.all(session, project).map(recordOf);
  }
}

interface ExportArgs extends Omit<ExportRecord, "root"> {
  readonly root: Buffer;
}

function recordOf({ created_at: createdAtMs, ...row }: Row): ExportRecord {
  return { ...row, createdAtMs };
}
