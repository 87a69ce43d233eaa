import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AppError } from "../../../src/core/errors.ts";
import { type StageRunner, Worker, type WorkerOptions } from "../../../src/core/jobs/worker.ts";
import type { StageRun, StageTask } from "../../../src/core/pipeline/run.ts";
import type { JobDetail } from "../../../src/core/store/jobs.ts";
import { artifact } from "../../contract/job-fixtures.ts";
import { eventually } from "../../daemon/daemon.ts";
import { never } from "../../fixtures.ts";
import { ManualClock } from "../../manual-clock.ts";
import { Held, Log } from "./observed.ts";
import { Place } from "./place.ts";

const KINDS = ["assemble", "score", "reduce", "redact", "validate"];
const LEASE_MS = 30_000;

let place: Place;
let clock: ManualClock;
let workers: Worker[];
let log: Log;
beforeEach(async () => {
  place = await Place.open();
  // What seals a session is the store's own clock.
  clock = new ManualClock(Date.now() + 60_000);
  workers = [];
  log = new Log();
});
afterEach(async () => {
  for (const worker of workers) await worker[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

function start(run: StageRunner["run"], more: Partial<WorkerOptions> = {}): Worker {
  const worker = new Worker({
    ...{ store: place.app.store, stages: { run }, kinds: KINDS, concurrency: 1, leaseMs: LEASE_MS, maxAttempts: 3 },
    ...{ keepMs: 86_400_000, owner: "test/1", clock, events: log, random: () => 0.5 },
    ...more,
  });
  workers.push(worker);
  return worker;
}

/** Gives an artifact, and the stage that comes after. */
function gives({ stage, session }: StageTask): StageRun {
  const order = KINDS.toReversed();
  return { artifact: artifact(stage, session), next: NEXT.find((_, at) => order[at] === stage) };
}
const NEXT = ["redact", "reduce", "score", "assemble"] as const;

async function jobs(): Promise<JobDetail[]> {
  const { store } = place.app;
  const page = await store.listJobs({ limit: 100, cursor: undefined }, never);
  const found = await Promise.all(page.jobs.map(({ id }) => store.readJob(id, never)));
  return found.filter((job) => job !== undefined).reverse();
}

async function onlyJob(): Promise<JobDetail> {
  const [job, ...more] = await jobs();
  if (job === undefined || more.length > 0) throw new Error(`expected one job, got ${more.length + 1}`);
  return job;
}

/** Moves the clock on, a little at a time, until it holds. */
async function passing(holds: () => Promise<void> | void, stepMs = 100): Promise<void> {
  await eventually(async () => {
    clock.advance(stepMs);
    await holds();
  });
}

describe("a worker", () => {
  test("takes a session through its stages, each in a job that follows from the one before", async () => {
    await place.session("s1");
    const worker = start(async (task) => gives(task));
    await worker.idle;
    expect(log.lines).toEqual(["validate", "redact", "reduce", "score", "assemble"].map((kind) => `done ${kind} s1`));
    expect((await jobs()).map(({ state, priority, attempts }) => ({ state, priority, attempts }))).toEqual(
      Array.from({ length: 5 }, () => ({ state: "done", priority: 5, attempts: 1 })),
    );
    expect(await place.app.store.readHeads("p", "s1", never)).toHaveLength(5);
  });

  test("finishes sessions it has begun before it begins others", async () => {
    for (const session of ["s1", "s2"]) await place.session(session);
    await start(async (task) => gives(task)).idle;
    const order = log.lines.map((line) => line.split(" ")[2]);
    expect(order).toEqual([...Array(5).fill("s1"), ...Array(5).fill("s2")]);
  });

  test("runs as many at once as it may, and no more", async () => {
    for (let n = 1; n <= 5; n++) await place.session(`s${n}`);
    const held = new Held();
    start(held.run, { concurrency: 2, kinds: ["validate"] });
    await eventually(async () => expect(held.begun).toHaveLength(2));
    expect((await jobs()).filter(({ state }) => state === "running")).toHaveLength(2);
    held.end({ artifact: undefined, next: undefined });
    await eventually(async () => expect(held.begun).toHaveLength(4));
  });

  test("looks at once when it is woken, and by itself after a while", async () => {
    const worker = start(async () => ({ artifact: undefined, next: undefined }));
    await eventually(async () => expect(clock.sleepers).toBe(3));
    await place.session("s1");
    worker.wake();
    await eventually(async () => expect(log.lines).toEqual(["done validate s1"]));
    await place.session("s2");
    await passing(() => expect(log.lines).toEqual(["done validate s1", "done validate s2"]));
  });

  test("runs a scheduled job when it is due", async () => {
    await place.session("s1", false);
    const runAtMs = clock.now() + 1_000;
    const job = { kind: "validate", project: "p", session: "s1", priority: 5, runAtMs };
    await place.app.store.enqueue([job], clock.now(), never);
    start(async () => ({ artifact: undefined, next: undefined }));
    await passing(() => expect(log.lines).toEqual(["done validate s1"]));
    expect(clock.now()).toBeGreaterThanOrEqual(runAtMs);
  });
});

describe("a job", () => {
  test("is tried again after a while, and dead after its attempts, with the reason of each", async () => {
    await place.session("s1");
    start(() => Promise.reject(new AppError("internal", "It failed.", { reason: "STAGE_FAILED" })));
    await passing(() => expect(log.lines).toHaveLength(3));
    expect(log.lines.at(-1)).toBe("discard validate s1 STAGE_FAILED");
    const job = await onlyJob();
    expect(job).toMatchObject({ state: "dead", attempts: 3, error: { reason: "STAGE_FAILED", message: "It failed." } });
    expect(job.history.map(({ outcome }) => outcome)).toEqual(["retry", "retry", "discard"]);
  });

  test("waits for what is away, however often, and spends no attempt", async () => {
    await place.session("s1");
    let away = 6;
    start(async () => {
      if (away-- > 0) throw new AppError("unavailable", "Come back.", { reason: "BUSY", retryAfterMs: 2_000 });
      return { artifact: undefined, next: undefined };
    });
    await passing(() => expect(log.lines.at(-1)).toBe("done validate s1"), 1_000);
    expect(log.lines.filter((line) => line === "snooze validate s1 BUSY")).toHaveLength(6);
    expect(await onlyJob()).toMatchObject({ state: "done", attempts: 1 });
  });

  test("keeps its lease for as long as it runs", async () => {
    await place.session("s1");
    const held = new Held();
    start(held.run);
    await eventually(async () => expect(held.begun).toHaveLength(1));
    const begunMs = clock.now();
    await passing(() => expect(clock.now() - begunMs).toBeGreaterThan(10 * LEASE_MS), 1_000);
    held.end({ artifact: undefined, next: undefined });
    await eventually(async () => expect(log.lines).toEqual(["done validate s1"]));
  });

  test("that is another's by now is let go, and what it gave thrown away", async () => {
    await place.session("s1");
    const held = new Held();
    start(held.run);
    await eventually(async () => expect(held.begun).toHaveLength(1));
    const { store } = place.app;
    const laterMs = clock.now() + 10 * LEASE_MS;
    expect(await store.rescue({ nowMs: laterMs, limit: 10, maxLost: 10 }, never)).toEqual({ rescued: 1, dead: 0 });
    const kinds = [{ kind: "validate", limit: 1 }];
    const [other] = await store.claim({ owner: "other", kinds, total: 1, leaseMs: 1e9, nowMs: laterMs }, never);
    held.end({ artifact: artifact("validate", "zombie"), next: "redact" });
    await eventually(async () => expect(log.lines).toEqual(["lost validate s1"]));
    expect(await onlyJob()).toMatchObject({ id: other?.job, state: "running", leaseOwner: "other", lost: 1 });
    expect(await store.readHeads("p", "s1", never)).toEqual([]);
  });

  test("that is another's by now is ended while it runs", async () => {
    await place.session("s1");
    const held = new Held();
    start(held.run, { kinds: ["validate"] });
    await eventually(async () => expect(held.begun).toHaveLength(1));
    const laterMs = clock.now() + 10 * LEASE_MS;
    await place.app.store.rescue({ nowMs: laterMs, limit: 10, maxLost: 10 }, never);
    await place.app.store.setKind("validate", { paused: true }, never);
    await passing(() => expect(log.lines).toEqual(["lost validate s1"]), 1_000);
    expect(await onlyJob()).toMatchObject({ state: "available" });
  });

  test("that somebody cancels is ended while it runs", async () => {
    await place.session("s1");
    const held = new Held();
    start(held.run);
    await eventually(async () => expect(held.begun).toHaveLength(1));
    await place.app.store.cancelJobs({ session: "s1" }, clock.now(), never);
    await passing(() => expect(log.lines).toEqual(["cancelled validate s1"]), 1_000);
    expect(await onlyJob()).toMatchObject({ state: "cancelled" });
  });

  test("of a worker that died is taken up by another when its lease has ended", async () => {
    await place.session("s1");
    const kinds = [{ kind: "validate", limit: 1 }];
    const { store } = place.app;
    await store.claim({ owner: "dead", kinds, total: 1, leaseMs: LEASE_MS, nowMs: clock.now() }, never);
    start(async () => ({ artifact: undefined, next: undefined }));
    await passing(() => expect(log.lines).toEqual(["swept 1 0", "done validate s1"]), 1_000);
    expect(await onlyJob()).toMatchObject({ state: "done", attempts: 1, lost: 1 });
  });

  test("whose result can't be stored is an attempt that failed", async () => {
    await place.session("s1");
    const missing = { reuse: true, key: "00".repeat(32), stage: "validate", score: undefined } as const;
    start(async () => ({ artifact: missing, next: undefined }));
    await passing(() => expect(log.lines.at(-1)).toBe("discard validate s1 ARTIFACT_NOT_FOUND"));
    expect(await onlyJob()).toMatchObject({ state: "dead", attempts: 3 });
  });
});

test("finished jobs are deleted after a while, dead ones stay", async () => {
  for (const session of ["s1", "s2"]) await place.session(session);
  start(async ({ session }) => {
    if (session === "s2") throw new AppError("data_loss", "It is damaged.", { reason: "BLOB_CORRUPT" });
    return { artifact: undefined, next: undefined };
  });
  await eventually(async () => expect(log.lines).toHaveLength(2));
  await passing(() => expect(log.lines).toContain("pruned 1"), 3_600_000);
  expect(await jobs()).toMatchObject([{ session: "s2", state: "dead" }]);
});

describe("a worker that stops", () => {
  test("lets what runs end, and claims no more", async () => {
    for (const session of ["s1", "s2"]) await place.session(session);
    const held = new Held();
    const worker = start(held.run);
    await eventually(async () => expect(held.begun).toHaveLength(1));
    const drained = worker.drain(never);
    held.end({ artifact: undefined, next: "redact" });
    await drained;
    expect(log.lines).toEqual(["done validate s1"]);
    expect((await jobs()).map(({ kind, state }) => `${kind} ${state}`)).toEqual([
      "validate done",
      "validate available",
      "redact available",
    ]);
  });

  test("gives back what does not end in time, with no attempt spent", async () => {
    await place.session("s1");
    const held = new Held();
    const worker = start(held.run);
    await eventually(async () => expect(held.begun).toHaveLength(1));
    const grace = new AbortController();
    const drained = worker.drain(grace.signal);
    grace.abort();
    await drained;
    expect(log.lines).toEqual(["snooze validate s1 WORKER_STOPPED"]);
    expect(await onlyJob()).toMatchObject({ state: "available", attempts: 0, lost: 0 });
  });
});

describe("while the store is away", () => {
  /** The real store, which can be made to refuse everything. */
  function away() {
    const state = { away: false };
    const store = new Proxy(place.app.store, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name, target);
        if (typeof method !== "function") return method;
        return async (...args: unknown[]) => {
          if (state.away) throw new AppError("unavailable", "The store is away.", { reason: "STORE_BUSY" });
          return await Reflect.apply(method, target, args);
        };
      },
    });
    return { state, store };
  }

  test("a worker waits, and goes on by itself when it is back", async () => {
    await place.session("s1");
    const { state, store } = away();
    state.away = true;
    start(async () => ({ artifact: undefined, next: undefined }), { store });
    await passing(() => {
      expect(log.lines.filter((line) => line === "failed claim STORE_BUSY").length).toBeGreaterThan(3);
      expect(log.lines).toContain("failed sweep STORE_BUSY");
    }, 1_000);
    state.away = false;
    await passing(() => expect(log.lines.at(-1)).toBe("done validate s1"), 1_000);
  });

  test("what a stage gave is kept until it can be stored, and the stage is not run again", async () => {
    await place.session("s1");
    const { state, store } = away();
    const held = new Held();
    start(held.run, { store });
    await eventually(async () => expect(held.begun).toHaveLength(1));
    state.away = true;
    held.end({ artifact: artifact("validate", "s1"), next: undefined });
    await passing(() => {
      expect(log.lines.filter((line) => line === "failed settle STORE_BUSY").length).toBeGreaterThan(3);
      expect(log.lines).toContain("failed heartbeat STORE_BUSY");
    }, 1_000);
    state.away = false;
    await passing(() => expect(log.lines.at(-1)).toBe("done validate s1"));
    expect(held.begun).toHaveLength(1);
    expect(await place.app.store.readHeads("p", "s1", never)).toHaveLength(1);
  });

  test("a worker that is to stop stops", async () => {
    await place.session("s1");
    const { state, store } = away();
    const held = new Held();
    const worker = start(held.run, { store });
    await eventually(async () => expect(held.begun).toHaveLength(1));
    state.away = true;
    await worker.drain(AbortSignal.abort());
    expect(await onlyJob()).toMatchObject({ state: "running" });
  });
});

test("when no process for stages can be started, jobs are not burnt one after another", async () => {
  for (let n = 1; n <= 20; n++) await place.session(`s${n}`);
  let tried = 0;
  start(async () => {
    tried += 1;
    throw new AppError("unavailable", "No process.", { reason: "HOST_NOT_STARTED" });
  });
  await eventually(async () => expect(log.lines).toContain("no host HOST_NOT_STARTED"));
  await eventually(async () => expect(clock.sleepers).toBe(3));
  expect(tried).toBe(1);
  await passing(() => expect(tried).toBe(2));
});
