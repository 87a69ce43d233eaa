import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { JOB_STATES, type Job, type JobFilter, type JobState, type NewJob } from "../../src/core/store/jobs.ts";
import type { Store } from "../../src/core/store/store.ts";
import { never } from "../fixtures.ts";
import { claim, claimOne, sealedSession, settleDone } from "./job-fixtures.ts";

/** How every Store lists, counts and changes many jobs at once. `place` makes a fresh empty one, and returns what opens it. */
export function jobListContract(place: () => Promise<() => Promise<Store>>): void {
  let store: Store;
  let count = 0;
  beforeAll(async () => {
    store = await (await place())();
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
  const list = async (filter: JobFilter): Promise<readonly Job[]> =>
    (await store.listJobs({ ...filter, limit: 100, cursor: undefined }, never)).jobs;
  const states = async (kind: string): Promise<JobState[]> =>
    (await list({ kind })).map(({ state }) => state).reverse();
  const error = { reason: "FLAKY", message: "It failed." };

  describe("changing many jobs", () => {
    it("cancels what waits, of those that match", async () => {
      const kind = fresh();
      await enqueue([job(kind, 1), job(kind, 2, { campaign: "stop" }), job(kind, 3, { runAtMs: 9_000 })]);
      expect(await store.cancelJobs({ kind, campaign: "stop" }, 2_000, never)).toBe(1);
      expect(await store.cancelJobs({ kind, state: "done" }, 2_000, never)).toBe(0);
      expect(await store.cancelJobs({ kind, state: "scheduled" }, 2_000, never)).toBe(1);
      expect(await states(kind)).toEqual(["available", "cancelled", "cancelled"]);
      expect(await store.cancelJobs({ kind, project: "p", session: "s1" }, 2_000, never)).toBe(1);
      expect(await claim(store, kind, 9_999)).toEqual([]);
    });

    it("drives dead and cancelled jobs again, with their attempts anew", async () => {
      const kind = fresh();
      await enqueue([job(kind, 1), job(kind, 2), job(kind, 3)]);
      const [dead, done, cancelled] = await claim(store, kind, 1_000);
      if (dead === undefined || done === undefined || cancelled === undefined) throw new Error("three were enqueued");
      await store.settle([{ lease: dead, outcome: "discard", error }], 1_100, never);
      await settleDone(store, done, 1_100);
      await store.settle([{ lease: cancelled, outcome: "cancelled" }], 1_100, never);
      expect(await store.redrive({ kind, reason: "OTHER" }, 2_000, never)).toBe(0);
      expect(await store.redrive({ kind, reason: "FLAKY" }, 2_000, never)).toBe(1);
      expect(await store.redrive({ kind }, 2_000, never)).toBe(1);
      expect(await states(kind)).toEqual(["available", "done", "available"]);
      const detail = await store.readJob(dead.job, never);
      expect(detail).toMatchObject({ attempts: 0, lost: 0, runAtMs: 2_000, endedAtMs: undefined, error: undefined });
      expect(detail?.history).toHaveLength(1);
      const [again] = await claim(store, kind, 2_000);
      expect(again).toMatchObject({ job: dead.job, attempt: 1 });
      expect(again?.fence).toBeGreaterThan(dead.fence);
    });

    it("drives only one of a session's dead jobs again, and none beside an unfinished one", async () => {
      const kind = fresh();
      for (const nowMs of [1_000, 2_000]) {
        await enqueue([job(kind)], nowMs);
        const lease = await claimOne(store, kind, nowMs);
        await store.settle([{ lease, outcome: "discard", error }], nowMs, never);
      }
      expect(await store.redrive({ kind }, 3_000, never)).toBe(1);
      expect(await states(kind)).toEqual(["dead", "available"]);
      expect(await store.redrive({ kind }, 3_000, never)).toBe(0);
    });

    it("runs scheduled jobs now", async () => {
      const kind = fresh();
      await enqueue([job(kind, 1, { runAtMs: 50_000 }), job(kind, 2, { runAtMs: 60_000 }), job(kind, 3)]);
      expect(await store.runNow({ kind, session: "s2" }, 2_000, never)).toBe(1);
      expect((await claim(store, kind, 2_000)).map(({ session }) => session)).toEqual(["s2", "s3"]);
      expect(await store.runNow({ kind }, 2_000, never)).toBe(1);
    });

    it("prunes what ended before, but nothing dead and nothing unfinished", async () => {
      const kind = fresh();
      await enqueue(
        [1, 2, 3, 4, 5].map((session) => job(kind, session)),
        10,
      );
      const [done, late, dead, cancelled] = await claim(store, kind, 10, { limit: 4 });
      if (done === undefined || late === undefined || dead === undefined || cancelled === undefined) {
        throw new Error("five were enqueued");
      }
      await settleDone(store, done, 99);
      await settleDone(store, late, 100);
      await store.settle([{ lease: dead, outcome: "discard", error }], 50, never);
      await store.settle([{ lease: cancelled, outcome: "cancelled" }], 50, never);
      expect(await store.pruneJobs(100, 1, never)).toBe(1);
      expect(await store.pruneJobs(100, 10, never)).toBe(1);
      expect(await store.pruneJobs(100, 10, never)).toBe(0);
      expect(await states(kind)).toEqual(["done", "dead", "available"]);
      expect(await store.readJob(done.job, never)).toBeUndefined();
      expect(await store.readJob(cancelled.job, never)).toBeUndefined();
    });
  });

  describe("listing", () => {
    /** One job in each state, of sessions s0 (scheduled) to s5 (cancelled); and the kind. */
    const oneOfEach = async (more: Partial<NewJob> = {}): Promise<string> => {
      const kind = fresh();
      await enqueue([job(kind, 0, { ...more, runAtMs: 9_000 })]);
      await enqueue([2, 3, 4, 5].map((session) => job(kind, session, more)));
      const [, done, dead, cancelled] = await claim(store, kind, 2_000);
      if (done === undefined || dead === undefined || cancelled === undefined) throw new Error("four were enqueued");
      await settleDone(store, done, 3_000);
      await store.settle([{ lease: dead, outcome: "discard", error }], 3_000, never);
      await store.settle([{ lease: cancelled, outcome: "cancelled" }], 3_000, never);
      await enqueue([job(kind, 1, more)]);
      return kind;
    };

    it("filters by all that is given", async () => {
      const kind = await oneOfEach({ campaign: "listed" });
      const sessions = async (filter: JobFilter) =>
        (await list({ kind, ...filter })).map(({ session }) => session).sort();
      const all = ["s0", "s1", "s2", "s3", "s4", "s5"];
      expect(await sessions({})).toEqual(all);
      for (const [index, state] of JOB_STATES.entries()) {
        expect(await sessions({ state })).toEqual([`s${index}`]);
        expect(await sessions({ state, campaign: "listed" })).toEqual([`s${index}`]);
        expect(await sessions({ state, project: "p" })).toEqual([`s${index}`]);
        expect(await sessions({ state, campaign: "other" })).toEqual([]);
      }
      expect(await sessions({ campaign: "listed" })).toEqual(all);
      expect(await sessions({ project: "p" })).toEqual(all);
      expect(await sessions({ project: "q" })).toEqual([]);
      expect(await sessions({ session: "s3" })).toEqual(["s3"]);
      expect(await sessions({ session: "s3", project: "p", state: "done" })).toEqual(["s3"]);
      expect(await sessions({ session: "s3", project: "q" })).toEqual([]);
      expect(await sessions({ session: "s3", state: "dead" })).toEqual([]);
      expect(await sessions({ reason: "FLAKY" })).toEqual(["s4"]);
      const ids = (await list({ kind })).filter(({ session }) => session > "s3").map(({ id }) => id);
      expect(await sessions({ ids })).toEqual(["s4", "s5"]);
      expect(await sessions({ ids, state: "dead" })).toEqual(["s4"]);
      expect(await sessions({ ids, session: "s5" })).toEqual(["s5"]);
      expect(await sessions({ ids: [] })).toEqual([]);
    });

    it.each([
      ["all", {}],
      ["a state's", { state: "available" }],
      ["a campaign's", { campaign: "paged" }],
      ["a project's", { project: "p" }],
    ] as const)(
      "pages through %s jobs newest first without losing or doubling one while others arrive",
      async (_, filter) => {
        const kind = fresh();
        await enqueue(Array.from({ length: 7 }, (_, session) => job(kind, session, { campaign: "paged" })));
        const seen: Job[] = [];
        let cursor: string | undefined;
        do {
          const page = await store.listJobs({ ...filter, kind, limit: 2, cursor }, never);
          seen.push(...page.jobs);
          cursor = page.nextCursor;
          await enqueue([job(kind, 7 + Math.ceil(seen.length / 2), { campaign: "paged" })]);
        } while (cursor !== undefined && seen.length < 20);
        expect(seen.map(({ session }) => session)).toEqual(["s6", "s5", "s4", "s3", "s2", "s1", "s0"]);
      },
    );

    it("refuses a cursor it did not give", async () => {
      for (const cursor of ["nonsense", "", Buffer.from('["a"]').toString("base64url")]) {
        await expect(store.listJobs({ limit: 1, cursor }, never)).rejects.toMatchObject({ reason: "BAD_PAGE_TOKEN" });
      }
    });

    it("tells all there is about a job, and nothing of one that is not there", async () => {
      const kind = fresh();
      await enqueue([job(kind, 3, { priority: 2, campaign: "told" })]);
      const claimed = await claimOne(store, kind, 2_000, 500);
      expect(await store.readJob(claimed.job, never)).toEqual({
        ...{ id: claimed.job, kind, project: "p", session: "s3", state: "running", priority: 2 },
        ...{ attempts: 0, lost: 0, campaign: "told", createdAtMs: 1_000, runAtMs: 1_000, startedAtMs: 2_000 },
        ...{ endedAtMs: undefined, leaseOwner: "w1", leaseUntilMs: 2_500, error: undefined, history: [] },
      });
      expect(await store.readJob(999_999_999, never)).toBeUndefined();
    });

    it("counts jobs by kind and state, and tells how long the oldest has waited", async () => {
      const kind = await oneOfEach();
      await store.setKind(kind, { paused: true, maxRunning: 4 }, never);
      const stats = async () => (await store.jobStats(10_000, never)).find((each) => each.kind === kind);
      expect(await stats()).toEqual({
        ...{ kind, paused: true, maxRunning: 4, oldestAvailableMs: 9_000 },
        counts: { scheduled: 1, available: 1, running: 1, done: 1, dead: 1, cancelled: 1 },
      });
      await enqueue([job(kind, 8, { priority: 0 })], 6_000);
      expect(await stats()).toMatchObject({ oldestAvailableMs: 9_000, counts: { available: 2 } });
      await store.cancelJobs({ kind, session: "s1" }, 7_000, never);
      expect(await stats()).toMatchObject({ oldestAvailableMs: 4_000, counts: { available: 1, cancelled: 2 } });
      await store.cancelJobs({ kind, state: "available" }, 7_000, never);
      expect(await stats()).toMatchObject({ oldestAvailableMs: undefined });
    });
  });
}
