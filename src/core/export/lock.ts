import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { AppError } from "../errors.ts";

/**
 * Makes this process the only one that writes an export, until disposed of or dead: SQLite's lock on
 * an empty database is the operating system's, and leaves nothing stale. Fails with `locked`
 * EXPORT_RUNNING.
 */
export function lockExport(directory: string): Disposable {
  const database = new DatabaseSync(join(directory, "lock"));
  try {
    database.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    throw new AppError("locked", `Another process writes the export in ${directory}. Wait for it, or stop it.`, {
      reason: "EXPORT_RUNNING",
      cause,
    });
  }
  return { [Symbol.dispose]: () => database.close() };
}
