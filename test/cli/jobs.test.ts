import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { JobDetail } from "../../src/core/store/jobs.ts";
import { sealedSession } from "../contract/job-fixtures.ts";
import { never } from "../fixtures.ts";
import { Workplace } from "./sluice.ts";

let place: Workplace;
beforeEach(async () => {
  place = await Workplace.open();
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

const ERROR = { reason: "STAGE_DEADLINE", message: "Stage redact was not done after 300 s and was ended." };

/** Five jobs of sessions s1 to s5: available, scheduled after a failure, running, dead, done. Returns their numbers. */
async function ledger(): Promise<number[]> {
  await using app = await place.app();
  const { store } = app;
  const ids: number[] = [];
  const now = Date.now();
  for (let n = 1; n <= 5; n++) {
    const session = `s${n}`;
    await sealedSession(store, "default", session);
    await store.enqueue([{ kind: "redact", project: "default", session, priority: 5, runAtMs: now }], now, never);
    const { jobs } = await store.listJobs({ session, limit: 1, cursor: undefined }, never);
    ids.push(...jobs.map(({ id }) => id));
  }
  await store.cancelJobs({ session: "s1" }, now, never);
  const claimed = await store.claim(
    { owner: "host/7", kinds: [{ kind: "redact", limit: 4 }], total: 4, leaseMs: 3_600_000, nowMs: now },
    never,
  );
  const leaseOf = (id: number | undefined) => {
    const job = claimed.find((each) => each.job === id);
    if (job === undefined) throw new Error(`job ${id} was not claimed`);
    return { job: job.job, fence: job.fence };
  };
  await store.settle(
    [
      { lease: leaseOf(ids[1]), outcome: "retry", runAtMs: now + 3_600_000, error: ERROR },
      { lease: leaseOf(ids[3]), outcome: "discard", error: ERROR },
      { lease: leaseOf(ids[4]), outcome: "done", artifact: undefined, follow: [] },
    ],
    now,
    never,
  );
  await store.redrive({ session: "s1" }, now, never);
  return ids;
}

async function states(): Promise<Record<string, string>> {
  await using app = await place.app();
  const { jobs } = await app.store.listJobs({ limit: 100, cursor: undefined }, never);
  return Object.fromEntries(jobs.map(({ session, state }) => [session, state]));
}

async function job(id: number | undefined): Promise<JobDetail | undefined> {
  await using app = await place.app();
  return await app.store.readJob(id ?? 0, never);
}

const STATES = { s1: "available", s2: "scheduled", s3: "running", s4: "dead", s5: "done" };

describe("list and show", () => {
  test("tell of jobs newest first, by filter, a page at a time", async () => {
    await ledger();
    expect(await states()).toEqual(STATES);
    const all = await place.sluice(["jobs", "list"]);
    expect(all.code).toBe(0);
    expect(all.stdout.split("\n").slice(1, -1)).toHaveLength(5);
    expect(all.stdout).toMatch(/^ *\d+ +redact +dead +s4 +1 .* STAGE_DEADLINE$/m);
    const list = async (...args: string[]) => (await place.sluice(["jobs", "list", "--json", ...args])).records();
    const sessions = async (...args: string[]) => (await list(...args)).slice(0, -1).map((each) => each["session"]);
    expect(await sessions("--state", "dead")).toEqual(["s4"]);
    expect(await sessions("--reason", "STAGE_DEADLINE")).toEqual(["s4", "s2"]);
    expect(await sessions("--session", "s3", "--kind", "redact")).toEqual(["s3"]);
    const [newest, summary] = await list("--limit", "1");
    expect(newest).toMatchObject({ type: "job", session: "s5", state: "done", attempts: 1 });
    expect(await sessions("--page", String(summary?.["next_page"]))).toEqual(["s4", "s3", "s2", "s1"]);
    expect(await place.sluice(["jobs", "list", "--campaign", "none"])).toMatchObject({ code: 4 });
  });

  test("tell what came of each attempt", async () => {
    const [, , , dead] = await ledger();
    const { code, stdout } = await place.sluice(["jobs", "show", String(dead)]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^state +dead$/m);
    expect(stdout).toMatch(/^ +1 .* discard +host\/7 +Stage redact was not done after 300 s.*\(STAGE_DEADLINE\)$/m);
    const records = (await place.sluice(["jobs", "show", String(dead), "--json"])).records();
    expect(records.map(({ type }) => type)).toEqual(["job", "job_attempt", "summary"]);
    expect(records[1]).toMatchObject({ outcome: "discard", owner: "host/7", ...ERROR });
    expect(await place.sluice(["jobs", "show", "999"])).toMatchObject({ code: 4 });
    expect(await place.sluice(["jobs", "show", "redact"])).toMatchObject({ code: 2 });
  });

  test("count the states of each stage", async () => {
    await ledger();
    const { code, stdout } = await place.sluice(["jobs", "stats"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^redact +1 +1 +1 +1 +0 +1 +\d+\w+$/m);
    const [kind] = (await place.sluice(["jobs", "stats", "--json"])).records();
    expect(kind).toMatchObject({ type: "job_kind", kind: "redact", available: 1, dead: 1, done: 1, paused: false });
  });
});

describe("retry", () => {
  test("runs dead and scheduled jobs now, and says that others are not changed", async () => {
    const [available, scheduled, , dead] = await ledger();
    const all = await place.sluice(["jobs", "retry", String(scheduled), String(dead), String(available)]);
    expect(all).toMatchObject({ code: 3, stdout: "2 jobs of 3 can be run now\n" });
    expect(await states()).toEqual({ ...STATES, s2: "available", s4: "available" });
    expect(await job(dead)).toMatchObject({ attempts: 0, error: undefined });
    expect(await place.sluice(["jobs", "retry", String(available)])).toMatchObject({ code: 4 });
  });
});

describe("redrive", () => {
  test("says how many before it does it, and takes --yes for the answer", async () => {
    await ledger();
    const unasked = await place.sluice(["jobs", "redrive"]);
    expect(unasked.code).toBe(2);
    expect(unasked.stderr).toContain("1 job, dead now, will be run again. Go on?");
    expect(await states()).toEqual(STATES);
    const other = await place.sluice(["jobs", "redrive", "--reason", "STAGE_CRASHED", "--yes"]);
    expect(other.code).toBe(4);
    const done = await place.sluice(["jobs", "redrive", "--reason", "STAGE_DEADLINE", "--yes"]);
    expect(done).toMatchObject({ code: 0, stdout: "1 job can be run again\n" });
    expect(await states()).toEqual({ ...STATES, s4: "available" });
  });
});

describe("cancel", () => {
  test("ends the jobs that are named, without asking", async () => {
    const [available, , running] = await ledger();
    const named = await place.sluice(["jobs", "cancel", String(available), String(running)]);
    expect(named).toMatchObject({ code: 0, stdout: expect.stringMatching(/^2 jobs cancelled/) });
    expect(await states()).toEqual({ ...STATES, s1: "cancelled" });
  });

  test("asks before it ends all that match, and wants to be told which", async () => {
    await ledger();
    expect(await place.sluice(["jobs", "cancel", "--yes"])).toMatchObject({ code: 2 });
    const unasked = await place.sluice(["jobs", "cancel", "--kind", "redact"]);
    expect(unasked.code).toBe(2);
    expect(unasked.stderr).toContain("3 jobs will be cancelled. Go on?");
    expect(await states()).toEqual(STATES);
    const scheduled = await place.sluice(["jobs", "cancel", "--state", "scheduled", "--yes"]);
    expect(scheduled.code).toBe(0);
    expect(await states()).toEqual({ ...STATES, s2: "cancelled" });
    expect(await place.sluice(["jobs", "cancel", "--session", "s5", "--yes"])).toMatchObject({ code: 4 });
  });
});

describe("pause, resume and bound", () => {
  test("are what every worker obeys", async () => {
    {
      await using app = await place.app();
      await sealedSession(app.store, "default", "s1", [
        { kind: "validate", project: "default", session: "s1", priority: 5 },
      ]);
    }
    expect(await place.sluice(["jobs", "pause", "validate"])).toMatchObject({
      code: 0,
      stdout: "validate is paused\n",
    });
    await place.sluice(["work", "--once"]);
    expect(await states()).toEqual({ s1: "available" });
    expect((await place.sluice(["jobs", "stats"])).stdout).toMatch(/^validate .* paused$/m);
    await place.sluice(["jobs", "resume", "validate"]);
    await place.sluice(["jobs", "bound", "validate", "0"]);
    await place.sluice(["work", "--once"]);
    expect(await states()).toEqual({ s1: "available" });
    expect((await place.sluice(["jobs", "stats"])).stdout).toMatch(/^validate .* at most 0 at once$/m);
    await place.sluice(["jobs", "bound", "validate", "none"]);
    expect(await place.sluice(["jobs", "pause", "nothing"])).toMatchObject({ code: 2 });
  });
});

describe("work", () => {
  test("--once runs what there is and ends, telling of each attempt", async () => {
    {
      await using app = await place.app();
      await sealedSession(app.store, "default", "s1", [
        { kind: "validate", project: "default", session: "s1", priority: 5 },
      ]);
    }
    const { code, records, stderr } = await place.sluice(["work", "--once", "--kinds", "validate", "--json"]);
    expect(code, stderr).toBe(0);
    expect(records()).toEqual([
      expect.objectContaining({ type: "attempt", kind: "validate", session: "s1", outcome: "done", attempt: 1 }),
      expect.objectContaining({ type: "summary", done: 1, dead: 0, lost: 0 }),
    ]);
    expect(await place.sluice(["work", "--once", "--kinds", "validate"])).toMatchObject({ code: 0, stdout: "" });
  });

  test("--once ends with 3 when jobs are dead", async () => {
    {
      await using app = await place.app();
      const { store } = app;
      // Of a session that is not sealed nothing can be made.
      const ref = { project: "default", session: "open", stream: "main" };
      await store.openStream(ref, undefined, never);
      const now = Date.now();
      await store.enqueue([{ kind: "validate", project: "default", session: "open", priority: 5 }], now, never);
    }
    const { code, stderr } = await place.sluice(["work", "--once"]);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^dead validate open \(job \d+\): Session open is not sealed.*\(NOT_SEALED\)$/m);
  });

  test("refuses stages there are not, and a store there is not", async () => {
    expect(await place.sluice(["work", "--kinds", "validate,nothing"])).toMatchObject({ code: 2 });
    expect(await place.sluice(["work", "--once"])).toMatchObject({ code: 10 });
  });
});
