import type { Database } from "better-sqlite3";
import { AppError } from "../../errors.ts";
import type { Seal, SealCommand, StreamEnd } from "../store.ts";
import type { JobTable } from "./job-table.ts";
import { type SessionRow, sealOf } from "./rows.ts";
import type { SessionReader } from "./sessions.ts";

/** Seals a session, inside the writer's transaction. See Store.seal. */
export function seal(
  database: Database,
  reader: SessionReader,
  jobs: JobTable,
  command: SealCommand,
  now: number,
): Seal {
  const row = database
    .prepare<[string, string], SessionRow>("SELECT * FROM sessions WHERE project = ? AND id = ?")
    .get(command.project, command.session);
  if (row === undefined) {
    throw new AppError("not_found", `There is no session ${command.session}.`, { reason: "SESSION_NOT_FOUND" });
  }
  checkStreams(command, reader.ends(row.key));
  const sealed = sealOf(row);
  if (sealed !== undefined) return sealed;
  if (command.expectedVersion !== undefined && command.expectedVersion !== BigInt(row.version)) {
    throw new AppError(
      "aborted",
      `Session ${command.session} has moved to version ${row.version}; read it and decide again.`,
      { reason: "VERSION_MOVED", metadata: { version: String(row.version) } },
    );
  }
  const missing = missingOf(database, row);
  if (missing.length > 0 && !command.allowMissingBlobs) {
    throw new AppError(
      "failed_precondition",
      `Session ${command.session} names ${missing.length} blobs that have not arrived. Send them, or seal without them.`,
      {
        reason: "MISSING_BLOBS",
        metadata: { blobs: missing.slice(0, MAX_NAMED).join(","), count: String(missing.length) },
      },
    );
  }
  const caused = jobs.resolve(command.jobs);
  database
    .prepare(
      "UPDATE sessions SET status = 'sealed', version = version + 1, updated_at = ?, sealed_at = ?, sealed_missing = ? WHERE key = ?",
    )
    .run(now, now, JSON.stringify(missing), row.key);
  database.prepare("UPDATE projects SET open_sessions = open_sessions - 1 WHERE id = ?").run(command.project);
  jobs.insert(caused, now);
  return { version: BigInt(row.version + 1), sealedAtMs: now, missingBlobs: missing };
}

/** An error's metadata travels in HTTP trailers, which are small. */
const MAX_NAMED = 20;

function checkStreams(command: SealCommand, stored: readonly StreamEnd[]): void {
  const claimed = new Map(command.streams.map((end) => [end.stream, end.lastSeq]));
  const same = claimed.size === stored.length && stored.every((end) => claimed.get(end.stream) === end.lastSeq);
  if (same) return;
  const streams = stored.slice(0, MAX_NAMED).map((end) => `${end.stream}=${end.lastSeq}`);
  throw new AppError(
    "failed_precondition",
    `The seal does not name the streams session ${command.session} has, each with its last sequence number: ${streams.join(", ")}`,
    { reason: "STREAMS_DIFFER", metadata: { streams: streams.join(",") } },
  );
}

function missingOf(database: Database, row: SessionRow): string[] {
  return database
    .prepare<[number, string], { id: string }>(
      `SELECT lower(hex(blob_id)) AS id FROM session_blobs
       WHERE session_key = ? AND NOT EXISTS (SELECT 1 FROM blobs WHERE project = ? AND blobs.id = blob_id AND removed_at IS NULL)
       ORDER BY blob_id`,
    )
    .all(row.key, row.project)
    .map(({ id }) => id);
}
