import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ExportRecord } from "../../src/core/store/exports.ts";
import type { Store } from "../../src/core/store/store.ts";
import { never } from "../fixtures.ts";
import { openSession, sealedSession } from "./job-fixtures.ts";

/** What every ExportStore keeps. `open` gives a fresh empty store. */
export function exportContract(open: () => Promise<Store>): void {
  let store: Store;
  beforeAll(async () => {
    store = await open();
    // Not in the order of their ids.
    for (const id of ["s3", "s1", "s2"]) await sealedSession(store, "p", id);
    await openSession(store, "p", "s4");
    await sealedSession(store, "q", "s1");
  });
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
  });

  const record = (root: string, more: Partial<ExportRecord> = {}): ExportRecord => ({
    root: root.repeat(32),
    project: "p",
    format: "trl",
    path: "/data/set",
    examples: 7,
    createdAtMs: 1_000,
    ...more,
  });

  describe("what can be exported", () => {
    const list = (more: { after?: string; limit?: number; ids?: string[] } = {}) => {
      const selection = { project: "p", ...(more.ids && { ids: more.ids }) };
      return store.listExportable({ selection, after: more.after, limit: more.limit ?? 10 }, never);
    };

    it("is told by id, open sessions too, and of one project", async () => {
      expect(await list()).toEqual(
        ["s1", "s2", "s3", "s4"].map((session) => ({
          session,
          sealed: session !== "s4",
          signature: "",
          score: undefined,
        })),
      );
    });

    it("is told in pages, and only what matches", async () => {
      expect((await list({ limit: 2 })).map(({ session }) => session)).toEqual(["s1", "s2"]);
      expect((await list({ after: "s2" })).map(({ session }) => session)).toEqual(["s3", "s4"]);
      expect((await list({ ids: ["s2", "s4"] })).map(({ session }) => session)).toEqual(["s2", "s4"]);
    });
  });

  describe("an export", () => {
    it("is known by its root, and by each session it names", async () => {
      await store.recordExport(record("aa"), ["s1", "s2"], never);
      expect(await store.findExports("aa".repeat(32), never)).toEqual([record("aa")]);
      expect(await store.findExports("00".repeat(32), never)).toEqual([]);
      expect(await store.exportsNaming("p", "s2", never)).toEqual([record("aa")]);
      expect(await store.exportsNaming("p", "s3", never)).toEqual([]);
      expect(await store.exportsNaming("q", "s1", never)).toEqual([]);
    });

    it("is recorded once, however often and in how many parts", async () => {
      await store.recordExport(record("bb"), ["s1"], never);
      await store.recordExport(record("bb", { createdAtMs: 2_000 }), ["s3", "s1"], never);
      expect(await store.findExports("bb".repeat(32), never)).toEqual([record("bb")]);
      expect(await store.exportsNaming("p", "s3", never)).toEqual([record("bb")]);
    });

    it("written to two places is two", async () => {
      await store.recordExport(record("cc"), ["s1"], never);
      await store.recordExport(record("cc", { path: "/data/other" }), ["s1"], never);
      expect((await store.findExports("cc".repeat(32), never)).map(({ path }) => path)).toEqual([
        "/data/set",
        "/data/other",
      ]);
    });
  });
}
