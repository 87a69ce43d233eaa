import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { makeDirectory, writeDurably } from "./durable-file.ts";
import { ClientError } from "./errors.ts";

/**
 * Makes this process the spool's only one until disposed of or dead. Fails with `locked`
 * SPOOL_LOCKED, naming who has it.
 *
 * SQLite's lock on an empty database is an advisory lock of the operating system (Node has none of
 * its own): it goes with the process, whatever kills it, and there is no stale file to judge.
 */
export async function lockSpool(directory: string): Promise<Disposable> {
  await makeDirectory(directory);
  const ownerPath = join(directory, "owner.json");
  const database = new DatabaseSync(join(directory, "lock"));
  try {
    database.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    throw await locked(directory, ownerPath, error);
  }
  try {
    await writeDurably(ownerPath, Buffer.from(JSON.stringify({ pid: process.pid, host: hostname() })));
  } catch (error) {
    database.close();
    throw error;
  }
  return { [Symbol.dispose]: () => database.close() };
}

async function locked(directory: string, ownerPath: string, cause: unknown): Promise<ClientError> {
  const owner = await readFile(ownerPath, "utf8").catch(() => "an unknown process");
  return new ClientError("locked", `The spool ${directory} is in use by ${owner}. Give each collector its own.`, {
    reason: "SPOOL_LOCKED",
    metadata: { owner },
    cause,
  });
}
