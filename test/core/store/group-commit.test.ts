import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { SqliteStore } from "../../../src/core/store/sqlite/sqlite-store.ts";
import { events, never } from "../../fixtures.ts";

let dir: string;
let store: SqliteStore;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sluice-"));
  store = await SqliteStore.open({ path: join(dir, "sluice.db"), limits: DEFAULT_LIMITS, create: true });
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

const append = (session: string, firstSeq: number, count: number) =>
  store.append(
    {
      ref: { project: "p", session, stream: "main" },
      epoch: undefined,
      firstSeq: BigInt(firstSeq),
      events: events(firstSeq, count),
      info: undefined,
    },
    never,
  );
const durable = async (session: string) =>
  (await store.readWatermark({ project: "p", session, stream: "main" }, never))?.durableSeq;

describe("batches that share a commit", () => {
  it("one that the database will not take fails alone; the others are stored, and the writer goes on", async () => {
    await append("bad", 1, 3);
    const other = new Database(join(dir, "sluice.db"));
    other.exec(
      "CREATE TRIGGER refuse BEFORE INSERT ON segments WHEN NEW.first_seq = 4 BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    other.close();
    // Sent without waiting: they gather while the first is written, and share a transaction.
    const good = Array.from({ length: 20 }, (_, index) => append(`good${index}`, 1, 3));
    const bad = append("bad", 4, 2);
    const later = Array.from({ length: 20 }, (_, index) => append(`late${index}`, 1, 2));
    await expect(bad).rejects.toMatchObject({ code: "internal", reason: "INTERNAL" });
    for (const each of await Promise.all(good)) expect(each.durableSeq).toBe(3n);
    for (const each of await Promise.all(later)) expect(each.durableSeq).toBe(2n);
    expect(await durable("bad")).toBe(3n);
    expect(await durable("good7")).toBe(3n);
    expect(await append("bad", 1, 3)).toMatchObject({ duplicate: 3, durableSeq: 3n });
    expect(await store.readSession("p", "bad", never)).toMatchObject({ state: { events: 3 } });
  });
});
