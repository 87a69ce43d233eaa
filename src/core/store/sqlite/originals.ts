import type { Database, Statement } from "better-sqlite3";
import type { BlobName, Expirable, ExpirableQuery, ExpireCommand, Expired } from "../retention.ts";

/** See RetentionStore. */
export class OriginalsTable {
  readonly #projects: Statement<[], { id: string }>;
  readonly #find: Statement<[string, number, number, number, string, number], { key: number; id: string; at: number }>;
  readonly #due: Statement<[string, string, number, string], { key: number }>;
  readonly #remove: Statement<[RemoveArgs]>;
  readonly #mark: Statement<[number, number]>;
  readonly #unpurged: Statement<[number], { project: string; id: string }>;
  readonly #purged: Statement<[string, Buffer]>;

  constructor(database: Database) {
    this.#projects = database.prepare("SELECT id FROM projects ORDER BY id");
    this.#find = database.prepare(
      `SELECT s.key, s.id, s.sealed_at AS at FROM sessions s JOIN pipeline_signatures p ON p.id = s.pipeline
       WHERE s.project = ? AND s.status = 'sealed' AND s.originals_removed_at IS NULL AND s.sealed_at <= ?
         AND (s.sealed_at, s.key) > (?, ?) AND p.signature IN (SELECT value FROM json_each(?))
       ORDER BY s.sealed_at, s.key LIMIT ?`,
    );
    this.#due = database.prepare(
      `SELECT s.key FROM sessions s JOIN pipeline_signatures p ON p.id = s.pipeline
       WHERE s.project = ? AND s.id = ? AND s.status = 'sealed' AND s.originals_removed_at IS NULL
         AND s.sealed_at <= ? AND p.signature IN (SELECT value FROM json_each(?))`,
    );
    this.#remove = database.prepare(
      `UPDATE blobs SET removed_at = @now WHERE project = @project AND removed_at IS NULL
         AND id IN (SELECT blob_id FROM session_blobs WHERE session_key = @key)
         AND NOT EXISTS (
           SELECT 1 FROM session_blobs o JOIN sessions s ON s.key = o.session_key
             LEFT JOIN pipeline_signatures p ON p.id = s.pipeline
           WHERE o.blob_id = blobs.id AND s.project = @project AND s.key <> @key AND s.originals_removed_at IS NULL
             AND NOT coalesce(s.sealed_at <= @by AND p.signature IN (SELECT value FROM json_each(@signatures)), 0))`,
    );
    this.#mark = database.prepare("UPDATE sessions SET originals_removed_at = ? WHERE key = ?");
    this.#unpurged = database.prepare(
      `SELECT project, lower(hex(id)) AS id FROM blobs WHERE removed_at IS NOT NULL AND purged = 0
       ORDER BY removed_at LIMIT ?`,
    );
    this.#purged = database.prepare(
      "UPDATE blobs SET purged = 1 WHERE project = ? AND id = ? AND removed_at IS NOT NULL",
    );
  }

  projects(): string[] {
    return this.#projects.all().map(({ id }) => id);
  }

  find({ project, sealedByMs, signatures, after, limit }: ExpirableQuery): Expirable[] {
    const { sealedAtMs = -1, key = -1 } = after ?? {};
    return this.#find
      .all(project, sealedByMs, sealedAtMs, key, JSON.stringify(signatures), limit)
      .map((row) => ({ session: row.id, sealedAtMs: row.at, key: row.key }));
  }

  expire({ project, sessions, sealedByMs, signatures, nowMs }: ExpireCommand): Expired {
    const json = JSON.stringify(signatures);
    let [expired, blobs] = [0, 0];
    for (const session of sessions) {
      const due = this.#due.get(project, session, sealedByMs, json);
      if (due === undefined) continue;
      expired++;
      blobs += this.#remove.run({ project, key: due.key, now: nowMs, by: sealedByMs, signatures: json }).changes;
      this.#mark.run(nowMs, due.key);
    }
    return { sessions: expired, blobs };
  }

  unpurged(limit: number): BlobName[] {
    return this.#unpurged.all(limit);
  }

  purged(blobs: readonly BlobName[]): void {
    for (const { project, id } of blobs) this.#purged.run(project, Buffer.from(id, "hex"));
  }
}

interface RemoveArgs {
  readonly project: string;
  readonly key: number;
  readonly now: number;
  readonly by: number;
  readonly signatures: string;
}
