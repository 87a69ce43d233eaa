import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { readStatus } from "../../../src/core/store/sqlite/migrate.ts";
import { SqliteStore } from "../../../src/core/store/sqlite/sqlite-store.ts";
import { artifactsContract } from "../../contract/artifacts.ts";
import { backfillContract } from "../../contract/backfills.ts";
import { campaignContract } from "../../contract/campaigns.ts";
import { exportContract } from "../../contract/exports.ts";
import { artifact, claimOne, sealedSession, settleDone } from "../../contract/job-fixtures.ts";
import { jobListContract } from "../../contract/job-list.ts";
import { jobsContract } from "../../contract/jobs.ts";
import { retentionContract } from "../../contract/retention.ts";
import { settleContract } from "../../contract/settle.ts";
import { storeContract } from "../../contract/store.ts";
import { events, never } from "../../fixtures.ts";

/** Where the stores are that a contract's tests share. */
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "sluice-"));
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sluice-"));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

const open = async (path: string, create = true) => SqliteStore.open({ path, limits: DEFAULT_LIMITS, create });

describe("SqliteStore", () => {
  storeContract(async () => open(join(await mkdtemp(join(root, "place-")), "sluice.db")));
  const place = async () => {
    const path = join(await mkdtemp(join(root, "place-")), "sluice.db");
    return () => open(path);
  };
  describe("jobs", () => jobsContract(place));
  describe("settling", () => settleContract(place));
  describe("lists of jobs", () => jobListContract(place));
  describe("artifacts", () => artifactsContract(place));
  describe("campaigns", () =>
    campaignContract(async () => open(join(await mkdtemp(join(root, "place-")), "sluice.db"))));
  describe("exports", () => exportContract(async () => open(join(await mkdtemp(join(root, "place-")), "sluice.db"))));

  describe("backfills", () =>
    backfillContract(async () => open(join(await mkdtemp(join(root, "place-")), "sluice.db"))));

  describe("retention", () =>
    retentionContract(async () => open(join(await mkdtemp(join(root, "place-")), "sluice.db"))));

  const ref = { project: "p", session: "s", stream: "main" };
  const append = (store: SqliteStore, first: number, count: number) =>
    store.append(
      { ref, epoch: undefined, firstSeq: BigInt(first), events: events(first, count), info: undefined },
      never,
    );

  it("has what it acked after it is opened again", async () => {
    const path = join(dir, "sluice.db");
    {
      await using store = await open(path);
      await append(store, 1, 10);
    }
    await using store = await open(path, false);
    expect(await store.readWatermark(ref, never)).toEqual({ durableSeq: 10n, sealed: false });
  });

  it("lets nobody but its owner read what is stored", async () => {
    const path = join(dir, "sluice.db");
    await using store = await open(path);
    await append(store, 1, 1);
    for (const file of [path, `${path}-wal`, `${path}-shm`]) expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it("notices what another process on the same file has committed", async () => {
    const path = join(dir, "sluice.db");
    await using one = await open(path);
    await using two = await open(path);
    await append(one, 1, 3);
    expect(await append(two, 1, 5)).toMatchObject({ stored: 2, duplicate: 3 });
    expect(await append(one, 4, 4)).toMatchObject({ stored: 2, duplicate: 2, durableSeq: 7n });
  });

  it("stores nothing of a settlement for a session that is gone", async () => {
    const path = join(dir, "sluice.db");
    await using store = await open(path);
    await sealedSession(store, "p", "s", [{ kind: "reduce", project: "p", session: "s", priority: 5 }]);
    const lease = await claimOne(store, "reduce", Date.now());
    const database = new Database(path);
    for (const table of ["jobs", "segments", "streams", "sessions"]) database.exec(`DELETE FROM ${table}`);
    const follow = [{ kind: "score", project: "p", session: "s", priority: 5 }];
    expect(await settleDone(store, lease, Date.now(), artifact("reduce", "late"), follow)).toBe("lost");
    expect(
      database.prepare("SELECT (SELECT count(*) FROM artifacts) + (SELECT count(*) FROM jobs)").pluck().get(),
    ).toBe(0);
    database.close();
  });

  it("refuses to read where there is no store", async () => {
    await expect(open(join(dir, "absent.db"), false)).rejects.toMatchObject({ code: "no_store", reason: "NO_STORE" });
  });

  it("refuses a store of a newer schema by name and leaves it as it is", async () => {
    const path = join(dir, "sluice.db");
    await (await open(path))[Symbol.asyncDispose]();
    const database = new Database(path);
    database.exec("INSERT INTO schema_migrations VALUES (9999, 'from the future', 'x', 0)");
    database.close();
    await expect(open(path)).rejects.toMatchObject({ code: "failed_precondition", reason: "SCHEMA_NEWER" });
  });

  it("refuses a file that is no store", async () => {
    const path = join(dir, "sluice.db");
    const { writeFile } = await import("node:fs/promises");
    await writeFile(path, "not a database at all, but long enough to be read as one".repeat(200));
    await expect(open(path)).rejects.toMatchObject({ code: "data_loss", reason: "STORE_CORRUPT" });
  });
});

it("is made whole or not at all, whenever its maker is killed", async () => {
  const dir = await mkdtemp(join(root, "made-"));
  const script = join(import.meta.dirname, "make-store.ts");
  for (let ms = 0; ms < 60; ms += 4) {
    const path = join(dir, `${ms}.db`);
    const maker = spawn(process.execPath, [script, path], { stdio: ["ignore", "pipe", "ignore"] });
    const exited = once(maker, "exit");
    await once(maker.stdout, "data");
    await new Promise((resolve) => setTimeout(resolve, ms));
    maker.kill("SIGKILL");
    await exited;
    const { current = 0, latest = 0 } = readStatus(path) ?? {};
    expect([0, latest]).toContain(current);
    await using store = await open(path);
    await store.ping(never);
  }
});
