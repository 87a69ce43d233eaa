import { randomBytes } from "node:crypto";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { SqliteStore } from "../../../src/core/store/sqlite/sqlite-store.ts";
import { event, never } from "../../fixtures.ts";

const MIB = 1024 * 1024;
const LIMIT = 64 * MIB;
/** What may be written until the log begins again: a starved machine may miss the first chance or two. */
const SLACK = 48 * MIB;

let dir: string;
let path: string;
let store: SqliteStore;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sluice-wal-"));
  path = join(dir, "sluice.db");
  store = await SqliteStore.open({ path, limits: DEFAULT_LIMITS, create: true });
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

const logBytes = async () => (await stat(`${path}-wal`)).size;

/** Stores batches that take a little over 800 kB of log each. Returns the largest the log was. */
async function write(session: string, batches: number, stored: () => void = () => undefined): Promise<number> {
  let largest = 0;
  for (let seq = 1; seq <= batches; seq++) {
    const rawJson = randomBytes((3 * MIB) / 4)
      .toString("base64")
      .slice(0, MIB - 1024);
    const ref = { project: "p", session, stream: "main" };
    const batch = { ref, epoch: undefined, firstSeq: BigInt(seq), events: [event(seq, { rawJson })], info: undefined };
    expect(await store.append(batch, never)).toMatchObject({ stored: 1 });
    largest = Math.max(largest, await logBytes());
    stored();
  }
  return largest;
}

/** Another connection, as the CLI has one. */
function reader(): Database.Database {
  return new Database(path, { readonly: true });
}

function begin(connection: Database.Database): void {
  connection.exec("BEGIN");
  connection.prepare("SELECT count(*) FROM sessions").get();
}

describe("the log of a store", () => {
  it("stays at a few checkpoints' length while batches come", { timeout: 180_000 }, async () => {
    expect(await write("s", 120)).toBeLessThan(LIMIT / 4);
  });

  it("stays within its limit while there is never a moment without a reader", { timeout: 180_000 }, async () => {
    let [current, next] = [reader(), reader()];
    begin(current);
    const takeTurns = (): void => {
      begin(next);
      current.exec("COMMIT");
      [current, next] = [next, current];
    };
    // What reads at a commit began after the one before: SQLite by itself never begins the log again.
    expect(await write("before", 78, takeTurns)).toBeGreaterThan(LIMIT - 4 * MIB);
    // Readers of 15 ms, who come and go while the writer waits.
    const turns = setInterval(takeTurns, 15);
    try {
      expect(await write("after", 140)).toBeLessThan(LIMIT + SLACK);
    } finally {
      clearInterval(turns);
      current.close();
      next.close();
    }
  });

  it("grows past a reader that stays, whose batches are stored all the same, and is cut back when it has gone", {
    timeout: 180_000,
  }, async () => {
    const staying = reader();
    begin(staying);
    expect(await write("during", 160)).toBeGreaterThan(LIMIT + SLACK);
    staying.close();
    await write("after", 12);
    expect(await logBytes()).toBeLessThanOrEqual(LIMIT);
    expect(await store.readSession("p", "during", never)).toMatchObject({ state: { events: 160 } });
  });
});
