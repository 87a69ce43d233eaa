import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Store } from "../../src/core/store/store.ts";
import { EventSchema, EventType } from "../../src/wire/gen/sluice/v1/event_pb.ts";
import { never } from "../fixtures.ts";
import { artifact, claimOne, settleDone, sha256 } from "./job-fixtures.ts";

const LATER = Date.UTC(2100, 0, 1);

/** How every Store lets recorded blobs go. `open` gives a fresh empty one. */
export function retentionContract(open: () => Promise<Store>): void {
  let store: Store;
  let count = 0;
  beforeAll(async () => {
    store = await open();
  });
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
  });
  const freshProject = () => `p${++count}`;

  const blob = async (project: string, name: string): Promise<string> => {
    const id = sha256(name);
    await store.recordBlob(project, { id, size: 3, mediaType: "image/png" }, never);
    return id;
  };
  /** A session whose one event names these blobs. */
  const name = async (project: string, session: string, blobs: readonly string[]) => {
    const screenshots = blobs.map((blobId) => ({ blobId }));
    const event = toBinary(EventSchema, create(EventSchema, { timeMs: 1n, type: EventType.CLICK, screenshots }));
    const ref = { project, session, stream: "main" };
    await store.append({ ref, epoch: undefined, firstSeq: 1n, events: [event], info: undefined }, never);
  };
  const seal = (project: string, session: string, allowMissingBlobs = false) => {
    const streams = [{ stream: "main", lastSeq: 1n }];
    return store.seal({ project, session, streams, allowMissingBlobs, expectedVersion: undefined, jobs: [] }, never);
  };
  const redact = async (project: string, session: string) => {
    const kind = `redact-${++count}`;
    await store.enqueue([{ kind, project, session, priority: 5 }], 1_000, never);
    await settleDone(store, await claimOne(store, kind, 1_000), 2_000, artifact("redact", session));
  };
  const done = async (project: string, session: string, blobs: readonly string[]) => {
    await name(project, session, blobs);
    await seal(project, session);
    await redact(project, session);
  };
  const signatures = async (project: string) =>
    (await store.countSessions({ project }, never)).map(({ signature }) => signature).filter((each) => each !== "");
  const expire = async (project: string, sessions: readonly string[], more: { sealedByMs?: number } = {}) => {
    const { sealedByMs = LATER } = more;
    const command = { project, sessions, sealedByMs, signatures: await signatures(project), nowMs: 5_000 };
    return await store.expireOriginals(command, never);
  };
  const removedAt = async (project: string, id: string) => (await store.readBlob(project, id, never))?.removedAtMs;

  it("finds sealed sessions that were redacted, longest sealed first, in pages", async () => {
    const project = freshProject();
    const blobs = [await blob(project, "one")];
    for (const session of ["a", "b", "c"]) await done(project, session, blobs);
    await name(project, "open", blobs);
    await name(project, "sealed", blobs);
    await seal(project, "sealed");
    const query = { project, sealedByMs: LATER, signatures: await signatures(project), limit: 2 };
    const first = await store.findExpirable({ ...query, after: undefined }, never);
    expect(first.map(({ session }) => session)).toEqual(["a", "b"]);
    const second = await store.findExpirable({ ...query, after: first.at(-1) }, never);
    expect(second.map(({ session }) => session)).toEqual(["c"]);
    const [sealedAtMs = 0] = first.map((each) => each.sealedAtMs);
    expect(await store.findExpirable({ ...query, sealedByMs: sealedAtMs - 1, after: undefined }, never)).toEqual([]);
    expect(await store.findExpirable({ ...query, signatures: ["redact:9:x"], after: undefined }, never)).toEqual([]);
    expect(await store.listProjects(never)).toContain(project);
  });

  it("counts their blobs as removed, once, and lists them until their bytes are gone", async () => {
    const project = freshProject();
    const blobs = [await blob(project, "one"), await blob(project, "two")];
    await done(project, "a", blobs);
    expect(await expire(project, ["a"])).toEqual({ sessions: 1, blobs: 2 });
    expect(await Promise.all(blobs.map((id) => removedAt(project, id)))).toEqual([5_000, 5_000]);
    expect(await expire(project, ["a"])).toEqual({ sessions: 0, blobs: 0 });
    const unpurged = async () => (await store.listUnpurged(100, never)).filter((each) => each.project === project);
    expect((await unpurged()).map(({ id }) => id).sort()).toEqual(blobs.toSorted());
    await store.markPurged(await unpurged(), never);
    expect(await unpurged()).toEqual([]);
  });

  it("leaves a blob that a session names which is open, not redacted or sealed later, until that is as far", async () => {
    for (const other of ["open", "sealed", "later"]) {
      const project = freshProject();
      const id = await blob(project, "shared");
      await done(project, "a", [id]);
      const sealedByMs = (await store.readSession(project, "a", never))?.seal?.sealedAtMs ?? 0;
      // What is sealed within the same millisecond is as far.
      while (Date.now() <= sealedByMs);
      await name(project, other, [id]);
      if (other !== "open") await seal(project, other);
      if (other === "later") await redact(project, other);
      expect(await expire(project, ["a"], other === "later" ? { sealedByMs } : {}), other).toEqual({
        sessions: 1,
        blobs: 0,
      });
      expect(await removedAt(project, id)).toBeUndefined();
      if (other === "open") await seal(project, other);
      if (other !== "later") await redact(project, other);
      expect(await expire(project, [other]), other).toEqual({ sessions: 1, blobs: 1 });
    }
  });

  it("leaves the same blob of another project", async () => {
    const [project, other] = [freshProject(), freshProject()];
    const id = await blob(project, "one");
    await blob(other, "one");
    await name(other, "a", [id]);
    await done(project, "a", [id]);
    expect(await expire(project, ["a"])).toEqual({ sessions: 1, blobs: 1 });
    expect(await removedAt(other, id)).toBeUndefined();
  });

  it("has a removed blob missing but for a session that is sealed", async () => {
    const project = freshProject();
    const id = await blob(project, "one");
    await done(project, "a", [id]);
    await expire(project, ["a"]);
    await name(project, "b", [id]);
    const missing = (session: string | undefined) => store.missingBlobs(project, [id], session, never);
    expect(await missing("a")).toEqual([]);
    for (const session of ["b", "c", undefined]) expect(await missing(session)).toEqual([id]);
    await expect(seal(project, "b")).rejects.toMatchObject({ reason: "MISSING_BLOBS", metadata: { blobs: id } });
  });

  it("has a blob that is sent again there again, and removes it again when all is as far", async () => {
    const project = freshProject();
    const id = await blob(project, "one");
    await done(project, "a", [id]);
    await expire(project, ["a"]);
    const sent = { id, size: 3, mediaType: "image/png" };
    expect(await store.recordBlob(project, sent, never)).toBe("expired");
    expect(await store.readBlob(project, id, never)).toBeUndefined();
    expect(await store.recordBlob(project, sent, never)).toBe("stored");
    expect(await removedAt(project, id)).toBeUndefined();
    await store.markPurged([{ project, id }], never);
    expect(await expire(project, ["a"])).toEqual({ sessions: 1, blobs: 1 });
    expect((await store.listUnpurged(100, never)).filter((each) => each.project === project)).toHaveLength(1);
  });
}
