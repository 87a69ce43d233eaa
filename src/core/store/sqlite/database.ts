import { closeSync, existsSync, openSync } from "node:fs";
import Database from "better-sqlite3";
import { AppError } from "../../errors.ts";

export type Synchronous = "FULL" | "NORMAL";

export interface DatabaseOptions {
  readonly path: string;
  /** FULL keeps the promise that what is acked is on disk. Anything else is for tests that show the difference. */
  readonly synchronous: Synchronous;
  readonly readonly: boolean;
}

/**
 * Opens the database file with the settings every connection has. Pages of 8 KiB stored real
 * batches faster than 4 KiB; a checkpoint every 4 MiB of log costs 2% of throughput against one
 * every 16 MiB, and keeps commits waiting a quarter as long each time: at most 5 ms in a traced run
 * at half load. In a run without any the p99 of acks was no lower, so the writer makes them itself.
 * Its directory must exist. Fails with `no_store` NO_STORE when a file opened for reading is not there.
 */
export function openDatabase(options: DatabaseOptions): Database.Database {
  if (!existsSync(options.path)) {
    if (options.readonly) {
      throw new AppError("no_store", `There is no store at ${options.path}. Start sluiced, or run: sluice migrate up`, {
        reason: "NO_STORE",
      });
    }
    create(options.path);
  }
  return translating(() => {
    const database = new Database(options.path, { readonly: options.readonly, timeout: BUSY_MS });
    database.pragma("foreign_keys = ON");
    if (options.readonly) return database;
    database.pragma("page_size = 8192");
    database.pragma("journal_mode = WAL");
    database.pragma(`synchronous = ${options.synchronous}`);
    database.pragma("wal_autocheckpoint = 512");
    database.pragma(`journal_size_limit = ${WAL_LIMIT}`);
    // 8 MiB hold a group of batches and the tops of the trees; what else it reads, the system caches.
    // With 16 the writer is no faster, on an empty store nor on one of two million events.
    database.pragma("cache_size = -8192");
    return database;
  });
}

/** How long a connection waits for what another has locked. */
export const BUSY_MS = 5_000;
/** Where the log is made to begin again; a file that has grown beyond is cut back to it when it does. */
export const WAL_LIMIT = 64 * 1024 * 1024;

/** The files SQLite puts beside it take its mode. */
function create(path: string): void {
  try {
    closeSync(openSync(path, "a", 0o600));
  } catch (cause) {
    throw notWritable(cause);
  }
}

function notWritable(cause: unknown): AppError {
  return new AppError("permission_denied", "The store's file can't be opened for writing. Check its owner and mode.", {
    reason: "STORE_PERMISSIONS",
    cause,
  });
}

/** Runs `work` and turns what the driver throws into an AppError. */
export function translating<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw translate(error);
  }
}

export function translate(error: unknown): AppError {
  if (!(error instanceof Database.SqliteError)) return AppError.from(error);
  const { code } = error;
  if (code === "SQLITE_FULL" || code === "SQLITE_IOERR_SHMSIZE") {
    return new AppError(
      "resource_exhausted",
      "The disk of the store is full. Free some space; ingest goes on by itself.",
      {
        reason: "DISK_FULL",
        retryAfterMs: 1_000,
        cause: error,
      },
    );
  }
  if (code.startsWith("SQLITE_BUSY")) {
    return new AppError("unavailable", "Another process held the store's write lock for too long. Try again.", {
      reason: "STORE_BUSY",
      retryAfterMs: 250,
      cause: error,
    });
  }
  if (code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB") {
    return new AppError(
      "data_loss",
      "The store's file is damaged or no Sluice store. Move it away and restore a backup.",
      {
        reason: "STORE_CORRUPT",
        cause: error,
      },
    );
  }
  if (code.startsWith("SQLITE_READONLY") || code === "SQLITE_PERM" || code.startsWith("SQLITE_CANTOPEN")) {
    return notWritable(error);
  }
  if (code.startsWith("SQLITE_IOERR")) {
    return new AppError("unavailable", "The disk of the store reported an error. Nothing was stored; try again.", {
      reason: "STORE_IO",
      retryAfterMs: 1_000,
      cause: error,
    });
  }
  return AppError.from(error);
}
