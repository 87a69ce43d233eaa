import { statSync } from "node:fs";
import Database from "better-sqlite3";
import { BUSY_MS, WAL_LIMIT } from "./database.ts";

/**
 * Keeps the write-ahead log from growing without end. SQLite checkpoints it as it commits, but the
 * log begins again only where a commit meets no reader: readers whose transactions overlap keep it
 * growing for as long as they come, however short each is. Past WAL_LIMIT this waits for those that
 * read now, and lets later ones read the database file alone, so that the next commit begins it
 * again. A reader that stays in its transaction costs WAIT_MS for each RETRY_BYTES written meanwhile.
 */
export class WalBound {
  readonly #database: Database.Database;
  readonly #path: string;
  #next = WAL_LIMIT;

  constructor(database: Database.Database) {
    this.#database = database;
    this.#path = `${database.name}-wal`;
  }

  /** To be called after each group has committed. Never throws for what is wrong with the disk. */
  keep(): void {
    const size = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
    if (size <= WAL_LIMIT) this.#next = WAL_LIMIT;
    if (size <= this.#next) return;
    this.#next = size + RETRY_BYTES;
    this.#database.pragma(`busy_timeout = ${WAIT_MS}`);
    try {
      this.#database.pragma("wal_checkpoint(RESTART)");
    } catch (error) {
      // What was committed stands, and a disk that can't be written fails the next commit, which tells.
      if (!(error instanceof Database.SqliteError)) throw error;
    } finally {
      this.#database.pragma(`busy_timeout = ${BUSY_MS}`);
    }
  }
}

const WAIT_MS = 100;
const RETRY_BYTES = 16 * 1024 * 1024;
