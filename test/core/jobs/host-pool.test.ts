import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { HostPool, type HostPoolOptions } from "../../../src/core/jobs/host-pool.ts";
import type { StageTask } from "../../../src/core/pipeline/run.ts";
import { eventually } from "../../daemon/daemon.ts";
import { never } from "../../fixtures.ts";
import { ManualClock } from "../../manual-clock.ts";
import { Place } from "./place.ts";

const STAGES = new URL("./poison-stages.ts", import.meta.url).href;

let place: Place;
let pools: HostPool[];
beforeEach(async () => {
  place = await Place.open();
  pools = [];
});
afterEach(async () => {
  for (const pool of pools) await pool[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

function poolOf(more: Partial<HostPoolOptions> = {}, stages = STAGES): HostPool {
  const setup = { config: place.config, settings: { stages: {}, projects: {} }, stages };
  const options = { setup, memoryBytes: 64 * 2 ** 20, deadlineMs: 60_000, idleMs: 60_000, clock: systemClock, ...more };
  const pool = new HostPool(options);
  pools.push(pool);
  return pool;
}

async function task(session: string): Promise<StageTask> {
  await place.session(session);
  return { project: "p", session, stage: "validate", stages: undefined };
}

/** What the stage gave, of those that say in which process they ran. */
async function pidOf(pool: HostPool, session: string): Promise<number> {
  const { artifact } = await pool.run(await task(session), never);
  if (artifact?.reuse !== false) throw new Error("nothing was made");
  const { pid }: { pid: number } = JSON.parse(Buffer.from(artifact.payload).toString());
  return pid;
}

/** The 19th field; the second is a name in parentheses. */
function niceOf(stat: string): number {
  return Number(readFileSync(stat, "utf8").split(") ").at(-1)?.split(" ")[16]);
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

describe("a stage's process", () => {
  test("is used again, and gives what the stage gives", async () => {
    const pool = poolOf();
    const { artifact, next } = await pool.run(await task("fine"), never);
    expect(artifact).toMatchObject({ reuse: false, stage: "validate", version: 1 });
    expect(next).toBe("redact");
    expect(await pidOf(pool, "pid-1")).toBe(await pidOf(pool, "pid-2"));
    expect(pool.size).toBe(1);
  });

  test("gives way to whatever else runs, in every thread, and is the first to go when memory is short", async () => {
    const pool = poolOf();
    const pid = await pidOf(pool, "pid-1");
    const threads = readdirSync(`/proc/${pid}/task`);
    const nice = threads.map((thread) => niceOf(`/proc/${pid}/task/${thread}/stat`));
    expect(threads.length).toBeGreaterThan(4);
    expect(Math.min(...nice)).toBeGreaterThanOrEqual(10);
    expect(readFileSync(`/proc/${pid}/oom_score_adj`, "utf8").trim()).toBe("500");
  });

  test("is ended when it has had nothing to do for a while", async () => {
    const clock = new ManualClock();
    const pool = poolOf({ clock, idleMs: 5_000 });
    const pid = await pidOf(pool, "pid-1");
    clock.advance(5_000);
    await eventually(async () => expect(isAlive(pid)).toBe(false));
    await eventually(async () => expect(pool.size).toBe(0));
    expect(await pidOf(pool, "pid-2")).not.toBe(pid);
  });

  test("runs beside others, as many as are asked for at once", async () => {
    const pool = poolOf();
    const tasks = await Promise.all(["pid-1", "pid-2", "pid-3"].map((session) => pidOf(pool, session)));
    expect(new Set(tasks).size).toBe(3);
    expect(pool.size).toBe(3);
  });
});

describe("a stage that misbehaves harms its own job alone, and its process is replaced:", () => {
  test("one that eats its memory is told as such", async () => {
    const pool = poolOf();
    await expect(pool.run(await task("eats-1"), never)).rejects.toMatchObject({
      code: "internal",
      reason: "STAGE_CRASHED",
      message: expect.stringMatching(
        /ran out of memory \(by SIGABRT\)\. Its last words: FATAL ERROR: .*heap out of memory/,
      ),
    });
    expect(await pidOf(pool, "pid-1")).toBeGreaterThan(0);
  });

  test.for([
    ["aborts", "The process that ran stage validate ended (by SIGABRT)."],
    ["exits", "The process that ran stage validate ended (with exit code 7)."],
  ])("one that %s", async ([session = "", message]) => {
    const pool = poolOf();
    await expect(pool.run(await task(session), never)).rejects.toMatchObject({ reason: "STAGE_CRASHED", message });
    expect(pool.size).toBe(0);
    expect(await pidOf(pool, "pid-1")).toBeGreaterThan(0);
  });

  test("one that throws leaves its process as it was", async () => {
    const pool = poolOf();
    const pid = await pidOf(pool, "pid-1");
    await expect(pool.run(await task("throws-1"), never)).rejects.toMatchObject({
      reason: "STAGE_FAILED",
      message: expect.stringMatching(/^Stage validate failed: TypeError at poison-stages\.ts:\d+\.$/),
    });
    expect(await pidOf(pool, "pid-2")).toBe(pid);
  });

  test("one whose abandoned work throws is told by kind and place, without the recorded value", async () => {
    const pool = poolOf();
    const failure: unknown = await pool.run(await task("abandons-1"), never).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      reason: "STAGE_FAILED",
      message: expect.stringMatching(/^Stage validate failed: SyntaxError at poison-stages\.ts:\d+\.$/),
    });
    expect(JSON.stringify(failure, Object.getOwnPropertyNames(failure))).not.toContain("hunter2");
    expect(pool.size).toBe(0);
  });

  test("one that loops for ever is ended at its deadline", async () => {
    const clock = new ManualClock();
    const pool = poolOf({ clock, deadlineMs: 7_000 });
    const pid = await pidOf(pool, "pid-1");
    const looping = pool.run(await task("loops-1"), never).catch((error: unknown) => error);
    await eventually(async () => expect(clock.sleepers).toBe(1));
    clock.advance(7_000);
    expect(await looping).toMatchObject({
      code: "deadline_exceeded",
      reason: "STAGE_DEADLINE",
      message: "Stage validate was not done after 7 s and was ended.",
    });
    expect(isAlive(pid)).toBe(false);
    expect(await pidOf(pool, "pid-2")).not.toBe(pid);
  });
});

describe("a run that nobody wants any more", () => {
  test("is asked to end, and its process goes on", async () => {
    const pool = poolOf();
    const pid = await pidOf(pool, "pid-1");
    const interrupt = new AbortController();
    const waiting = pool.run(await task("waits-1"), interrupt.signal).catch((error: unknown) => error);
    interrupt.abort();
    expect(await waiting).toMatchObject({ code: "cancelled" });
    expect(await pidOf(pool, "pid-2")).toBe(pid);
  });

  test("is killed when it does not end by itself", async () => {
    const clock = new ManualClock();
    const pool = poolOf({ clock });
    const pid = await pidOf(pool, "pid-1");
    const interrupt = new AbortController();
    const clinging = pool.run(await task("clings-1"), interrupt.signal).catch((error: unknown) => error);
    await eventually(async () => expect(clock.sleepers).toBe(1));
    interrupt.abort();
    await eventually(async () => expect(clock.sleepers).toBe(2));
    clock.advance(1_000);
    expect(await clinging).toMatchObject({ code: "cancelled" });
    expect(isAlive(pid)).toBe(false);
  });

  test("is not begun when it was unwanted before", async () => {
    const pool = poolOf();
    await expect(pool.run(await task("fine"), AbortSignal.abort())).rejects.toMatchObject({ code: "cancelled" });
  });
});

test("stages that can't be had are no fault of the job: the process does not start, and says why", async () => {
  const pool = poolOf({}, new URL("./no-such-stages.ts", import.meta.url).href);
  await expect(pool.run(await task("fine"), never)).rejects.toMatchObject({
    code: "unavailable",
    reason: "HOST_NOT_STARTED",
    message: expect.stringContaining("no-such-stages.ts"),
  });
  expect(pool.size).toBe(0);
});
