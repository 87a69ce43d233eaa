import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { CampaignDriver } from "../../../src/core/jobs/campaign.ts";
import { differences, estimate, makePlan, planAgain, planHash, plannedSessions } from "../../../src/core/jobs/plan.ts";
import { parseWhere } from "../../../src/core/jobs/where.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { headsByStage, signatureOf } from "../../../src/core/pipeline/freshness.ts";
import { type AnyStage, Pipeline } from "../../../src/core/pipeline/pipeline.ts";
import type { Campaign } from "../../../src/core/store/campaigns.ts";
import { SqliteStore } from "../../../src/core/store/sqlite/sqlite-store.ts";
import { never } from "../../fixtures.ts";
import { ManualClock } from "../../manual-clock.ts";
import { insertSessions } from "./many-sessions.ts";

let dir: string;
let path: string;
let store: SqliteStore;
let clock: ManualClock;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sluice-"));
  path = join(dir, "sluice.db");
  store = await SqliteStore.open({ path, limits: DEFAULT_LIMITS, create: true });
  clock = new ManualClock();
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await rm(dir, { recursive: true });
});

const params = z.object({ weight: z.number().default(1) });
const stage = (name: AnyStage["name"], version: number, inputs: AnyStage["inputs"]): AnyStage => {
  return { name, version, inputs, params, run: () => ({}) };
};
/** The pipeline with `score` at a version. */
const pipelineAt = (score: number, settings = {}) =>
  new Pipeline(
    [
      stage("validate", 1, ["recording"]),
      stage("redact", 1, ["validate"]),
      stage("reduce", 1, ["redact"]),
      stage("score", score, ["validate", "reduce"]),
      stage("assemble", 1, ["reduce", "score"]),
    ],
    { stages: settings, projects: {} },
  );
const PIPELINE = pipelineAt(1);
/** What a session has that went through PIPELINE. */
const FRESH = signatureOf(
  headsByStage(
    PIPELINE.definitions("p").map(({ stage: name, version, paramsHash }) => {
      return { key: "", stage: name, version, params: paramsHash, inputs: [], output: "" };
    }),
  ),
);
const plan = async (pipeline: Pipeline, where: readonly string[] = [], from?: string) => {
  const options = {
    definitions: pipeline.definitions("p"),
    where: parseWhere("p", where, clock.now()),
    stage: from,
  };
  return await makePlan(store, options, never);
};
const fill = (count: number, more: { perTime?: number; staleEvery?: number } = {}) => {
  insertSessions(path, { project: "p", count, perTime: 7, staleEvery: 3, signature: FRESH, ...more });
};

describe("a plan", () => {
  test("names the sessions that have nothing, with every stage, and no other", async () => {
    fill(30);
    const { plan: made, matched } = await plan(PIPELINE);
    expect(matched).toBe(30);
    expect(plannedSessions(made)).toBe(10);
    expect(made.groups).toEqual([
      { signature: "", sessions: 10, certain: ["validate", "redact", "reduce", "score", "assemble"], possible: [] },
    ]);
  });

  test("of a stage at another version names it and what may follow, and why", async () => {
    fill(30);
    const { plan: made } = await plan(pipelineAt(2));
    expect(plannedSessions(made)).toBe(30);
    const rows = await estimate(store, made, never);
    expect(rows.find((row) => row.stage === "score")).toMatchObject({
      certain: 30,
      reasons: { new: 10, "version 1 to 2": 20 },
    });
    expect(rows.find((row) => row.stage === "assemble")).toMatchObject({ certain: 10, possible: 20 });
    expect(rows.find((row) => row.stage === "reduce")).toMatchObject({ certain: 10, possible: 0 });
  });

  test("is empty when a parameter is set to what it is, and not when it is another", async () => {
    fill(30, { staleEvery: 31 });
    const none = await plan(pipelineAt(1, { score: { weight: 1 } }), ["status=processed"]);
    expect(plannedSessions(none.plan)).toBe(0);
    const other = await plan(pipelineAt(1, { score: { weight: 2 } }), ["status=processed"]);
    expect(plannedSessions(other.plan)).toBe(29);
    expect((await estimate(store, other.plan, never))[0]?.reasons).toEqual({ parameters: 29 });
  });

  test("has the hash of what it would do, whenever it is made", async () => {
    fill(30);
    const first = planHash((await plan(PIPELINE)).plan);
    clock.advance(1_000);
    expect(planHash((await plan(PIPELINE)).plan)).toBe(first);
    expect(planHash((await plan(pipelineAt(2))).plan)).not.toBe(first);
    expect(planHash((await plan(PIPELINE, ["score<=50"])).plan)).not.toBe(first);
  });

  test("tells what changed since it was made", async () => {
    fill(30);
    const { plan: made } = await plan(PIPELINE);
    const again = (pipeline: Pipeline) => planAgain(store, made, pipeline.definitions("p"), never);
    expect(differences(made, await again(PIPELINE))).toEqual([]);
    expect(differences(made, await again(pipelineAt(2)))[0]).toBe("score was version 1 and is 2");
    insertSessions(path, { project: "p2", count: 5, perTime: 1, staleEvery: 1, signature: FRESH });
    expect(differences(made, await again(PIPELINE))).toEqual([]);
    const fewer = { ...made, groups: made.groups.map((group) => ({ ...group, sessions: 12 })) };
    expect(differences(fewer, await again(PIPELINE))).toEqual(["sessions never processed: 12 when planned, 10 now"]);
    expect(() => differences({ ...made, store: "another" }, made)).toThrow(
      expect.objectContaining({ reason: "OTHER_STORE" }),
    );
  });

  test("goes by conditions, and refuses those there are not", async () => {
    fill(100);
    const count = async (...where: string[]) => plannedSessions((await plan(pipelineAt(2), where)).plan);
    expect(await count("score>=90")).toBe(10);
    expect(await count("score<=9", "score>=5")).toBe(5);
    expect(await count("id=s00000003,s00000004", "status=new")).toBe(1);
    expect(await count("stage.score=1")).toBe(66);
    expect(await count("stage.score=7")).toBe(0);
    expect(await count("collector=nobody")).toBe(0);
    expect(await count("until=1970-01-01")).toBe(0);
    for (const bad of ["score=5", "nonsense", "score>=101", "status=late", "stage.nope=1", "since=soon", ""]) {
      await expect(plan(PIPELINE, [bad])).rejects.toMatchObject({ code: "invalid_argument", reason: "BAD_WHERE" });
    }
    await expect(plan(PIPELINE, [], "nope")).rejects.toMatchObject({ reason: "UNKNOWN_STAGE" });
  });

  test("restricted to a stage leaves out sessions that lack what it reads", async () => {
    fill(30);
    const { plan: made } = await plan(pipelineAt(2), [], "score");
    expect(made.stages).toEqual(["score", "assemble"]);
    expect(plannedSessions(made)).toBe(20);
  });
});

describe("a campaign", () => {
  const begin = async (pipeline: Pipeline, settings: Partial<Campaign["settings"]> = {}): Promise<Campaign> => {
    const { plan: made } = await plan(pipeline);
    return await store.createCampaign(
      {
        id: `cmp_${crypto.randomUUID()}`,
        reason: "",
        plan: planHash(made),
        selection: made.selection,
        stages: made.stages,
        planned: plannedSessions(made),
        settings: { window: 500, rate: undefined, deadlineMs: undefined, ...settings },
        createdAtMs: clock.now(),
      },
      never,
    );
  };
  const driver = (pipeline: Pipeline, on = store) =>
    new CampaignDriver({
      store: on,
      pipeline,
      clock,
      onJobs: () => undefined,
      onFailure: (error) => {
        throw error;
      },
    });
  /** Finishes everything that waits, and returns the sessions it was for. */
  const work = async (): Promise<string[]> => {
    const done: string[] = [];
    for (;;) {
      const kinds = PIPELINE.definitions("p").map(({ stage: kind }) => ({ kind, limit: 1_000 }));
      const claimed = await store.claim({ owner: "w", kinds, total: 1_000, leaseMs: 1e9, nowMs: clock.now() }, never);
      if (claimed.length === 0) return done;
      const settlements = claimed.map(({ job, fence }) => {
        return { lease: { job, fence }, outcome: "done" as const, artifact: undefined, follow: [] };
      });
      await store.settle(settlements, clock.now(), never);
      done.push(...claimed.map(({ session }) => session));
    }
  };
  const read = async ({ id }: Campaign) => {
    const found = await store.readCampaign(id, never);
    if (found === undefined) throw new Error("the campaign is gone");
    return found;
  };

  test("passes each stale session once, 50,000 with one timestamp, however often its driver dies and however many there are", async () => {
    fill(50_000, { perTime: 50_000, staleEvery: 1 });
    const campaign = await begin(PIPELINE, { window: 5_000 });
    await using second = await SqliteStore.open({ path, limits: DEFAULT_LIMITS, create: false });
    const done: string[] = [];
    for (let round = 0; (await read(campaign)).state === "running"; round++) {
      // Two at once, each new: nothing is remembered from the round before.
      await Promise.all([driver(PIPELINE).step(never), driver(PIPELINE, second).step(never)]);
      expect((await read(campaign)).jobs.open).toBeLessThanOrEqual(5_000 + 500);
      if (round % 5 === 4) done.push(...(await work()));
    }
    expect(done).toHaveLength(50_000);
    expect(new Set(done).size).toBe(50_000);
    expect(await read(campaign)).toMatchObject({
      state: "done",
      passed: 50_000,
      brought: 50_000,
      jobs: { done: 50_000 },
    });
  });

  test("brings no job for a session that is fresh, and ends by itself", async () => {
    fill(3_000);
    const campaign = await begin(PIPELINE);
    const done: string[] = [];
    while ((await read(campaign)).state === "running") {
      await driver(PIPELINE).step(never);
      done.push(...(await work()));
    }
    expect(done).toHaveLength(1_000);
    for (const session of done) expect(Number(session.slice(1)) % 3).toBe(0);
  });

  test("never has more jobs ahead than its window", async () => {
    fill(1_000, { staleEvery: 1 });
    const campaign = await begin(PIPELINE, { window: 20 });
    for (let n = 0; n < 5; n++) await driver(PIPELINE).step(never);
    expect((await read(campaign)).jobs.open).toBe(20);
    await work();
    await driver(PIPELINE).step(never);
    expect(await read(campaign)).toMatchObject({ brought: 40, jobs: { open: 20, done: 20 } });
  });

  test("keeps its rate, also when it is changed while it runs", async () => {
    fill(1_000, { staleEvery: 1 });
    const campaign = await begin(PIPELINE, { rate: 10 });
    const drive = async (ms: number) => {
      for (let step = 0; step < 10; step++) {
        clock.advance(ms / 10);
        await driver(PIPELINE).step(never);
      }
      return (await read(campaign)).passed;
    };
    expect(await drive(5_000)).toBe(50);
    await store.changeCampaign({ id: campaign.id, version: undefined, settings: { rate: 100 } }, clock.now(), never);
    expect(await drive(1_000)).toBe(150);
  });

  test("is paused, resumed, and stops at its deadline", async () => {
    fill(1_000, { staleEvery: 1 });
    const campaign = await begin(PIPELINE, { window: 10, deadlineMs: clock.now() + 60_000 });
    await driver(PIPELINE).step(never);
    await store.changeCampaign({ id: campaign.id, version: undefined, state: "paused" }, clock.now(), never);
    await work();
    await driver(PIPELINE).step(never);
    expect(await read(campaign)).toMatchObject({ state: "paused", brought: 10 });
    await store.changeCampaign({ id: campaign.id, version: undefined, state: "running" }, clock.now(), never);
    await driver(PIPELINE).step(never);
    expect(await read(campaign)).toMatchObject({ state: "running", brought: 20 });
    clock.advance(60_000);
    await driver(PIPELINE).step(never);
    expect(await read(campaign)).toMatchObject({ state: "budget", brought: 20 });
  });

  test("goes on after a step that failed", async () => {
    fill(10, { staleEvery: 1 });
    const campaign = await begin(PIPELINE);
    const failures: string[] = [];
    let failing = true;
    const flaky = new Proxy(store, {
      get(target, name) {
        if (name === "listCampaigns" && failing) return () => Promise.reject(new Error("the disk is gone"));
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const stop = new AbortController();
    const brought = Promise.withResolvers<void>();
    const driving = new CampaignDriver({
      store: flaky,
      pipeline: PIPELINE,
      clock,
      onJobs: brought.resolve,
      onFailure: (error) => {
        failures.push(error.code);
        failing = false;
      },
    }).run(stop.signal);
    while (failures.length === 0 || clock.sleepers === 0) await new Promise(setImmediate);
    clock.advance(1_000);
    await brought.promise;
    expect(failures).toEqual(["internal"]);
    expect((await read(campaign)).brought).toBe(10);
    stop.abort();
    await driving;
  });
});
