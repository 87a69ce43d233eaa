import type { Database, Statement } from "better-sqlite3";
import { AppError } from "../../errors.ts";
import type {
  Backfill,
  BackfillChange,
  BackfillItem,
  BackfillState,
  EndedItem,
  ItemCount,
  ItemQuery,
  ItemStanding,
  NewBackfill,
  NewItem,
} from "../backfills.ts";

interface Row {
  readonly key: number;
  readonly id: string;
  readonly project: string;
  readonly sources: string;
  readonly settings: string;
  readonly state: BackfillState;
  readonly version: number;
  readonly created_at: number;
  readonly updated_at: number;
}

const ITEM = "path, outcome, format, sessions, events, quarantined, blobs, bytes, reason, message";

/** Backfills and their items. Reads work on any connection, writes inside the writer's transaction. */
export class BackfillTable {
  readonly #database: Database;
  readonly #read: Statement<[string], Row>;
  readonly #known: Statement<[backfill: number, path: string], { outcome: string }>;
  readonly #imported: Statement<[project: string, digest: Buffer], { key: number }>;
  readonly #begin: Statement<
    [backfill: number, project: string, path: string, digest: Buffer, outcome: string, reason: string, bytes: number]
  >;
  readonly #end: Statement<[EndArgs]>;
  readonly #session: Statement<[backfill: number, session: string]>;

  constructor(database: Database) {
    this.#database = database;
    this.#read = database.prepare("SELECT * FROM backfills WHERE id = ?");
    this.#known = database.prepare("SELECT outcome FROM backfill_items WHERE backfill = ? AND path = ?");
    this.#imported = database.prepare(
      "SELECT key FROM backfill_items WHERE project = ? AND digest = ? AND outcome = 'imported' LIMIT 1",
    );
    this.#begin = database.prepare(
      "INSERT INTO backfill_items (backfill, project, path, digest, outcome, reason, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
    this.#end = database.prepare(
      `UPDATE backfill_items SET outcome = @outcome, format = @format, sessions = @sessions, events = @events,
         quarantined = @quarantined, blobs = @blobs, bytes = @bytes, reason = @reason, message = @message
       WHERE backfill = @backfill AND path = @path`,
    );
    this.#session = database.prepare(
      "INSERT INTO backfill_sessions (backfill, session) VALUES (?, ?) ON CONFLICT DO NOTHING",
    );
  }

  create({ id, project, sources, settings, createdAtMs }: NewBackfill): Backfill {
    this.#database
      .prepare(
        "INSERT INTO backfills (id, project, sources, settings, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
      )
      .run(id, project, JSON.stringify(sources), JSON.stringify(settings), createdAtMs, createdAtMs);
    return backfillOf(this.#existing(id));
  }

  read(id: string): Backfill | undefined {
    const row = this.#read.get(id);
    return row && backfillOf(row);
  }

  list(limit: number): Backfill[] {
    return this.#database
      .prepare<[number], Row>("SELECT * FROM backfills ORDER BY key DESC LIMIT ?")
      .all(limit)
      .map(backfillOf);
  }

  change(id: string, { state, settings }: BackfillChange, nowMs: number): Backfill {
    const row = this.#existing(id);
    if (row.state === "done" || row.state === "cancelled") {
      throw new AppError("failed_precondition", `Backfill ${id} is ${row.state}. Start another.`, {
        reason: "BACKFILL_ENDED",
      });
    }
    const merged = JSON.stringify({ ...JSON.parse(row.settings), ...settings });
    this.#database
      .prepare("UPDATE backfills SET state = ?, settings = ?, version = version + 1, updated_at = ? WHERE key = ?")
      .run(state ?? row.state, merged, nowMs, row.key);
    return backfillOf(this.#existing(id));
  }

  endedPaths(id: string, paths: readonly string[]): string[] {
    const { key } = this.#existing(id);
    return paths.filter((path) => (this.#known.get(key, path)?.outcome ?? "begun") !== "begun");
  }

  begin(id: string, items: readonly NewItem[]): ItemStanding[] {
    const { key, project } = this.#existing(id);
    return items.map(({ path, digest, bytes: size }) => {
      const known = this.#known.get(key, path);
      if (known !== undefined) return known.outcome === "begun" ? "begun" : "ended";
      const bytes = Buffer.from(digest, "hex");
      const duplicate = this.#imported.get(project, bytes) !== undefined;
      const [outcome, reason] = duplicate ? ["duplicate", "SAME_CONTENT"] : ["begun", ""];
      this.#begin.run(key, project, path, bytes, outcome ?? "begun", reason ?? "", size);
      return duplicate ? "duplicate" : "fresh";
    });
  }

  end(id: string, items: readonly EndedItem[]): void {
    const { key } = this.#existing(id);
    for (const { sessions, ...item } of items) {
      this.#end.run({ ...item, sessions: sessions.length, backfill: key });
      for (const session of sessions) this.#session.run(key, session);
    }
  }

  retry(id: string): number {
    const { key } = this.#existing(id);
    return this.#database.prepare("DELETE FROM backfill_items WHERE backfill = ? AND outcome = 'refused'").run(key)
      .changes;
  }

  items({ id, outcome, after = "", limit }: ItemQuery): BackfillItem[] {
    return this.#database
      .prepare<[number, string, string, number], BackfillItem>(
        `SELECT ${ITEM} FROM backfill_items WHERE backfill = ? AND outcome = ? AND path > ? ORDER BY path LIMIT ?`,
      )
      .all(this.#existing(id).key, outcome, after, limit);
  }

  count(id: string): ItemCount[] {
    return this.#database
      .prepare<[number], ItemCount>(
        `SELECT format, outcome, reason, count(*) AS items, sum(sessions) AS sessions, sum(events) AS events,
           sum(quarantined) AS quarantined, sum(blobs) AS blobs, sum(bytes) AS bytes
         FROM backfill_items WHERE backfill = ? GROUP BY format, outcome, reason ORDER BY format, outcome, reason`,
      )
      .all(this.#existing(id).key);
  }

  sessions(id: string, after: string | undefined, limit: number): string[] {
    return this.#database
      .prepare<[number, string, number], { session: string }>(
        "SELECT session FROM backfill_sessions WHERE backfill = ? AND session > ? ORDER BY session LIMIT ?",
      )
      .all(this.#existing(id).key, after ?? "", limit)
      .map(({ session }) => session);
  }

  #existing(id: string): Row {
    const row = this.#read.get(id);
    if (row !== undefined) return row;
    throw new AppError("not_found", `There is no backfill ${id}; sluice backfill list has those there are.`, {
      reason: "BACKFILL_NOT_FOUND",
    });
  }
}

interface EndArgs extends Omit<EndedItem, "sessions"> {
  readonly sessions: number;
  readonly backfill: number;
}

function backfillOf({ id, project, sources, settings, state, version, created_at, updated_at }: Row): Backfill {
  return {
    id,
    project,
    sources: JSON.parse(sources),
    settings: JSON.parse(settings),
    state,
    version,
    createdAtMs: created_at,
    updatedAtMs: updated_at,
  };
}
