import type { Database, Statement } from "better-sqlite3";
import type { BlobRecord, NewBlob, RecordedAs } from "../store.ts";

/** Which blobs a project has. Ids are stored as their 32 bytes. */
export class BlobTable {
  readonly #insertProject: Statement<[string, number]>;
  readonly #insert: Statement<[string, Buffer, number, string, number]>;
  readonly #select: Statement<[string, Buffer], Row>;
  readonly #forget: Statement<[string, Buffer]>;
  readonly #reopen: Statement<[string, Buffer]>;
  readonly #isSealed: Statement<[string, string], { one: 1 }>;

  constructor(database: Database) {
    this.#insertProject = database.prepare("INSERT OR IGNORE INTO projects (id, created_at) VALUES (?, ?)");
    this.#insert = database.prepare(
      "INSERT OR IGNORE INTO blobs (project, id, size, media_type, stored_at) VALUES (?, ?, ?, ?, ?)",
    );
    this.#select = database.prepare("SELECT size, media_type, removed_at FROM blobs WHERE project = ? AND id = ?");
    this.#forget = database.prepare("DELETE FROM blobs WHERE project = ? AND id = ? AND removed_at IS NOT NULL");
    this.#reopen = database.prepare(
      `UPDATE sessions SET originals_removed_at = NULL WHERE project = ? AND originals_removed_at IS NOT NULL
       AND key IN (SELECT session_key FROM session_blobs WHERE blob_id = ?)`,
    );
    this.#isSealed = database.prepare(
      "SELECT 1 AS one FROM sessions WHERE project = ? AND id = ? AND status = 'sealed'",
    );
  }

  /** See Store.recordBlob. */
  record(project: string, blob: NewBlob, now: number): RecordedAs {
    this.#insertProject.run(project, now);
    const id = Buffer.from(blob.id, "hex");
    if (this.#insert.run(project, id, blob.size, blob.mediaType, now).changes > 0) return "stored";
    if (this.#forget.run(project, id).changes === 0) return "duplicate";
    // The sessions that name it have a blob again, which will be old again one day.
    this.#reopen.run(project, id);
    return "expired";
  }

  read(project: string, id: string): BlobRecord | undefined {
    const row = this.#select.get(project, Buffer.from(id, "hex"));
    return row && { id, size: row.size, mediaType: row.media_type, removedAtMs: row.removed_at ?? undefined };
  }

  missing(project: string, ids: readonly string[], session: string | undefined): string[] {
    const settled = session !== undefined && this.#isSealed.get(project, session) !== undefined;
    return ids.filter((id) => {
      const row = this.#select.get(project, Buffer.from(id, "hex"));
      return row === undefined || (row.removed_at !== null && !settled);
    });
  }
}

interface Row {
  readonly size: number;
  readonly media_type: string;
  readonly removed_at: number | null;
}
