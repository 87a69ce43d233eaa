import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { headsByStage } from "../../src/core/pipeline/freshness.ts";
import { sealedSession } from "../contract/job-fixtures.ts";
import { eventually } from "../daemon/daemon.ts";
import { never } from "../fixtures.ts";
import { type Child, finished, type Ran, Workplace } from "./sluice.ts";

const ENTRY = fileURLToPath(new URL("./reprocess.ts", import.meta.url));

let place: Workplace;
beforeEach(async () => {
  place = await Workplace.open();
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

/** Seals sessions of three events each, without jobs. */
async function sessions(...ids: string[]): Promise<void> {
  await using app = await place.app();
  for (const id of ids) await sealedSession(app.store, "default", id);
}

function spawn(args: readonly string[], env: Record<string, string> = {}): Child {
  return place.spawn(args, env, ENTRY);
}

async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  const child = spawn(args, env);
  child.stdin.end();
  return await finished(child);
}

const APPLY = ["reprocess", "apply", "--yes", "--json"];

/** What a plan says would run, by stage. */
async function planned(env: Record<string, string> = {}, ...more: string[]): Promise<Record<string, unknown>> {
  const { records, stderr, code } = await run(["reprocess", "plan", "--json", ...more], env);
  expect(code, stderr).toBe(0);
  const stages = records().filter(({ type }) => type === "stage");
  return Object.fromEntries(stages.map(({ stage, runs, may_run, reasons }) => [stage, { runs, may_run, reasons }]));
}

async function summary(ran: Ran): Promise<Record<string, unknown>> {
  return ran.records().at(-1) ?? {};
}

/** Which artifacts a session has: stage to the job and key that made the current one. */
async function heads(session: string): Promise<ReadonlyMap<string, string>> {
  await using app = await place.app();
  const found = headsByStage(await app.store.readHeads("default", session, never));
  return new Map([...found].map(([stage, { key }]) => [stage, key]));
}

describe("reprocess", () => {
  test("plans what is stale and why, runs exactly that, and then nothing is", async () => {
    await sessions("stays-1", "stays-2", "moves-1");
    expect(await planned()).toMatchObject({
      validate: { runs: 3, may_run: 0, reasons: { new: 3 } },
      assemble: { runs: 3, may_run: 0, reasons: { new: 3 } },
    });
    const first = await run(APPLY);
    expect(first.code, first.stderr).toBe(0);
    expect(await summary(first)).toMatchObject({ type: "summary", state: "done", planned: 3, dead: 0 });
    expect(await planned()).toEqual({});

    // Another version of score: it and what follows it, and nothing before.
    const env = { SCORE_VERSION: "2" };
    expect(await planned(env)).toEqual({
      score: { runs: 3, may_run: 0, reasons: { "version 1 to 2": 3 } },
      assemble: { runs: 0, may_run: 3, reasons: {} },
    });
    const before = await heads("stays-1");
    expect((await run(APPLY, env)).code).toBe(0);
    const after = await heads("stays-1");
    for (const stage of ["validate", "redact", "reduce"]) expect(after.get(stage)).toBe(before.get(stage));
    for (const stage of ["score", "assemble"]) expect(after.get(stage)).not.toBe(before.get(stage));
    expect(await planned(env)).toEqual({});
    expect((await run(APPLY, env)).code).toBe(0);
  });

  test("stops where an output turns out unchanged", async () => {
    await sessions("stays-1", "moves-1");
    await run(APPLY);
    const [stays, moves] = [await heads("stays-1"), await heads("moves-1")];
    const env = { REDUCE_VERSION: "2" };
    const applied = await run(APPLY, env);
    expect(applied.code, applied.stderr).toBe(0);
    const [staysAfter, movesAfter] = [await heads("stays-1"), await heads("moves-1")];
    expect(staysAfter.get("reduce")).not.toBe(stays.get("reduce"));
    expect(staysAfter.get("score")).toBe(stays.get("score"));
    expect(movesAfter.get("score")).not.toBe(moves.get("score"));
    expect(movesAfter.get("assemble")).not.toBe(moves.get("assemble"));
    expect(await planned(env)).toEqual({});
  });

  test("takes a parameter set to its equal for no change, and another value for one", async () => {
    await sessions("a");
    await run(APPLY);
    const settings = join(place.dir, "pipeline.yaml");
    await writeFile(settings, "stages: {score: {weight: 1}, reduce: {weight: 1.0}}\n");
    expect(await planned()).toEqual({});
    await writeFile(settings, "projects: {default: {score: {weight: 2}}}\n");
    expect(Object.keys(await planned())).toEqual(["score", "assemble"]);
    await writeFile(settings, "stages: {scor: {weight: 2}}\n");
    const bad = await run(["reprocess", "plan"]);
    expect(bad.code).toBe(2);
    expect(bad.stderr).toContain("did you mean score?");
  });

  test("applies a plan by its hash while it holds, and says what changed when it does not", async () => {
    await sessions("a", "b");
    const { plan: hash } = await summary(await run(["reprocess", "plan", "--json"]));
    await sessions("c");
    const moved = await run(["reprocess", "apply", "--plan", String(hash), "--json"]);
    expect(moved.code, moved.stderr).toBe(0);
    // Sealed after the plan was made: not part of it.
    expect(await summary(moved)).toMatchObject({ planned: 2 });
    expect((await heads("c")).size).toBe(0);
    const stale = await run(["reprocess", "apply", "--plan", String(hash)]);
    expect(stale.code).toBe(1);
    expect(stale.stderr).toContain("sessions never processed: 2 when planned, 0 now");
    const other = await run(["reprocess", "apply", "--plan", "0123456789abcdef"]);
    expect(other.code).toBe(4);
    expect((await run(["reprocess", "apply", "--plan", String(hash), "--stage", "score"])).code).toBe(2);
  });

  test("refuses a stage there is not, a condition there is not, and artifacts of a newer release", async () => {
    await sessions("a");
    expect((await run(["reprocess", "plan", "--stage", "scor"])).code).toBe(2);
    const where = await run(["reprocess", "plan", "--where", "score<5"]);
    expect(where.code).toBe(2);
    expect(where.stderr).toContain("score>=50");
    await run(APPLY, { SCORE_VERSION: "3" });
    const back = await run(["reprocess", "plan"], { SCORE_VERSION: "2" });
    expect(back.code).toBe(1);
    expect(back.stderr).toContain("A newer release ran score 3");
  });

  test("asks, and changes nothing where nobody can answer", async () => {
    await sessions("a");
    const asked = await run(["reprocess", "apply"]);
    expect(asked.code).toBe(2);
    expect(asked.stderr).toContain("--yes");
    expect((await heads("a")).size).toBe(0);
    expect((await run(["campaigns", "list"])).code).toBe(4);
  });

  test("exits 4 when no session matches, 3 when sessions failed, and names them", async () => {
    await sessions("fails-1", "stays-1");
    expect((await run([...APPLY, "--where", "id=nobody"])).code).toBe(4);
    const applied = await run(APPLY, { SLUICE_JOBS_MAX_ATTEMPTS: "1" });
    expect(applied.code, applied.stderr).toBe(3);
    expect(await summary(applied)).toMatchObject({ state: "done", dead: 1 });
    expect(applied.stderr).toContain("fails-1");
    expect((await heads("stays-1")).size).toBe(5);
  });
});

describe("a campaign", () => {
  const many = Array.from({ length: 24 }, (_, n) => `stays-${n}`);
  const state = async () => {
    const [campaign] = (await run(["campaigns", "list", "--json"])).records();
    if (campaign === undefined) throw new Error("there is no campaign");
    return campaign;
  };
  /** Waits until it has finished some of its sessions and not all. */
  const begun = async () => {
    await eventually(async () => {
      const { finished: count } = await state();
      if (!(Number(count) >= 2)) throw new Error(`${count} finished`);
    });
  };

  test("killed with -9 in the middle goes on where it was, and every session is processed once", async () => {
    await sessions(...many);
    const child = spawn([...APPLY, "--window", "5", "--rate", "6"], { SLUICE_JOBS_LEASE: "1s" });
    await begun();
    child.kill("SIGKILL");
    await once(child, "exit");
    const { id, state: left } = await state();
    expect(left).toBe("running");
    const resumed = await run(["campaigns", "resume", String(id), "--json"], { SLUICE_JOBS_LEASE: "1s" });
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(await state()).toMatchObject({ state: "done", brought: 24, jobs_done: 120, jobs_dead: 0, jobs_open: 0 });
    for (const session of many) expect((await heads(session)).size).toBe(5);
    expect(await planned()).toEqual({});
  });

  test("interrupted pauses, says how to go on, and goes on", async () => {
    await sessions(...many);
    const child = spawn([...APPLY, "--window", "5", "--rate", "6"]);
    const over = finished(child);
    await begun();
    child.kill("SIGINT");
    const interrupted = await over;
    expect(interrupted.code).toBe(130);
    const { id } = await state();
    expect(interrupted.stderr).toContain(`sluice campaigns resume ${id}`);
    expect(await state()).toMatchObject({ state: "paused" });
    await run(["campaigns", "set", String(id), "--rate", "none", "--window", "50"]);
    expect((await run(["campaigns", "resume", String(id)])).code).toBe(0);
    expect(await state()).toMatchObject({ state: "done", brought: 24, jobs_done: 120 });
  });

  test("that nobody drives is worked through by sluice work --once", async () => {
    await sessions(...many);
    expect((await run([...APPLY, "--window", "1", "--detach"])).code).toBe(0);
    const worked = await run(["work", "--once", "--json"]);
    expect(worked.code, worked.stderr).toBe(0);
    expect(await summary(worked)).toMatchObject({ done: 120, dead: 0 });
    expect(await state()).toMatchObject({ brought: 24, jobs_done: 120, jobs_open: 0 });
  });

  test("that runs makes another skip, fail or wait, as told", async () => {
    await sessions(...many);
    const child = spawn([...APPLY, "--window", "5", "--rate", "1"]);
    const over = finished(child);
    await begun();
    const skipped = await run([...APPLY, "--if-running", "skip"]);
    expect(skipped.code, skipped.stderr).toBe(0);
    expect(await summary(skipped)).toMatchObject({ campaigns: 0 });
    expect((await run([...APPLY, "--if-running", "fail"])).code).toBe(11);
    const { id } = await state();
    const queued = run([...APPLY, "--if-running", "queue"]);
    expect((await run(["campaigns", "set", String(id), "--rate", "none"])).code).toBe(0);
    expect((await over).code).toBe(0);
    const after = await queued;
    expect(after.code, after.stderr).toBe(0);
    expect(after.stderr).toContain("Nothing is stale");
  });

  test("stops at its time with 8, is resumed, and is cancelled for good", async () => {
    await sessions(...many);
    const stopped = await run([...APPLY, "--window", "5", "--rate", "6", "--max-duration", "2s"]);
    expect(stopped.code, stopped.stderr).toBe(8);
    const { id, finished: count } = await state();
    expect(Number(count)).toBeLessThan(24);
    expect((await run(["campaigns", "resume", String(id), "--detach"])).code).toBe(0);
    expect(await state()).toMatchObject({ state: "running" });
    expect((await run(["campaigns", "cancel", String(id)])).code).toBe(2);
    expect((await run(["campaigns", "cancel", String(id), "--yes"])).code).toBe(0);
    expect(await state()).toMatchObject({ state: "cancelled", jobs_open: 0 });
    expect((await run(["campaigns", "resume", String(id)])).code).toBe(1);
    expect((await run(["campaigns", "show", "cmp_nobody"])).code).toBe(4);
  });
});
