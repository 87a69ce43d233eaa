import { afterAll, beforeAll, expect, it } from "vitest";
import type { Job, JobAttempt, JobState, NewJob, Settlement } from "../../src/core/store/jobs.ts";
import type { Store } from "../../src/core/store/store.ts";
import { never } from "../fixtures.ts";
import { artifact, claim, claimOne, sealedSession, settleDone } from "./job-fixtures.ts";

/** How attempts end, in every Store. `place` makes a fresh empty one, and returns what opens it. */
export function settleContract(place: () => Promise<() => Promise<Store>>): void {
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
  const job = (kind: string, session = 0): NewJob => ({ kind, project: "p", session: `s${session}`, priority: 5 });
  const enqueue = (jobs: NewJob[]) => store.enqueue(jobs, 1_000, never);
  const list = async (kind: string): Promise<readonly Job[]> =>
    (await store.listJobs({ kind, limit: 100, cursor: undefined }, never)).jobs.toReversed();
  const states = async (kind: string): Promise<JobState[]> => (await list(kind)).map(({ state }) => state);
  const only = async (kind: string): Promise<Job & { readonly history?: readonly JobAttempt[] }> => {
    const [first, ...more] = await list(kind);
    if (first === undefined || more.length > 0) throw new Error(`expected one ${kind} job, got ${more.length + 1}`);
    return (await store.readJob(first.id, never)) ?? first;
  };
  const error = { reason: "FLAKY", message: "It failed." };

  it("keeps what each attempt came to, and spends one for a retry alone", async () => {
    const kind = fresh();
    await enqueue([job(kind)]);
    const first = await claimOne(store, kind, 1_000);
    await store.settle([{ lease: first, outcome: "retry", runAtMs: 5_000, error }], 1_100, never);
    expect(await only(kind)).toMatchObject({ state: "scheduled", attempts: 1, runAtMs: 5_000, error });
    expect(await claim(store, kind, 4_999)).toEqual([]);
    const second = await claimOne(store, kind, 5_000);
    expect(second.attempt).toBe(2);
    const open = { reason: "BREAKER_OPEN", message: "The model is down." };
    await store.settle([{ lease: second, outcome: "snooze", runAtMs: 6_000, error: open }], 5_100, never);
    const third = await claimOne(store, kind, 6_000);
    expect(third.attempt).toBe(2);
    await store.settle([{ lease: third, outcome: "retry", runAtMs: 0, error }], 6_100, never);
    const fourth = await claimOne(store, kind, 6_100);
    expect(fourth.attempt).toBe(3);
    await store.settle([{ lease: fourth, outcome: "discard", error }], 6_200, never);
    const attempt = { owner: "w1", error };
    expect(await only(kind)).toMatchObject({
      ...{ state: "dead", attempts: 3, error, startedAtMs: 6_100, endedAtMs: 6_200 },
      ...{ leaseOwner: undefined, leaseUntilMs: undefined },
      history: [
        { ...attempt, attempt: 1, outcome: "retry", startedAtMs: 1_000, endedAtMs: 1_100 },
        { ...attempt, attempt: 2, outcome: "snooze", startedAtMs: 5_000, endedAtMs: 5_100, error: open },
        { ...attempt, attempt: 2, outcome: "retry", startedAtMs: 6_000, endedAtMs: 6_100 },
        { ...attempt, attempt: 3, outcome: "discard", startedAtMs: 6_100, endedAtMs: 6_200 },
      ],
    });
  });

  it("clears the error of a job that ends well, and keeps its history", async () => {
    const kind = fresh();
    await enqueue([job(kind)]);
    const first = await claimOne(store, kind, 1_000);
    await store.settle([{ lease: first, outcome: "retry", runAtMs: 1_100, error }], 1_100, never);
    await settleDone(store, await claimOne(store, kind, 1_200), 1_300);
    expect(await only(kind)).toMatchObject({ state: "done", attempts: 2, error: undefined, history: [{ error }] });
  });

  it("keeps the last hundred attempts of a job that is put off for days", async () => {
    const kind = fresh();
    await enqueue([job(kind)]);
    for (let nowMs = 1; nowMs <= 130; nowMs++) {
      const lease = await claimOne(store, kind, nowMs);
      await store.settle([{ lease, outcome: "snooze", runAtMs: nowMs, error }], nowMs, never);
    }
    const { history } = { history: [], ...(await only(kind)) };
    expect(history.map(({ endedAtMs }) => endedAtMs)).toEqual(Array.from({ length: 100 }, (_, index) => 31 + index));
  });

  it("cancels what is to be tried again when somebody wants it to end", async () => {
    const kind = fresh();
    await enqueue([job(kind, 1), job(kind, 2), job(kind, 3)]);
    const [retried, done, lost] = await claim(store, kind, 1_000, { leaseMs: 500 });
    if (retried === undefined || done === undefined || lost === undefined) throw new Error("three were enqueued");
    expect(await store.cancelJobs({ kind }, 1_100, never)).toBe(3);
    expect(await store.cancelJobs({ kind }, 1_100, never)).toBe(0);
    await store.settle([{ lease: retried, outcome: "retry", runAtMs: 2_000, error }], 1_200, never);
    await settleDone(store, done, 1_200);
    await store.rescue({ nowMs: 1_500, limit: 100, maxLost: 5 }, never);
    expect(await states(kind)).toEqual(["cancelled", "done", "cancelled"]);
  });

  it("ends many in one call, each with its own answer, in the order given", async () => {
    const kind = fresh();
    await enqueue(Array.from({ length: 8 }, (_, session) => job(kind, session)));
    const leases = await claim(store, kind, 1_000);
    const [a, b, c, d, e, f, again, last] = leases;
    if (!(a && b && c && d && e && f && again && last)) throw new Error("eight were enqueued");
    await enqueue([job(kind, 6)]);
    const done = (lease: typeof a): Settlement => ({ lease, outcome: "done", artifact: undefined, follow: [] });
    const stale = { ...b, fence: b.fence + 1 };
    const settlements: Settlement[] = [
      done(a),
      done(stale),
      done(a),
      { lease: c, outcome: "retry", runAtMs: 9_000, error },
      done(c),
      { ...done(d), outcome: "done", artifact: artifact("reduce", kind), follow: [job(`${kind}-next`, 3)] },
      done(again),
      done(again),
      { lease: e, outcome: "discard", error },
      { lease: f, outcome: "cancelled" },
      done({ ...last, job: 999_999_999 }),
      done(last),
    ];
    const [s, l] = ["settled", "lost"] as const;
    expect(await store.settle(settlements, 2_000, never)).toEqual([s, l, l, s, l, s, s, l, s, s, l, s]);
    expect(await states(kind)).toEqual([
      ...["done", "running", "scheduled", "done", "dead", "cancelled", "available", "done"],
    ]);
    expect(await states(`${kind}-next`)).toEqual(["available"]);
    expect(await store.settle([], 2_000, never)).toEqual([]);
  });
}
