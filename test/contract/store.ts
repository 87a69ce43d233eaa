import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AppError } from "../../src/core/errors.ts";
import type { Batch, KeyRecord, SessionInfo, SessionQuery, Store, StreamRef } from "../../src/core/store/store.ts";
import { EventType } from "../../src/wire/gen/sluice/v1/event_pb.ts";
import { event, events, never } from "../fixtures.ts";

/** What every Store keeps. `open` gives a fresh empty one with the default limits. */
export function storeContract(open: () => Promise<Store>): void {
  let store: Store;
  let count = 0;
  beforeAll(async () => {
    store = await open();
  });
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
  });
  const fresh = (): StreamRef => ({ project: "p", session: `s${++count}`, stream: "main" });
  const append = (ref: StreamRef, firstSeq: number, batch: Uint8Array[], more: Partial<Batch> = {}) =>
    store.append({ ref, epoch: undefined, firstSeq: BigInt(firstSeq), events: batch, info: undefined, ...more }, never);
  const readAll = (ref: StreamRef, more: object = {}) =>
    store.readEvents({ ...ref, stream: undefined, fromSeq: 1n, after: undefined, maxBytes: 1e9, ...more }, never);

  describe("append", () => {
    it("stores events and gives them back byte for byte", async () => {
      const ref = fresh();
      const sent = events(1, 5);
      expect(await append(ref, 1, sent)).toEqual({
        durableSeq: 5n,
        stored: 5,
        duplicate: 0,
        quarantined: 0,
        problems: [],
      });
      const stored = await readAll(ref);
      expect(stored.map((each) => each.seq)).toEqual([1n, 2n, 3n, 4n, 5n]);
      for (const [index, each] of stored.entries())
        expect(Buffer.compare(each.event, sent[index] ?? Buffer.of())).toBe(0);
    });

    it("takes the same bytes again as duplicates, in any cut, and changes nothing", async () => {
      const ref = fresh();
      const sent = events(1, 10);
      await append(ref, 1, sent.slice(0, 4));
      expect(await append(ref, 1, sent.slice(0, 4))).toMatchObject({ durableSeq: 4n, stored: 0, duplicate: 4 });
      expect(await append(ref, 3, sent.slice(2, 8))).toMatchObject({ durableSeq: 8n, stored: 4, duplicate: 2 });
      expect(await append(ref, 2, sent.slice(1, 7))).toMatchObject({ durableSeq: 8n, stored: 0, duplicate: 6 });
      expect(await readAll(ref)).toHaveLength(8);
      expect(await store.readSession(ref.project, ref.session, never)).toMatchObject({ state: { events: 8 } });
    });

    it("refuses other bytes at a stored seq and changes nothing, new events of the batch included", async () => {
      const ref = fresh();
      await append(ref, 1, events(1, 4));
      const batch = [event(3), event(99), event(5), event(6)];
      await expect(append(ref, 3, batch)).rejects.toMatchObject({ code: "conflict", metadata: { seq: "4" } });
      expect(await store.readWatermark(ref, never)).toEqual({ durableSeq: 4n, sealed: false });
    });

    it("refuses a gap and names the seq expected", async () => {
      const ref = fresh();
      await expect(append(ref, 2, events(2, 1))).rejects.toMatchObject({
        code: "out_of_range",
        metadata: { expected_seq: "1" },
      });
      expect(await store.readWatermark(ref, never)).toBeUndefined();
      await append(ref, 1, events(1, 2));
      await expect(append(ref, 4, events(4, 1))).rejects.toMatchObject({ metadata: { expected_seq: "3" } });
    });

    it("quarantines an invalid event alone, with reason and path, and stores its neighbours", async () => {
      const ref = fresh();
      const bad = event(2, { type: EventType.CUSTOM });
      const broken = Uint8Array.of(0xff, 0xff);
      const answer = await append(ref, 1, [event(1), bad, broken, event(4)]);
      expect(answer).toMatchObject({ durableSeq: 4n, stored: 2, duplicate: 0, quarantined: 2 });
      expect(answer.problems.map((each) => [each.seq, each.path])).toEqual([
        [2n, "custom_type"],
        [3n, ""],
      ]);
      expect((await readAll(ref)).map((each) => each.seq)).toEqual([1n, 4n]);
      const kept = await store.readQuarantined(ref.project, ref.session, 10, never);
      expect(kept.map((each) => Buffer.from(each.event))).toEqual([Buffer.from(bad), Buffer.from(broken)]);
      const again = await append(ref, 1, [event(1), bad, broken, event(4)]);
      expect(again).toMatchObject({ stored: 0, duplicate: 4, quarantined: 0 });
      expect(again.problems).toEqual(answer.problems);
      await expect(append(ref, 2, [event(2)])).rejects.toMatchObject({ code: "conflict" });
    });

    it("lets a newer opener fence the older one", async () => {
      const ref = fresh();
      const first = await store.openStream(ref, undefined, never);
      await append(ref, 1, events(1, 1), { epoch: first.epoch });
      const second = await store.openStream(ref, undefined, never);
      expect(second).toMatchObject({ durableSeq: 1n, sealed: false });
      await expect(append(ref, 2, events(2, 1), { epoch: first.epoch })).rejects.toMatchObject({
        code: "aborted",
        reason: "FENCED",
      });
      expect(await append(ref, 2, events(2, 1), { epoch: second.epoch })).toMatchObject({ durableSeq: 2n });
    });

    it("keeps every event once when many appends race", async () => {
      const ref = fresh();
      const sent = events(1, 200);
      const racers = Array.from({ length: 40 }, (_, index) =>
        append(ref, 1 + index * 5, sent.slice(index * 5, index * 5 + 5)),
      );
      expect((await Promise.all(racers)).reduce((sum, each) => sum + each.stored, 0)).toBe(200);
      expect(await readAll(ref)).toHaveLength(200);
    });

    it("refuses a batch over the limit and a session over its streams", async () => {
      const ref = fresh();
      await expect(append(ref, 1, events(1, 1001))).rejects.toMatchObject({ reason: "BATCH_TOO_LARGE" });
      for (let stream = 0; stream < 64; stream++) await append({ ...ref, stream: `t${stream}` }, 1, events(1, 1));
      await expect(append({ ...ref, stream: "more" }, 1, events(1, 1))).rejects.toMatchObject({
        code: "resource_exhausted",
        reason: "TOO_MANY_STREAMS",
      });
    });

    it("keeps projects apart", async () => {
      const ref = fresh();
      await append(ref, 1, events(1, 3));
      expect(await store.readSession("other", ref.session, never)).toBeUndefined();
      expect(await append({ ...ref, project: "other" }, 1, events(50, 1))).toMatchObject({ stored: 1 });
      expect(await readAll(ref)).toHaveLength(3);
    });
  });

  describe("seal", () => {
    it("makes a session immutable, takes resends, and is idempotent", async () => {
      const ref = fresh();
      await append(ref, 1, events(1, 3));
      const command = {
        project: ref.project,
        session: ref.session,
        streams: [{ stream: "main", lastSeq: 3n }],
        allowMissingBlobs: false,
        expectedVersion: undefined,
        jobs: [],
      };
      const sealed = await store.seal(command, never);
      expect(await store.seal(command, never)).toEqual(sealed);
      expect(await append(ref, 1, events(1, 3))).toMatchObject({ duplicate: 3 });
      await expect(append(ref, 4, events(4, 1))).rejects.toMatchObject({
        code: "failed_precondition",
        reason: "SEALED",
      });
      await expect(append({ ...ref, stream: "late" }, 1, events(1, 1))).rejects.toMatchObject({ reason: "SEALED" });
      expect(await store.openStream(ref, undefined, never)).toMatchObject({ sealed: true });
    });

    it("refuses streams or ends that are not the ones stored", async () => {
      const ref = fresh();
      await append(ref, 1, events(1, 3));
      await append({ ...ref, stream: "second" }, 1, events(1, 1));
      const attempt = (streams: { stream: string; lastSeq: bigint }[]) =>
        store.seal({ ...ref, streams, allowMissingBlobs: false, expectedVersion: undefined, jobs: [] }, never);
      await expect(attempt([{ stream: "main", lastSeq: 3n }])).rejects.toMatchObject({ reason: "STREAMS_DIFFER" });
      await expect(
        attempt([
          { stream: "main", lastSeq: 2n },
          { stream: "second", lastSeq: 1n },
        ]),
      ).rejects.toMatchObject({ metadata: { streams: "main=3,second=1" } });
    });

    it("waits for blobs unless told to go without, and then keeps their names", async () => {
      const ref = fresh();
      const blobId = createHash("sha256").update(ref.session).digest("hex");
      await append(ref, 1, [event(1, { screenshots: [{ blobId }] })]);
      const command = { ...ref, streams: [{ stream: "main", lastSeq: 1n }], expectedVersion: undefined, jobs: [] };
      await expect(store.seal({ ...command, allowMissingBlobs: false }, never)).rejects.toMatchObject({
        reason: "MISSING_BLOBS",
        metadata: { blobs: blobId },
      });
      expect(await store.seal({ ...command, allowMissingBlobs: true }, never)).toMatchObject({
        missingBlobs: [blobId],
      });
      expect(await store.missingBlobs(ref.project, [blobId], undefined, never)).toEqual([blobId]);
      await store.recordBlob(ref.project, { id: blobId, size: 3, mediaType: "image/png" }, never);
      expect(await store.missingBlobs(ref.project, [blobId], undefined, never)).toEqual([]);
      expect(await store.missingBlobs("other", [blobId], undefined, never)).toEqual([blobId]);
    });

    it("tells one of those that record a blob at once that it was not recorded before", async () => {
      const { project, session } = fresh();
      const blob = { id: createHash("sha256").update(session).digest("hex"), size: 3, mediaType: "image/png" };
      const told = await Promise.all(Array.from({ length: 10 }, () => store.recordBlob(project, blob, never)));
      expect(told.filter((each) => each === "stored")).toHaveLength(1);
      expect(await store.recordBlob(project, blob, never)).toBe("duplicate");
      expect(await store.recordBlob("other", blob, never)).toBe("stored");
    });

    it("fails with aborted when the session moved", async () => {
      const ref = fresh();
      await append(ref, 1, events(1, 1));
      const seen = await store.readSession(ref.project, ref.session, never);
      await append(ref, 2, events(2, 1));
      const command = { ...ref, streams: [{ stream: "main", lastSeq: 2n }], allowMissingBlobs: false, jobs: [] };
      await expect(store.seal({ ...command, expectedVersion: seen?.version }, never)).rejects.toMatchObject({
        code: "aborted",
        reason: "VERSION_MOVED",
      });
    });
  });

  describe("reading", () => {
    const info: SessionInfo = {
      task: "buy a mug",
      collector: "test/1",
      startUrl: "",
      userAgent: "",
      labels: [{ name: "team", value: "red" }],
      rawJson: "",
    };
    const query: SessionQuery = {
      project: "listing",
      limit: 4,
      cursor: undefined,
      status: undefined,
      sinceMs: undefined,
      untilMs: undefined,
      labels: [],
      collector: undefined,
    };

    it("pages newest first without losing or doubling a session while others arrive", async () => {
      const make = (id: number) =>
        append({ project: "listing", session: `l${String(id).padStart(3, "0")}`, stream: "main" }, 1, events(1, 1), {
          info: id % 2 === 0 ? info : undefined,
        });
      for (let id = 0; id < 11; id++) await make(id);
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await store.listSessions({ ...query, cursor }, never);
        seen.push(...page.sessions.map((session) => session.id));
        cursor = page.nextCursor;
        await make(100 + seen.length);
      } while (cursor !== undefined);
      expect(seen).toEqual(Array.from({ length: 11 }, (_, id) => `l${String(10 - id).padStart(3, "0")}`));
    });

    it("filters by label, collector, status and time", async () => {
      const all = await store.listSessions({ ...query, limit: 100 }, never);
      const labelled = await store.listSessions({ ...query, limit: 100, labels: info.labels }, never);
      expect(labelled.sessions.length).toBeGreaterThan(0);
      expect(labelled.sessions.length).toBeLessThan(all.sessions.length);
      const by = async (more: Partial<SessionQuery>) =>
        (await store.listSessions({ ...query, limit: 100, ...more }, never)).sessions.length;
      expect(await by({ collector: "test/1" })).toBe(labelled.sessions.length);
      expect(await by({ labels: [{ name: "team", value: "blue" }] })).toBe(0);
      expect(await by({ status: "sealed" })).toBe(0);
      expect(await by({ status: "open" })).toBe(all.sessions.length);
      expect(await by({ sinceMs: Date.now() + 60_000 })).toBe(0);
      expect(await by({ untilMs: Date.now() + 60_000 })).toBe(all.sessions.length);
      await expect(by({ cursor: "nonsense" })).rejects.toMatchObject({
        code: "invalid_argument",
        reason: "BAD_PAGE_TOKEN",
      });
    });

    it("pages events by size, across streams, from any seq", async () => {
      const ref = fresh();
      await append(ref, 1, events(1, 30));
      await append(ref, 31, events(31, 30));
      await append({ ...ref, stream: "second" }, 1, events(1, 10));
      const seen: string[] = [];
      let after: { stream: string; seq: bigint } | undefined;
      for (;;) {
        const page = await readAll(ref, { maxBytes: 50, after });
        const last = page.at(-1);
        if (last === undefined) break;
        seen.push(...page.map((each) => `${each.stream}/${each.seq}`));
        after = { stream: last.stream, seq: last.seq };
      }
      expect(seen).toHaveLength(70);
      expect(new Set(seen).size).toBe(70);
      expect(seen[59]).toBe("main/60");
      expect((await readAll(ref, { fromSeq: 45n, stream: "main" })).map((each) => Number(each.seq))[0]).toBe(45);
    });

    it("folds what is stored", async () => {
      const ref = fresh();
      await append(ref, 1, [
        event(5, { page: { url: "http://a.example/", title: "A" } }),
        event(3, { type: EventType.SCROLL, page: { url: "http://b.example/", title: "B" } }),
      ]);
      const session = await store.readSession(ref.project, ref.session, never);
      expect(session?.state).toMatchObject({
        firstMs: 3000,
        lastMs: 5000,
        types: { click: 1, scroll: 1 },
        page: { title: "A" },
      });
      expect(session?.streams).toEqual([{ stream: "main", lastSeq: 2n }]);
    });
  });

  describe("keys", () => {
    const key = (id: string): KeyRecord => ({
      id,
      project: "keyed",
      name: "collector",
      scopes: ["ingest", "read"],
      hash: createHash("sha256").update(id).digest(),
      createdAtMs: 1000 + Number(id.slice(1)),
      expiresAtMs: undefined,
      revokedAtMs: undefined,
      lastUsedAtMs: undefined,
      replacedBy: undefined,
    });

    it("keeps, lists, rotates and revokes", async () => {
      await store.createKey(key("k1"), never);
      await store.createKey(key("k2"), never);
      expect((await store.listKeys("keyed", never)).map((each) => each.id)).toEqual(["k2", "k1"]);
      await store.rotateKey("k1", key("k3"), 9000, never);
      expect(await store.readKey("k1", never)).toMatchObject({ expiresAtMs: 9000, replacedBy: "k3" });
      expect(await store.revokeKey("k2", 5000, never)).toMatchObject({ revokedAtMs: 5000 });
      expect(await store.revokeKey("k2", 6000, never)).toMatchObject({ revokedAtMs: 5000 });
      await store.touchKey("k3", 7000, never);
      expect(await store.readKey("k3", never)).toMatchObject({ lastUsedAtMs: 7000, scopes: ["ingest", "read"] });
      await expect(store.rotateKey("k2", key("k4"), 1, never)).rejects.toMatchObject({ reason: "KEY_REVOKED" });
      expect(await store.readKey("k4", never)).toBeUndefined();
      await expect(store.revokeKey("nobody", 1, never)).rejects.toMatchObject({ code: "not_found" });
    });
  });

  it("rejects a call whose signal has aborted", async () => {
    await expect(store.ping(AbortSignal.abort())).rejects.toSatisfy(
      (error) => AppError.from(error).code === "cancelled",
    );
  });
}
