import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AppError } from "../../../src/core/errors.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { Pipeline } from "../../../src/core/pipeline/pipeline.ts";
import { runStage, type StageRun, type StageTask, type StageWorld } from "../../../src/core/pipeline/run.ts";
import type { StageParameters } from "../../../src/core/pipeline/settings.ts";
import type { StageName } from "../../../src/core/pipeline/stage.ts";
import { SqliteStore } from "../../../src/core/store/sqlite/sqlite-store.ts";
import { claimOne, openSession, sealedSession, settleDone } from "../../contract/job-fixtures.ts";
import { never } from "../../fixtures.ts";
import { type Change, smallStages } from "./small-stages.ts";

let dir: string;
let store: SqliteStore;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sluice-run-"));
  store = await SqliteStore.open({ path: join(dir, "sluice.db"), limits: DEFAULT_LIMITS, create: true });
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await rm(dir, { recursive: true });
});

const ALL = ["validate", "redact", "reduce", "score", "assemble"];

interface WorldOptions {
  readonly changes?: Partial<Record<StageName, Change>>;
  readonly params?: StageParameters;
}

function world({ changes = {}, params = {} }: WorldOptions = {}): StageWorld {
  let now = 0;
  return {
    store,
    pipeline: new Pipeline(smallStages(changes), { stages: params, projects: {} }),
    io: (_project, derived) => ({
      readBlob: () => Promise.reject(new Error("no stage here reads a blob")),
      writeDerived: async (data) => {
        const id = Buffer.from(data).toString("hex").padStart(64, "0");
        derived.add(id);
        return id;
      },
      signal: never,
    }),
    elapsed: () => (now += 5),
  };
}

function task(stage: string, more: Partial<StageTask> = {}): StageTask {
  return { project: "p", session: "s", stage, stages: undefined, ...more };
}

/** Stores what a run came to, as a worker does. */
async function keep(stage: string, { artifact }: StageRun): Promise<void> {
  await store.enqueue([{ kind: stage, project: "p", session: "s", priority: 5 }], 1_000, never);
  expect(await settleDone(store, await claimOne(store, stage, 1_000), 2_000, artifact)).toBe("settled");
}

/** Runs the session from a stage on; returns the stages that made something and those that used something again. */
async function goOn(options: WorldOptions = {}, from: string | undefined = "validate", more: Partial<StageTask> = {}) {
  const made: string[] = [];
  const reused: string[] = [];
  for (let stage: string | undefined = from; stage !== undefined; ) {
    const run: StageRun = await runStage(world(options), task(stage, more), never);
    await keep(stage, run);
    if (run.artifact !== undefined) (run.artifact.reuse ? reused : made).push(stage);
    stage = run.next;
  }
  return { made, reused };
}

describe("running a session's stages", () => {
  test("makes each one's artifact once, and names everything that made it", async () => {
    await sealedSession(store, "p", "s");
    expect(await goOn()).toEqual({ made: ALL, reused: [] });
    const heads = await store.readHeads("p", "s", never);
    expect(heads.map(({ stage }) => stage).sort()).toEqual(ALL.toSorted());
    const score = heads.find(({ stage }) => stage === "score");
    expect(score?.inputs.map(({ name }) => name)).toEqual(["validate", "reduce"]);
    const artifact = await store.readArtifact("p", "s", score?.key ?? "", never);
    expect(JSON.parse(Buffer.from(artifact?.data ?? []).toString())).toEqual({ overall: expect.any(Number) });
    expect(await goOn()).toEqual({ made: [], reused: [] });
  });

  test("stops where a stage of another version gives what it gave before", async () => {
    await sealedSession(store, "p", "s");
    await goOn();
    expect(await goOn({ changes: { reduce: { version: 2 } } })).toEqual({ made: ["reduce"], reused: [] });
  });

  test("uses again what was made under parameters that are back", async () => {
    await sealedSession(store, "p", "s");
    await goOn();
    const changed = { params: { reduce: { plus: 1 } } };
    expect(await goOn(changed)).toEqual({ made: ["reduce", "score", "assemble"], reused: [] });
    expect(await goOn()).toEqual({ made: [], reused: ["reduce", "score", "assemble"] });
    expect(await goOn(changed)).toEqual({ made: [], reused: ["reduce", "score", "assemble"] });
  });

  test("goes on only with the stages that were asked for", async () => {
    await sealedSession(store, "p", "s");
    expect(await goOn({}, "validate", { stages: ["validate", "redact"] })).toEqual({
      made: ["validate", "redact"],
      reused: [],
    });
  });

  test("a stage whose inputs are not there makes nothing, and what has to come first is next", async () => {
    await sealedSession(store, "p", "s");
    expect(await runStage(world(), task("reduce"), never)).toEqual({ artifact: undefined, next: "validate" });
    expect(await runStage(world(), task("reduce", { stages: ["reduce"] }), never)).toEqual({
      artifact: undefined,
      next: undefined,
    });
  });

  test("keeps the score, the time it took and the derived blobs beside the artifact", async () => {
    await sealedSession(store, "p", "s");
    await goOn({}, "validate", { stages: ["validate", "redact", "reduce"] });
    const { artifact } = await runStage(world(), task("score"), never);
    expect(artifact).toMatchObject({ reuse: false, score: expect.any(Number), durationMs: 5, blobs: [] });
    const run: Change["run"] = async (_inputs, _params, io) => [
      await io.writeDerived(Buffer.of(2), "image/png"),
      await io.writeDerived(Buffer.of(1), "image/png"),
      await io.writeDerived(Buffer.of(2), "image/png"),
    ];
    const painted = await runStage(world({ changes: { redact: { version: 2, run } } }), task("redact"), never);
    expect(painted.artifact).toMatchObject({ blobs: ["1".padStart(64, "0"), "2".padStart(64, "0")] });
  });
});

describe("a stage that can't be run", () => {
  const running = (options: WorldOptions, stage = "validate", more: Partial<StageTask> = {}) =>
    runStage(world(options), task(stage, more), never);

  test("is told apart: unknown, of an older release, without a session, of one that is not sealed", async () => {
    await sealedSession(store, "p", "s");
    await openSession(store, "p", "open");
    await expect(running({}, "annotate")).rejects.toMatchObject({ reason: "UNKNOWN_STAGE" });
    await expect(running({}, "validate", { session: "none" })).rejects.toMatchObject({
      code: "not_found",
      reason: "SESSION_NOT_FOUND",
    });
    await expect(running({}, "validate", { session: "open" })).rejects.toMatchObject({
      code: "failed_precondition",
      reason: "NOT_SEALED",
    });
    await goOn({ changes: { reduce: { version: 2 } } });
    await expect(running({})).rejects.toMatchObject({ reason: "STAGE_VERSION_BACK" });
  });

  test("keeps an AppError as it is", async () => {
    await sealedSession(store, "p", "s");
    const error = new AppError("data_loss", "The blob is not what it was.", { reason: "BLOB_CORRUPT" });
    const changes = { validate: { run: () => Promise.reject(error) } };
    await expect(running({ changes })).rejects.toBe(error);
  });

  test("tells of anything else its kind and place, and nothing of what it said", async () => {
    await sealedSession(store, "p", "s");
    const secret = "hunter2-hunter2";
    const changes = { validate: { run: () => JSON.parse(`{"password": ${secret}`) } };
    const failure = await running({ changes }).catch((error: unknown) => error);
    if (!(failure instanceof AppError)) throw new Error("it did not fail with an AppError");
    expect(failure).toMatchObject({ code: "internal", reason: "STAGE_FAILED", metadata: { stage: "validate" } });
    expect(failure.message).toMatch(/^Stage validate failed: SyntaxError at run\.test\.ts:\d+\.$/);
    const told = `${failure.message} ${failure.cause instanceof Error ? `${failure.cause.message} ${failure.cause.stack}` : ""}`;
    expect(told).toContain("run.test.ts");
    expect(told).not.toContain("hunter2");
  });

  test("tells of an output that is no JSON, and of what is thrown that is no error", async () => {
    await sealedSession(store, "p", "s");
    await expect(running({ changes: { validate: { run: () => Number.NaN } } })).rejects.toMatchObject({
      reason: "STAGE_FAILED",
    });
    const run = () => {
      throw "hunter2";
    };
    await expect(running({ changes: { validate: { run } } })).rejects.toMatchObject({
      reason: "STAGE_FAILED",
      message: "Stage validate failed: a thrown string.",
    });
  });
});
