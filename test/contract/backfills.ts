import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backfill, EndedItem } from "../../src/core/store/backfills.ts";
import type { Store } from "../../src/core/store/store.ts";
import { never } from "../fixtures.ts";
import { openSession } from "./job-fixtures.ts";

/** What every BackfillStore keeps. `open` gives a fresh empty store. */
export function backfillContract(open: () => Promise<Store>): void {
  let store: Store;
  let count = 0;
  beforeAll(async () => {
    store = await open();
    for (const project of ["p", "q"]) await openSession(store, project, "s");
  });
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
  });

  const begin = (project = "p"): Promise<Backfill> => {
    const id = `bf_${++count}`;
    const settings = { labels: [], concurrency: 2 };
    return store.createBackfill({ id, project, sources: ["/in"], settings, createdAtMs: 1_000 }, never);
  };
  const digest = (byte: string) => byte.repeat(32);
  const ended = (path: string, more: Partial<EndedItem> = {}): EndedItem => ({
    path,
    outcome: "imported",
    format: "native capture",
    sessions: ["s"],
    events: 3,
    quarantined: 1,
    blobs: 2,
    bytes: 10,
    reason: "",
    message: "",
    ...more,
  });

  describe("an item", () => {
    it("is fresh once, begun until it has ended, and ended from then on", async () => {
      const { id } = await begin();
      const items = [{ path: "/in/a", digest: digest("a1"), bytes: 5 }];
      expect(await store.beginItems(id, items, never)).toEqual(["fresh"]);
      expect(await store.beginItems(id, items, never)).toEqual(["begun"]);
      await store.endItems(id, [ended("/in/a")], never);
      expect(await store.beginItems(id, items, never)).toEqual(["ended"]);
      await store.beginItems(id, [{ path: "/in/b", digest: digest("a2"), bytes: 5 }], never);
      expect(await store.endedPaths(id, ["/in/b", "/in/a", "/in/c"], never)).toEqual(["/in/a"]);
    });

    it("with the content of an imported one is a duplicate, in any backfill of the project, and in no other", async () => {
      const first = await begin();
      await store.beginItems(first.id, [{ path: "/in/x", digest: digest("b1"), bytes: 5 }], never);
      const second = await begin();
      expect(await store.beginItems(second.id, [{ path: "/in/early", digest: digest("b1"), bytes: 5 }], never)).toEqual(
        ["fresh"],
      );
      await store.endItems(first.id, [ended("/in/x")], never);
      expect(await store.beginItems(second.id, [{ path: "/in/late", digest: digest("b1"), bytes: 5 }], never)).toEqual([
        "duplicate",
      ]);
      const other = await begin("q");
      expect(await store.beginItems(other.id, [{ path: "/in/x", digest: digest("b1"), bytes: 5 }], never)).toEqual([
        "fresh",
      ]);
    });

    it("that was refused is brought in again after a retry, and none else", async () => {
      const { id } = await begin();
      const items = ["c1", "c2"].map((byte) => ({ path: `/in/${byte}`, digest: digest(byte), bytes: 5 }));
      await store.beginItems(id, items, never);
      await store.endItems(
        id,
        [ended("/in/c1"), ended("/in/c2", { outcome: "refused", sessions: [], reason: "BAD_CAPTURE", message: "m" })],
        never,
      );
      const refused = { id, outcome: "refused" as const, after: undefined, limit: 10 };
      expect(await store.listItems(refused, never)).toMatchObject([{ path: "/in/c2", reason: "BAD_CAPTURE" }]);
      expect(await store.retryItems(id, never)).toBe(1);
      expect(await store.listItems(refused, never)).toEqual([]);
      expect(await store.beginItems(id, items, never)).toEqual(["ended", "fresh"]);
    });
  });

  it("counts what came of its items, by format, outcome and reason", async () => {
    const { id } = await begin();
    const paths = ["d1", "d2", "d3"];
    await store.beginItems(
      id,
      paths.map((byte) => ({ path: byte, digest: digest(byte), bytes: 5 })),
      never,
    );
    await store.endItems(id, [ended("d1"), ended("d2")], never);
    const counts = await store.countItems(id, never);
    expect(counts).toMatchObject([
      { format: "", outcome: "begun", items: 1, sessions: 0 },
      {
        format: "native capture",
        outcome: "imported",
        items: 2,
        sessions: 2,
        events: 6,
        quarantined: 2,
        blobs: 4,
        bytes: 20,
      },
    ]);
    expect(await store.listBackfilled(id, undefined, 10, never)).toEqual(["s"]);
    expect(await store.listBackfilled(id, "s", 10, never)).toEqual([]);
  });

  it("is changed until it is done, and told newest first", async () => {
    const { id } = await begin();
    const paused = await store.changeBackfill(id, { state: "paused", settings: { rate: 3 } }, 2_000, never);
    expect(paused).toMatchObject({
      state: "paused",
      version: 2,
      settings: { rate: 3, concurrency: 2 },
      updatedAtMs: 2_000,
    });
    await store.changeBackfill(id, { state: "done" }, 3_000, never);
    await expect(store.changeBackfill(id, { state: "running" }, 4_000, never)).rejects.toMatchObject({
      reason: "BACKFILL_ENDED",
    });
    expect((await store.listBackfills(1, never)).map((each) => each.id)).toEqual([id]);
    expect(await store.readBackfill("bf_none", never)).toBeUndefined();
    await expect(store.countItems("bf_none", never)).rejects.toMatchObject({ reason: "BACKFILL_NOT_FOUND" });
  });
}
