import { createHash } from "node:crypto";
import type { Database, Statement } from "better-sqlite3";
import { AppError } from "../../errors.ts";
import { headsByStage, signatureOf } from "../../pipeline/freshness.ts";
import { unpack } from "../../session/segment.ts";
import type { Artifact, ArtifactHead, ArtifactRecord, NewArtifact } from "../artifacts.ts";

export interface ArtifactWrite {
  readonly sessionKey: number;
  readonly job: number;
  readonly campaign: string | null;
  readonly artifact: NewArtifact;
  readonly now: number;
}

/** What stages gave. `keep` runs inside the writer's transaction. */
export class ArtifactTable {
  readonly #sql: ReturnType<typeof statements>;

  constructor(database: Database) {
    this.#sql = statements(database);
  }

  /** Fails with `not_found` ARTIFACT_NOT_FOUND. */
  require(sessionKey: number, key: string): void {
    if (this.#sql.find.get(sessionKey, Buffer.from(key, "hex")) !== undefined) return;
    throw new AppError("not_found", `The session has no artifact ${key} to use again. Run the stage.`, {
      reason: "ARTIFACT_NOT_FOUND",
      metadata: { key },
    });
  }

  /** Stores the artifact unless it is there, makes it its stage's current one, and notes how fresh the session is. */
  keep({ sessionKey, job, campaign, artifact, now }: ArtifactWrite): void {
    const key = Buffer.from(artifact.key, "hex");
    const known = this.#sql.find.get(sessionKey, key);
    if (known !== undefined) this.#sql.setHead.run(sessionKey, artifact.stage, known.id);
    else if (!artifact.reuse) {
      const id = this.#insert({ sessionKey, job, campaign, now }, key, artifact);
      this.#sql.setHead.run(sessionKey, artifact.stage, id);
    }
    this.#notePipeline(sessionKey, artifact.score);
  }

  #insert(
    { sessionKey, job, campaign, now }: Omit<ArtifactWrite, "artifact">,
    key: Buffer,
    artifact: Extract<NewArtifact, { reuse: false }>,
  ): number | bigint {
    const { lastInsertRowid } = this.#sql.insert.run({
      ...{ sessionKey, job, campaign, now, key },
      stage: artifact.stage,
      version: artifact.version,
      paramsHash: artifact.params,
      params: artifact.paramsJson,
      inputs: JSON.stringify(artifact.inputs),
      output: Buffer.from(artifact.output, "hex"),
      durationMs: artifact.durationMs,
      encoding: artifact.encoding,
      rawBytes: artifact.bytes,
      sha256: createHash("sha256").update(artifact.payload).digest(),
      payload: artifact.payload,
    });
    for (const blob of artifact.blobs) this.#sql.insertBlob.run(lastInsertRowid, Buffer.from(blob, "hex"));
    return lastInsertRowid;
  }

  /** Keeps the score the session had when the stage gives none. */
  #notePipeline(sessionKey: number, score: number | undefined): void {
    const signature = signatureOf(headsByStage(this.#sql.headsOf.all(sessionKey).map(headOf)));
    if (signature !== "") this.#sql.intern.run(signature);
    this.#sql.notePipeline.run(signature, score ?? null, sessionKey);
  }

  heads(args: { readonly project: string; readonly session: string }): ArtifactHead[] {
    return this.#sql.heads.all(args.project, args.session).map(headOf);
  }

  /** Fails with `data_loss` ARTIFACT_CORRUPT. */
  read(args: { readonly project: string; readonly session: string; readonly key: string }): Artifact | undefined {
    const row = this.#sql.read.get(args.project, args.session, Buffer.from(args.key, "hex"));
    return row && { ...headOf(row), data: dataOf(row, args.key) };
  }

  list(args: { readonly project: string; readonly session: string; readonly limit: number }): ArtifactRecord[] {
    return this.#sql.list.all(args.project, args.session, args.limit).map((row) => ({
      ...headOf(row),
      current: row.current === 1,
      paramsJson: row.params,
      createdAtMs: row.created_at,
      durationMs: row.duration_ms,
      job: row.job,
      campaign: row.campaign ?? undefined,
      bytes: row.raw_bytes,
      storedBytes: row.stored_bytes,
      blobs: this.#sql.blobs.all(row.id).map(({ id }) => id),
    }));
  }
}

function headOf(row: HeadRow): ArtifactHead {
  const { key, stage, version, params_hash: params, output } = row;
  return { key, stage, version, params, inputs: JSON.parse(row.inputs), output };
}

function dataOf(row: PayloadRow, key: string): Uint8Array {
  try {
    const sha256 = createHash("sha256").update(row.payload).digest();
    if (!sha256.equals(row.sha256)) throw new RangeError("the payload does not have the hash recorded");
    return unpack(row.encoding, row.payload, row.raw_bytes);
  } catch (cause) {
    throw new AppError("data_loss", `Artifact ${key} can't be read: its bytes are damaged. Run its stage again.`, {
      reason: "ARTIFACT_CORRUPT",
      cause,
    });
  }
}

interface HeadRow {
  readonly key: string;
  readonly stage: string;
  readonly version: number;
  readonly params_hash: string;
  readonly inputs: string;
  readonly output: string;
}

interface PayloadRow {
  readonly encoding: number;
  readonly raw_bytes: number;
  readonly sha256: Buffer;
  readonly payload: Buffer;
}

interface RecordRow extends HeadRow {
  readonly id: number;
  readonly current: number;
  readonly params: string;
  readonly created_at: number;
  readonly duration_ms: number;
  readonly job: number;
  readonly campaign: string | null;
  readonly raw_bytes: number;
  readonly stored_bytes: number;
}

interface InsertRow {
  readonly sessionKey: number;
  readonly key: Buffer;
  readonly stage: string;
  readonly version: number;
  readonly paramsHash: string;
  readonly params: string;
  readonly inputs: string;
  readonly output: Buffer;
  readonly now: number;
  readonly durationMs: number;
  readonly job: number;
  readonly campaign: string | null;
  readonly encoding: number;
  readonly rawBytes: number;
  readonly sha256: Buffer;
  readonly payload: Uint8Array;
}

const HEAD =
  "lower(hex(artifacts.key)) AS key, artifacts.stage, artifacts.version, params_hash, inputs, lower(hex(output)) AS output";

function statements(database: Database) {
  const prepare = <Params extends unknown[], Row = unknown>(sql: string): Statement<Params, Row> =>
    database.prepare(sql);
  return {
    find: prepare<[number, Buffer], { id: number }>("SELECT id FROM artifacts WHERE session_key = ? AND key = ?"),
    insert: prepare<[InsertRow]>(
      `INSERT INTO artifacts (session_key, key, stage, version, params_hash, params, inputs, output, created_at,
         duration_ms, job, campaign, encoding, raw_bytes, sha256, payload)
       VALUES (@sessionKey, @key, @stage, @version, @paramsHash, @params, @inputs, @output, @now,
         @durationMs, @job, @campaign, @encoding, @rawBytes, @sha256, @payload)`,
    ),
    insertBlob: prepare<[number | bigint, Buffer]>(
      "INSERT OR IGNORE INTO artifact_blobs (artifact, blob_id) VALUES (?, ?)",
    ),
    setHead: prepare<[number, string, number | bigint]>(
      `INSERT INTO artifact_heads (session_key, stage, artifact) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET artifact = excluded.artifact`,
    ),
    intern: prepare<[string]>("INSERT OR IGNORE INTO pipeline_signatures (signature) VALUES (?)"),
    notePipeline: prepare<[string, number | null, number]>(
      `UPDATE sessions SET pipeline = (SELECT id FROM pipeline_signatures WHERE signature = ?),
         score = coalesce(?, score) WHERE key = ?`,
    ),
    headsOf: prepare<[number], HeadRow>(
      `SELECT ${HEAD} FROM artifact_heads JOIN artifacts ON artifacts.id = artifact
       WHERE artifact_heads.session_key = ?`,
    ),
    heads: prepare<[string, string], HeadRow>(
      `SELECT ${HEAD} FROM sessions JOIN artifact_heads ON artifact_heads.session_key = sessions.key
       JOIN artifacts ON artifacts.id = artifact WHERE sessions.project = ? AND sessions.id = ?`,
    ),
    read: prepare<[string, string, Buffer], HeadRow & PayloadRow>(
      `SELECT ${HEAD}, encoding, raw_bytes, sha256, payload FROM sessions
       JOIN artifacts ON artifacts.session_key = sessions.key
       WHERE sessions.project = ? AND sessions.id = ? AND artifacts.key = ?`,
    ),
    list: prepare<[string, string, number], RecordRow>(
      `SELECT artifacts.id, ${HEAD}, artifacts.id = artifact AS current, params, artifacts.created_at, duration_ms,
         job, campaign, raw_bytes, length(payload) AS stored_bytes
       FROM sessions JOIN artifacts ON artifacts.session_key = sessions.key
       LEFT JOIN artifact_heads ON artifact_heads.session_key = sessions.key AND artifact_heads.stage = artifacts.stage
       WHERE sessions.project = ? AND sessions.id = ? ORDER BY current DESC, artifacts.id DESC LIMIT ?`,
    ),
    blobs: prepare<[number], { id: string }>(
      "SELECT lower(hex(blob_id)) AS id FROM artifact_blobs WHERE artifact = ? ORDER BY blob_id",
    ),
  };
}
