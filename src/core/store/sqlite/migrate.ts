import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Database } from "better-sqlite3";
import { AppError } from "../../errors.ts";
import { openDatabase, translating } from "./database.ts";

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sha256: string;
  readonly sql: string;
}

export interface MigrationStatus {
  /** 0 for an empty store. */
  readonly current: number;
  readonly latest: number;
  readonly applied: readonly { readonly number: number; readonly name: string; readonly appliedAtMs: number }[];
  readonly pending: readonly Pick<Migration, "number" | "name">[];
}

/** Reads what is applied. Changes nothing; `undefined` when there is no store. */
export function readStatus(path: string): MigrationStatus | undefined {
  if (!existsSync(path)) return undefined;
  const database = openDatabase({ path, synchronous: "FULL", readonly: true });
  try {
    return translating(() => statusOf(database));
  } finally {
    database.close();
  }
}

/**
 * Applies what is pending, each migration in its own transaction, and returns what it applied; to an
 * empty database all in one, so that a store is made whole or not at all. Two processes may do this
 * at once: the second waits and finds nothing to do. Fails with `failed_precondition` SCHEMA_NEWER or
 * SCHEMA_DRIFT and changes nothing.
 */
export function migrateUp(database: Database, now: () => number): Migration[] {
  if (!isEmpty(database)) return applyPending(database, now);
  const whole = database.transaction(() => applyPending(database, now));
  return translating(() => whole.immediate());
}

function applyPending(database: Database, now: () => number): Migration[] {
  const applied: Migration[] = [];
  for (const migration of readMigrations()) {
    const run = database.transaction(() => {
      const status = statusOf(database);
      checkUsable(status);
      if (migration.number <= status.current) return false;
      database.exec(migration.sql);
      database.exec(LEDGER);
      database
        .prepare("INSERT INTO schema_migrations (number, name, sha256, applied_at) VALUES (?, ?, ?, ?)")
        .run(migration.number, migration.name, migration.sha256, now());
      return true;
    });
    if (translating(() => run.immediate())) applied.push(migration);
  }
  return applied;
}

/** Fails unless the store has exactly this release's schema: SCHEMA_NEWER, SCHEMA_OLD or SCHEMA_DRIFT. */
export function checkCurrent(database: Database): void {
  const status = translating(() => statusOf(database));
  checkUsable(status);
  if (status.pending.length > 0) {
    throw new AppError(
      "failed_precondition",
      `The store has schema ${status.current}; this release needs ${status.latest}. Run: sluice migrate up`,
      { reason: "SCHEMA_OLD" },
    );
  }
}

export function isEmpty(database: Database): boolean {
  return translating(() => database.prepare("SELECT 1 FROM sqlite_master LIMIT 1").get() === undefined);
}

const LEDGER = `CREATE TABLE IF NOT EXISTS schema_migrations (
  number INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_at INTEGER NOT NULL
) STRICT`;

const DIRECTORY = new URL(
  import.meta.url.includes("/dist/") ? "../../../../../migrations/sqlite/" : "../../../../migrations/sqlite/",
  import.meta.url,
);

function statusOf(database: Database): MigrationStatus {
  const known = readMigrations();
  const rows = hasLedger(database)
    ? database.prepare<[], Row>("SELECT number, name, sha256, applied_at FROM schema_migrations ORDER BY number").all()
    : [];
  for (const row of rows) {
    const migration = known.find((each) => each.number === row.number);
    if (migration !== undefined && migration.sha256 !== row.sha256) {
      throw new AppError(
        "failed_precondition",
        `Migration ${row.number} ${row.name} was edited after it was applied. Use the release that made this store.`,
        { reason: "SCHEMA_DRIFT" },
      );
    }
  }
  const current = rows.at(-1)?.number ?? 0;
  return {
    current,
    latest: known.at(-1)?.number ?? 0,
    applied: rows.map((row) => ({ number: row.number, name: row.name, appliedAtMs: row.applied_at })),
    pending: known.filter((each) => each.number > current).map(({ number, name }) => ({ number, name })),
  };
}

interface Row {
  readonly number: number;
  readonly name: string;
  readonly sha256: string;
  readonly applied_at: number;
}

function hasLedger(database: Database): boolean {
  return database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'").get() !== undefined;
}

function checkUsable(status: MigrationStatus): void {
  if (status.current > status.latest) {
    throw new AppError(
      "failed_precondition",
      `The store has schema ${status.current}, newer than the ${status.latest} this release knows. Use a newer Sluice.`,
      { reason: "SCHEMA_NEWER" },
    );
  }
}

function readMigrations(): Migration[] {
  return readdirSync(fileURLToPath(DIRECTORY))
    .filter((file) => file.endsWith(".sql"))
    .sort()
    .map((file) => {
      const sql = readFileSync(new URL(file, DIRECTORY), "utf8");
      const [number = "", ...words] = file.replace(/\.sql$/, "").split("_");
      const sha256 = createHash("sha256").update(sql).digest("hex");
      return { number: Number(number), name: words.join("_"), sha256, sql };
    });
}
