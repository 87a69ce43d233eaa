import type { Database } from "better-sqlite3";
import { and, desc, eq, isNull } from "drizzle-orm";
import { type BetterSQLite3Database, drizzle } from "drizzle-orm/better-sqlite3";
import { AppError } from "../../errors.ts";
import type { KeyRecord, Scope } from "../store.ts";
import { keys, projects } from "./schema.ts";

/** API keys. The changing methods run inside the writer's transaction. */
export class KeyTable {
  readonly #orm: BetterSQLite3Database;

  constructor(database: Database) {
    this.#orm = drizzle({ client: database });
  }

  create(key: KeyRecord): void {
    this.#orm.insert(projects).values({ id: key.project, createdAt: key.createdAtMs }).onConflictDoNothing().run();
    this.#orm
      .insert(keys)
      .values({
        id: key.id,
        project: key.project,
        name: key.name,
        scopes: key.scopes.join(" "),
        hash: Buffer.from(key.hash),
        createdAt: key.createdAtMs,
        expiresAt: key.expiresAtMs,
        revokedAt: key.revokedAtMs,
        lastUsedAt: key.lastUsedAtMs,
        replacedBy: key.replacedBy,
      })
      .run();
  }

  read(id: string): KeyRecord | undefined {
    const row = this.#orm.select().from(keys).where(eq(keys.id, id)).get();
    return row && recordOf(row);
  }

  list(project: string | undefined): KeyRecord[] {
    return this.#orm
      .select()
      .from(keys)
      .where(project === undefined ? undefined : eq(keys.project, project))
      .orderBy(desc(keys.createdAt), desc(keys.id))
      .all()
      .map(recordOf);
  }

  rotate(args: { readonly id: string; readonly next: KeyRecord; readonly endsAtMs: number }): void {
    const old = this.#existing(args.id);
    if (old.revokedAtMs !== undefined) {
      throw new AppError("failed_precondition", `Key ${args.id} is revoked; create a new one instead.`, {
        reason: "KEY_REVOKED",
      });
    }
    this.create(args.next);
    const expiresAt = Math.min(old.expiresAtMs ?? args.endsAtMs, args.endsAtMs);
    this.#orm.update(keys).set({ expiresAt, replacedBy: args.next.id }).where(eq(keys.id, args.id)).run();
  }

  revoke(args: { readonly id: string; readonly atMs: number }): KeyRecord {
    this.#existing(args.id);
    this.#orm
      .update(keys)
      .set({ revokedAt: args.atMs })
      .where(and(eq(keys.id, args.id), isNull(keys.revokedAt)))
      .run();
    return this.#existing(args.id);
  }

  touch(args: { readonly id: string; readonly atMs: number }): void {
    this.#orm.update(keys).set({ lastUsedAt: args.atMs }).where(eq(keys.id, args.id)).run();
  }

  #existing(id: string): KeyRecord {
    const key = this.read(id);
    if (key === undefined) throw new AppError("not_found", `There is no key ${id}.`, { reason: "KEY_NOT_FOUND" });
    return key;
  }
}

function recordOf(row: typeof keys.$inferSelect): KeyRecord {
  return {
    id: row.id,
    project: row.project,
    name: row.name,
    scopes: row.scopes.split(" ").filter((word): word is Scope => SCOPES.has(word)),
    hash: row.hash,
    createdAtMs: row.createdAt,
    expiresAtMs: row.expiresAt ?? undefined,
    revokedAtMs: row.revokedAt ?? undefined,
    lastUsedAtMs: row.lastUsedAt ?? undefined,
    replacedBy: row.replacedBy ?? undefined,
  };
}

const SCOPES: ReadonlySet<string> = new Set<Scope>(["ingest", "read", "process", "admin"]);
