import { readFileSync, writeFileSync } from "node:fs";
import Database from "better-sqlite3";
import { AppError } from "../../errors.ts";
import { translating } from "./database.ts";

/**
 * One daemon a store. The lock is an exclusive transaction on a small database beside the store:
 * the operating system drops it with the process, however that ends, so there is nothing stale to
 * clean up. The file next to it says who holds it, for the error message alone.
 */
export class StoreOwner implements Disposable {
  readonly #lock: Database.Database;

  private constructor(lock: Database.Database) {
    this.#lock = lock;
  }

  /** Its directory must exist. Fails with `locked` STORE_LOCKED. `description` names this process to whoever comes second. */
  static take(storePath: string, description: string): StoreOwner {
    const lock = translating(() => new Database(`${storePath}-owner`, { timeout: 0 }));
    try {
      lock.exec("BEGIN EXCLUSIVE");
    } catch (cause) {
      lock.close();
      throw new AppError(
        "locked",
        `Another sluiced has the store ${storePath}: ${ownerOf(storePath)}. Stop it, or give this one another store.`,
        { reason: "STORE_LOCKED", cause },
      );
    }
    writeFileSync(`${storePath}-owner.txt`, description, { mode: 0o600 });
    return new StoreOwner(lock);
  }

  [Symbol.dispose](): void {
    this.#lock.close();
  }
}

function ownerOf(storePath: string): string {
  try {
    return readFileSync(`${storePath}-owner.txt`, "utf8").trim();
  } catch {
    return "it left no name";
  }
}
