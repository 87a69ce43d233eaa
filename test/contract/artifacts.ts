import { afterAll, beforeAll, expect, it } from "vitest";
import type { NewArtifact } from "../../src/core/store/artifacts.ts";
import type { Selection } from "../../src/core/store/campaigns.ts";
import type { Store } from "../../src/core/store/store.ts";
import { never } from "../fixtures.ts";
import { artifact, claimOne, sealedSession, settleDone, sha256 } from "./job-fixtures.ts";

/** How every Store keeps what stages gave. `place` makes a fresh empty one, and returns what opens it. */
export function artifactsContract(place: () => Promise<() => Promise<Store>>): void {
  let store: Store;
  let count = 0;
  beforeAll(async () => {
    store = await (await place())();
  });
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
  });
  const fresh = async (): Promise<string> => {
    const session = `s${++count}`;
    await sealedSession(store, "p", session);
    return session;
  };
  /** Runs a job of the artifact's stage that gives it. */
  const give = async (session: string, gave: NewArtifact, campaign?: string): Promise<number> => {
    const kind = `${gave.stage}-${++count}`;
    const job = { kind, project: "p", session, priority: 5, ...(campaign === undefined ? {} : { campaign }) };
    await store.enqueue([job], 1_000, never);
    const lease = await claimOne(store, kind, 1_000);
    expect(await settleDone(store, lease, 2_000, gave)).toBe("settled");
    return lease.job;
  };
  const heads = async (session: string) =>
    Object.fromEntries((await store.readHeads("p", session, never)).map(({ stage, key }) => [stage, key]));

  it("are given back as the stage gave them, with what is needed to tell whether they are stale", async () => {
    const session = await fresh();
    const blobs = [sha256("one"), sha256("two")].sort();
    const gave = artifact("redact", session, [{ name: "validate", hash: sha256("v") }], { blobs });
    const job = await give(session, gave, "c1");
    const { key, stage, version, params, inputs, output } = gave;
    const head = { key, stage, version, params, inputs, output };
    expect(await store.readHeads("p", session, never)).toEqual([head]);
    const stored = await store.readArtifact("p", session, key, never);
    expect(stored).toMatchObject(head);
    expect(sha256(Buffer.from(stored?.data ?? []).toString())).toBe(output);
    expect(await store.listArtifacts("p", session, 10, never)).toEqual([
      {
        ...{ ...head, current: true, paramsJson: "{}", createdAtMs: 2_000, durationMs: 12.5, job, campaign: "c1" },
        ...{ bytes: gave.bytes, storedBytes: gave.payload.length, blobs },
      },
    ]);
  });

  it("of other sessions and projects are not seen", async () => {
    const [one, other] = [await fresh(), await fresh()];
    const gave = artifact("reduce", one);
    await give(one, gave);
    expect(await store.readArtifact("p", other, gave.key, never)).toBeUndefined();
    expect(await store.readArtifact("q", one, gave.key, never)).toBeUndefined();
    expect(await store.readHeads("q", one, never)).toEqual([]);
    expect(await store.listArtifacts("q", one, 10, never)).toEqual([]);
  });

  it("move the head, and an earlier one can become current again without being given again", async () => {
    const session = await fresh();
    const [first, second] = [artifact("reduce", "one"), artifact("reduce", "two")];
    await give(session, first);
    await give(session, second);
    expect(await heads(session)).toEqual({ reduce: second.key });
    await give(session, { reuse: true, key: first.key, stage: "reduce", score: undefined });
    expect(await heads(session)).toEqual({ reduce: first.key });
    await give(session, second);
    await give(session, artifact("score", "one"));
    const listed = await store.listArtifacts("p", session, 10, never);
    expect(listed.map(({ stage, key, current }) => [stage, key === first.key, current])).toEqual([
      ["score", false, true],
      ["reduce", false, true],
      ["reduce", true, false],
    ]);
    expect(await store.listArtifacts("p", session, 1, never)).toHaveLength(1);
  });

  it("tell with which definitions the session is fresh, and the score, in the commit that stores them", async () => {
    const session = await fresh();
    const params = sha256("{}").slice(0, 16);
    const select = async (more: Partial<Selection> = {}) => {
      const selection = { project: "p", ids: [session], ...more };
      return (await store.selectSessions({ selection, after: undefined, limit: 2, scan: 1_000 }, never)).sessions;
    };
    const state = async () => (await select())[0]?.signature;
    const scored = async (minScore: number) => (await select({ minScore })).length;
    expect(await state()).toBe("");
    const redact = artifact("redact", "one");
    await give(session, redact);
    expect(await state()).toBe(`redact:1:${params}`);
    await give(session, artifact("score", "one", [{ name: "redact", hash: redact.output }], { score: 71.5 }));
    expect(await state()).toBe(`redact:1:${params},score:1:${params}`);
    expect([await scored(71.5), await scored(72)]).toEqual([1, 0]);
    await give(session, artifact("redact", "another"));
    expect(await state(), "what another input has overtaken is left out").toBe(`redact:1:${params}`);
    expect(await scored(71.5), "the last score stays until there is another").toBe(1);
    await give(session, { reuse: true, key: redact.key, stage: "redact", score: undefined });
    expect(await state()).toBe(`redact:1:${params},score:1:${params}`);
    expect(await store.countSessions({ project: "p", ids: [session] }, never)).toEqual([
      { signature: `redact:1:${params},score:1:${params}`, sessions: 1 },
    ]);
  });

  it("that are not there cannot be used again, and nothing of the call is stored", async () => {
    const session = await fresh();
    await store.enqueue(
      ["reduce", "score"].map((stage) => ({ kind: `${stage}-${session}`, project: "p", session, priority: 5 })),
      1_000,
      never,
    );
    const [one, two] = [
      await claimOne(store, `reduce-${session}`, 1_000),
      await claimOne(store, `score-${session}`, 1_000),
    ];
    const gave = artifact("reduce", session);
    const reuse: NewArtifact = { reuse: true, key: sha256("never given"), stage: "score", score: undefined };
    const settled = store.settle(
      [
        { lease: one, outcome: "done", artifact: gave, follow: [] },
        { lease: two, outcome: "done", artifact: reuse, follow: [] },
      ],
      2_000,
      never,
    );
    await expect(settled).rejects.toMatchObject({ code: "not_found", reason: "ARTIFACT_NOT_FOUND" });
    expect(await store.readJob(one.job, never)).toMatchObject({ state: "running" });
    expect(await heads(session)).toEqual({});
  });

  it("bring the jobs that follow in the same commit", async () => {
    const session = await fresh();
    const kind = `validate-${session}`;
    const follows = { kind: `redact-${session}`, project: "p", session, priority: 2, stages: ["redact"] };
    await store.enqueue([{ kind, project: "p", session, priority: 5 }], 1_000, never);
    const lease = await claimOne(store, kind, 1_000);
    expect(await settleDone(store, lease, 2_000, artifact("validate", session), [follows])).toBe("settled");
    expect(await claimOne(store, follows.kind, 2_000)).toMatchObject({ session, priority: 2, stages: ["redact"] });
  });
}
