import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JobState, NewJob } from "../../src/core/store/jobs.ts";
import type { Store } from "../../src/core/store/store.ts";
import { never } from "../fixtures.ts";
import { artifact, claim, claimOne, openSession, seal, sealedSession, settleDone } from "./job-fixtures.ts";

/** What the job ledger of every Store keeps. `place` makes a fresh empty one, and returns what opens it. */
export function jobsContract(place: () => Promise<() => Promise<Store>>): void {
  let open: () => Promise<Store>;
  let store: Store;
  let count = 0;
  beforeAll(async () => {
    open = await place();
    store = await open();
    for (let session = 0; session < 12; session++) await sealedSession(store, "p", `s${session}`);
  });
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
  });
  /** Each test has kinds of its own. */
  const fresh = (): string => `kind-${++count}`;
  const job = (kind: string, session = 0, more: Partial<NewJob> = {}): NewJob => {
    return { kind, project: "p", session: `s${session}`, priority: 5, ...more };
  };
  const enqueue = (jobs: NewJob[], nowMs = 1_000) => store.enqueue(jobs, nowMs, never);
  const only = async (kind: string) => {
    const { jobs } = await store.listJobs({ kind, limit: 100, cursor: undefined }, never);
    const [first, ...more] = jobs;
    if (first === undefined || more.length > 0) throw new Error(`expected one ${kind} job, got ${jobs.length}`);
    return (await store.readJob(first.id, never)) ?? first;
  };
  const states = async (kind: string): Promise<JobState[]> =>
    (await store.listJobs({ kind, limit: 100, cursor: undefined }, never)).jobs.map(({ state }) => state).reverse();
  const error = { reason: "FLAKY", message: "It failed." };

  describe("enqueue", () => {
    it("keeps one unfinished job of a kind a session", async () => {
      const kind = fresh();
      expect(await enqueue([job(kind, 1), job(kind, 2), job(kind, 1)])).toEqual({ added: 2, existing: 1 });
      expect(await enqueue([job(kind, 2, { priority: 0 })])).toEqual({ added: 0, existing: 1 });
      expect(await states(kind)).toEqual(["available", "available"]);
      for (const claimed of await claim(store, kind, 1_000)) await settleDone(store, claimed, 2_000);
      expect(await enqueue([job(kind, 1)])).toEqual({ added: 1, existing: 0 });
    });

    it("runs a job once more that is enqueued while it runs, and not one that waits", async () => {
      const kind = fresh();
      await enqueue([job(kind)]);
      await enqueue([job(kind)]);
      const first = await claimOne(store, kind, 1_000);
      await enqueue([job(kind)]);
      await settleDone(store, first, 2_000);
      expect(await only(kind)).toMatchObject({ id: first.job, state: "available", attempts: 0 });
      const second = await claimOne(store, kind, 3_000);
      expect(second.fence).toBeGreaterThan(first.fence);
      await settleDone(store, second, 4_000);
      expect(await states(kind)).toEqual(["done"]);
    });

    it("refuses a session that is not there, and adds none of the call", async () => {
      const kind = fresh();
      await expect(enqueue([job(kind), { ...job(kind), session: "absent" }])).rejects.toMatchObject({
        code: "not_found",
        reason: "SESSION_NOT_FOUND",
        metadata: { session: "absent" },
      });
      await expect(enqueue([{ ...job(kind), project: "other" }])).rejects.toMatchObject({ code: "not_found" });
      expect(await states(kind)).toEqual([]);
    });

    it("happens in the commit of the seal that causes it, once", async () => {
      const kind = fresh();
      await openSession(store, "p", kind);
      const caused: NewJob = { kind, project: "p", session: kind, priority: 3 };
      await seal(store, "p", kind, [caused]);
      expect(await only(kind)).toMatchObject({ session: kind, state: "available", priority: 3 });
      await settleDone(store, await claimOne(store, kind, Date.now()), Date.now());
      await seal(store, "p", kind, [caused]);
      expect(await states(kind)).toEqual(["done"]);
    });

    it("does not happen when the seal is refused", async () => {
      const kind = fresh();
      await openSession(store, "p", kind);
      const refused = store.seal(
        {
          ...{ project: "p", session: kind, allowMissingBlobs: false, expectedVersion: undefined },
          streams: [],
          jobs: [{ kind, project: "p", session: kind, priority: 3 }],
        },
        never,
      );
      await expect(refused).rejects.toMatchObject({ reason: "STREAMS_DIFFER" });
      expect(await states(kind)).toEqual([]);
    });
  });

  describe("claim", () => {
    it("gives the most urgent first, and the oldest of those, with all a worker needs", async () => {
      const kind = fresh();
      await enqueue([job(kind, 1), job(kind, 2, { priority: 9 }), job(kind, 3, { priority: 0 }), job(kind, 4)]);
      await enqueue([job(kind, 5, { priority: 0, campaign: "c1", stages: ["validate", "redact"] })], 900);
      const two = await claim(store, kind, 2_000, { limit: 2 });
      expect(two.map(({ session }) => session)).toEqual(["s3", "s5"]);
      expect(two[1]).toEqual({
        ...{ job: two[1]?.job, fence: 1, kind, project: "p", session: "s5", priority: 0 },
        ...{ campaign: "c1", stages: ["validate", "redact"], attempt: 1, lost: 0 },
      });
      expect(two[0]).toMatchObject({ campaign: undefined, stages: undefined });
      expect((await claim(store, kind, 2_000)).map(({ session }) => session)).toEqual(["s1", "s4", "s2"]);
      expect(await claim(store, kind, 2_000)).toEqual([]);
    });

    it("takes the most urgent over all kinds, then of the kind named earlier, up to a total", async () => {
      const [one, two, three] = [fresh(), fresh(), fresh()];
      await enqueue([job(two, 1), job(one, 2), job(one, 3, { priority: 7 }), job(three, 4, { priority: 1 })]);
      await enqueue([job(two, 5), job(two, 6)]);
      const kinds = [
        { kind: one, limit: 5 },
        { kind: two, limit: 2 },
        { kind: three, limit: 5 },
      ];
      const request = { owner: "w", kinds, leaseMs: 1e12, nowMs: 2_000 };
      const first = await store.claim({ ...request, total: 2 }, never);
      expect(first.map(({ session }) => session)).toEqual(["s4", "s2"]);
      const rest = await store.claim({ ...request, total: 10 }, never);
      expect(rest.map(({ session }) => session)).toEqual(["s1", "s5", "s3"]);
    });

    it("gives none of a paused kind, and of a bounded one no more than may run", async () => {
      const kind = fresh();
      await enqueue([job(kind, 1), job(kind, 2), job(kind, 3)]);
      await store.setKind(kind, { paused: true }, never);
      expect(await claim(store, kind, 2_000)).toEqual([]);
      await store.setKind(kind, { paused: false, maxRunning: 2 }, never);
      const [first] = await claim(store, kind, 2_000);
      expect(await claim(store, kind, 2_000)).toEqual([]);
      if (first !== undefined) await settleDone(store, first, 3_000);
      expect(await claim(store, kind, 3_000)).toHaveLength(1);
      await store.setKind(kind, { maxRunning: 0 }, never);
      await enqueue([job(kind, 4)]);
      expect(await claim(store, kind, 3_000)).toEqual([]);
      await store.setKind(kind, { maxRunning: undefined }, never);
      expect(await claim(store, kind, 3_000)).toHaveLength(1);
    });

    it("gives a scheduled job from its time on, and tells when that is", async () => {
      const kind = fresh();
      await enqueue([job(kind, 1, { runAtMs: 5_000 }), job(kind, 2, { runAtMs: 7_000, priority: 0 })]);
      expect(await store.nextDue([kind, "absent"], never)).toBe(5_000);
      expect(await claim(store, kind, 4_999)).toEqual([]);
      await store.setKind(kind, { paused: true }, never);
      expect(await store.nextDue([kind], never)).toBeUndefined();
      await store.setKind(kind, { paused: false }, never);
      expect((await claim(store, kind, 5_000)).map(({ session }) => session)).toEqual(["s1"]);
      expect(await store.nextDue([kind], never)).toBe(7_000);
      expect(await claim(store, kind, 9_000)).toHaveLength(1);
      expect(await store.nextDue([kind], never)).toBeUndefined();
    });

    it("gives all of many that fall due at once, however few are asked for at a time", async () => {
      const kind = fresh();
      for (let session = 0; session < 620; session++) await openSession(store, "due", `d${session}`);
      const jobs = Array.from({ length: 620 }, (_, session) => ({
        ...job(kind),
        project: "due",
        session: `d${session}`,
      }));
      await enqueue(jobs.map((each) => ({ ...each, runAtMs: 5_000 })));
      const seen = new Set<number>();
      for (;;) {
        const claimed = await claim(store, kind, 6_000, { limit: 31 });
        if (claimed.length === 0) break;
        for (const each of claimed) seen.add(each.job);
      }
      expect(seen.size).toBe(620);
    });

    it("never gives a job to two, though many claim at once over two connections", async () => {
      const kind = fresh();
      await using other = await open();
      for (let session = 0; session < 60; session++) await sealedSession(store, "crowd", `c${session}`);
      const jobs = Array.from({ length: 60 }, (_, session) => ({
        ...job(kind),
        project: "crowd",
        session: `c${session}`,
      }));
      await enqueue(jobs);
      const racers = Array.from({ length: 40 }, (_, racer) =>
        claim(racer % 2 === 0 ? store : other, kind, 2_000, { limit: 2, owner: `w${racer}` }),
      );
      const claimed = (await Promise.all(racers)).flat().map((each) => each.job);
      expect(claimed).toHaveLength(60);
      expect(new Set(claimed).size).toBe(60);
    });
  });

  describe("a lease", () => {
    it("is held until another has the job, and then stores nothing: no artifact, no job that follows", async () => {
      const kind = fresh();
      await enqueue([job(kind, 7)]);
      const zombie = await claimOne(store, kind, 1_000, 100);
      expect(await store.rescue({ nowMs: 1_099, limit: 100, maxLost: 5 }, never)).toEqual({ rescued: 0, dead: 0 });
      expect(await store.rescue({ nowMs: 1_100, limit: 100, maxLost: 5 }, never)).toEqual({ rescued: 1, dead: 0 });
      const heir = await claimOne(store, kind, 1_200);
      expect(heir).toMatchObject({ job: zombie.job, attempt: 1, lost: 1 });
      expect(heir.fence).toBeGreaterThan(zombie.fence);
      const gave = artifact("reduce", kind);
      expect(await settleDone(store, zombie, 1_300, gave, [job(`${kind}-next`, 7)])).toBe("lost");
      expect(await store.readArtifact("p", "s7", gave.key, never)).toBeUndefined();
      expect(await states(`${kind}-next`)).toEqual([]);
      for (const outcome of ["retry", "snooze"] as const) {
        const settlement = { lease: zombie, outcome, runAtMs: 1_300, error };
        expect(await store.settle([settlement], 1_300, never)).toEqual(["lost"]);
      }
      expect(await store.settle([{ lease: zombie, outcome: "discard", error }], 1_300, never)).toEqual(["lost"]);
      expect(await store.settle([{ lease: zombie, outcome: "cancelled" }], 1_300, never)).toEqual(["lost"]);
      expect(await only(kind)).toMatchObject({ state: "running", leaseOwner: "w1", history: [{ outcome: "lost" }] });
      expect(await settleDone(store, heir, 1_400, gave, [job(`${kind}-next`, 7)])).toBe("settled");
      expect(await store.readArtifact("p", "s7", gave.key, never)).toMatchObject({ key: gave.key });
      expect(await states(`${kind}-next`)).toEqual(["available"]);
      expect(await settleDone(store, heir, 1_500)).toBe("lost");
    });

    it("is extended by heartbeats, which say when it is lost and when somebody wants the job to end", async () => {
      const kind = fresh();
      await enqueue([job(kind, 1), job(kind, 2), job(kind, 3)]);
      const leases = await claim(store, kind, 1_000, { leaseMs: 100 });
      const [first, second, third] = leases;
      if (first === undefined || second === undefined || third === undefined) throw new Error("three were enqueued");
      await settleDone(store, second, 1_050);
      await store.cancelJobs({ ids: [third.job] }, 1_060, never);
      expect(await store.heartbeat(leases, 9_000, 1_070, never)).toEqual(["held", "lost", "cancel"]);
      expect(await store.rescue({ nowMs: 8_999, limit: 100, maxLost: 5 }, never)).toEqual({ rescued: 0, dead: 0 });
      expect(await store.heartbeat([{ job: first.job, fence: first.fence + 1 }], 9_000, 1_080, never)).toEqual([
        "lost",
      ]);
      expect(await store.settle([{ lease: third, outcome: "cancelled" }], 1_090, never)).toEqual(["settled"]);
      expect(await store.readJob(third.job, never)).toMatchObject({ state: "cancelled", endedAtMs: 1_090 });
      await settleDone(store, first, 1_100);
    });

    it("that is lost too often kills the job, which then waits for a person", async () => {
      const kind = fresh();
      await enqueue([job(kind)]);
      for (const nowMs of [1_000, 2_000]) {
        await claimOne(store, kind, nowMs, 100);
        expect(await store.rescue({ nowMs: nowMs + 100, limit: 100, maxLost: 3 }, never)).toEqual({
          rescued: 1,
          dead: 0,
        });
      }
      await claimOne(store, kind, 3_000, 100);
      expect(await store.rescue({ nowMs: 3_100, limit: 100, maxLost: 3 }, never)).toEqual({ rescued: 0, dead: 1 });
      const dead = await only(kind);
      expect(dead).toMatchObject({ state: "dead", lost: 3, attempts: 0, error: { reason: "LOST_TOO_OFTEN" } });
      expect(dead).toMatchObject({ history: [{ outcome: "lost" }, { outcome: "lost" }, { outcome: "lost" }] });
    });

    it("is given back in the number asked for", async () => {
      const kind = fresh();
      await enqueue([job(kind, 1), job(kind, 2), job(kind, 3)]);
      await claim(store, kind, 1_000, { leaseMs: 100 });
      expect(await store.rescue({ nowMs: 2_000, limit: 2, maxLost: 5 }, never)).toEqual({ rescued: 2, dead: 0 });
      expect(await store.rescue({ nowMs: 2_000, limit: 2, maxLost: 5 }, never)).toEqual({ rescued: 1, dead: 0 });
    });
  });
}
