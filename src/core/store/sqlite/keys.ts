import type { Database, Statement } from "better-sqlite3";
import { AppError } from "../../errors.ts";
import type { KeyRecord, Scope } from "../store.ts";

/** API keys. The changing methods run inside the writer's transaction. */
export class KeyTable {
  readonly #sql: ReturnType<typeof statements>;

  constructor(database: Database) {
    this.#sql = statements(database);
  }

  create(key: KeyRecord): void {
    this.#sql.insertProject.run(key.project, key.createdAtMs);
    this.#sql.insert.run(rowOf(key));
  }

  read(id: string): KeyRecord | undefined {
    const row = this.#sql.read.get(id);
    return row && recordOf(row);
  }

  list(project: string | undefined): KeyRecord[] {
    const rows = project === undefined ? this.#sql.all.all() : this.#sql.ofProject.all(project);
    return rows.map(recordOf);
  }

  rotate(args: { readonly id: string; readonly next: KeyRecord; readonly endsAtMs: number }): void {
    const old = this.#existing(args.id);
    if (old.revokedAtMs !== undefined) {
      throw new AppError("failed_precondition", `Key ${args.id} is revoked; create a new one instead.`, {
        reason: "KEY_REVOKED",
      });
    }
    this.create(args.next);
    this.#sql.replace.run(Math.min(old.expiresAtMs ?? args.endsAtMs, args.endsAtMs), args.next.id, args.id);
  }

  revoke(args: { readonly id: string; readonly atMs: number }): KeyRecord {
    this.#existing(args.id);
    this.#sql.revoke.run(args.atMs, args.id);
    return this.#existing(args.id);
  }

  touch(args: { readonly id: string; readonly atMs: number }): void {
    this.#sql.touch.run(args.atMs, args.id);
  }

  #existing(id: string): KeyRecord {
    const key = this.read(id);
    if (key === undefined) throw new AppError("not_found", `There is no key ${id}.`, { reason: "KEY_NOT_FOUND" });
    return key;
  }
}

interface Row {
  readonly id: string;
  readonly project: string;
  readonly name: string;
  readonly scopes: string;
  readonly hash: Buffer;
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
  readonly last_used_at: number | null;
  readonly replaced_by: string | null;
}

function recordOf(row: Row): KeyRecord {
  return {
    id: row.id,
    project: row.project,
    name: row.name,
    scopes: row.scopes.split(" ").filter((word): word is Scope => SCOPES.has(word)),
    hash: row.hash,
    createdAtMs: row.created_at,
    expiresAtMs: row.expires_at ?? undefined,
    revokedAtMs: row.revoked_at ?? undefined,
    lastUsedAtMs: row.last_used_at ?? undefined,
    replacedBy: row.replaced_by ?? undefined,
  };
}

const SCOPES: ReadonlySet<string> = new Set<Scope>(["ingest", "read", "process", "admin"]);

function rowOf(key: KeyRecord): Row {
  return {
    id: key.id,
    project: key.project,
    name: key.name,
    scopes: key.scopes.join(" "),
    hash: Buffer.from(key.hash),
    created_at: key.createdAtMs,
    expires_at: key.expiresAtMs ?? null,
    revoked_at: key.revokedAtMs ?? null,
    last_used_at: key.lastUsedAtMs ?? null,
    replaced_by: key.replacedBy ?? null,
  };
}

function statements(database: Database) {
  const prepare = <Params extends unknown[], Found = unknown>(sql: string): Statement<Params, Found> =>
    database.prepare(sql);
  return {
    insertProject: prepare<[string, number]>("INSERT OR IGNORE INTO projects (id, created_at) VALUES (?, ?)"),
    insert: prepare<[Row]>(
      `INSERT INTO keys (id, project, name, scopes, hash, created_at, expires_at, revoked_at, last_used_at, replaced_by)
       VALUES (@id, @project, @name, @scopes, @hash, @created_at, @expires_at, @revoked_at, @last_used_at, @replaced_by)`,
    ),
    read: prepare<[string], Row>("SELECT * FROM keys WHERE id = ?"),
    all: prepare<[], Row>("SELECT * FROM keys ORDER BY created_at DESC, id DESC"),
    ofProject: prepare<[string], Row>("SELECT * FROM keys WHERE project = ? ORDER BY created_at DESC, id DESC"),
    replace: prepare<[number, string, string]>("UPDATE keys SET expires_at = ?, replaced_by = ? WHERE id = ?"),
    revoke: prepare<[number, string]>("UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"),
    touch: prepare<[number, string]>("UPDATE keys SET last_used_at = ? WHERE id = ?"),
  };
}
