import type { Database, Statement } from "better-sqlite3";
import type { BlobRecord } from "../store.ts";

/** Which blobs a project has. Ids are stored as their 32 bytes. */
export class BlobTable {
  readonly #insertProject: Statement<[string, number]>;
  readonly #insert: Statement<[string, Buffer, number, string, number]>;
  readonly #select: Statement<[string, Buffer], { size: number; media_type: string }>;

  constructor(database: Database) {
    this.#insertProject = database.prepare("INSERT OR IGNORE INTO projects (id, created_at) VALUES (?, ?)");
    this.#insert = database.prepare(
      "INSERT OR IGNORE INTO blobs (project, id, size, media_type, stored_at) VALUES (?, ?, ?, ?, ?)",
    );
    this.#select = database.prepare("SELECT size, media_type FROM blobs WHERE project = ? AND id = ?");
  }

  /** Whether it was not there before. */
  record(project: string, blob: BlobRecord, now: number): boolean {
    this.#insertProject.run(project, now);
    const id = Buffer.from(blob.id, "hex");
    return this.#insert.run(project, id, blob.size, blob.mediaType, now).changes > 0;
  }

  read(project: string, id: string): BlobRecord | undefined {
    const row = this.#select.get(project, Buffer.from(id, "hex"));
    return row && { id, size: row.size, mediaType: row.media_type };
  }

  missing(project: string, ids: readonly string[]): string[] {
    return ids.filter((id) => this.#select.get(project, Buffer.from(id, "hex")) === undefined);
  }
}
