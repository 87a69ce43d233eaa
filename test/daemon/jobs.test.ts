import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import type { Job } from "../../src/core/store/jobs.ts";
import { SqliteStore } from "../../src/core/store/sqlite/sqlite-store.ts";
import { EventType } from "../../src/wire/gen/sluice/v1/event_pb.ts";
import { IngestService } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { event, events, never } from "../fixtures.ts";
import { append, eventually, TestDaemon, type TestDaemonOptions } from "./daemon.ts";

let daemon: TestDaemon;
let store: SqliteStore;
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await daemon[Symbol.asyncDispose]();
});

async function start(env: TestDaemonOptions["env"] = {}): Promise<void> {
  daemon = await TestDaemon.start({ env });
  store = await SqliteStore.open({
    ...{ path: join(daemon.directory, "sluice.db"), limits: DEFAULT_LIMITS, create: false },
  });
}

/** Records a session and seals it. */
async function record(session: string, batch: Uint8Array[]): Promise<void> {
  const link = daemon.link();
  await append(link, session, 1n, batch);
  const streams = [{ stream: "main", lastSeq: BigInt(batch.length) }];
  await link.client(IngestService).seal({ session, seal: { streams } });
}

async function firstJob(session: string): Promise<Job | undefined> {
  const { jobs } = await store.listJobs({ session, kind: "validate", limit: 10, cursor: undefined }, never);
  expect(jobs.length).toBeLessThan(2);
  return jobs[0];
}

describe("a session that is sealed", () => {
  test.for([
    ["with events", events(1, 3)],
    ["with nothing but events that were quarantined", [event(1, { type: EventType.CUSTOM })]],
  ] as const)("%s is taken through the pipeline by the daemon itself", async ([, batch]) => {
    await start();
    await record("s1", [...batch]);
    await eventually(async () => expect(await firstJob("s1")).toMatchObject({ state: "done", attempts: 1 }));
    const heads = await store.readHeads("default", "s1", never);
    expect(heads.map(({ stage }) => stage)).toContain("validate");
    expect(await daemon.sample('sluice_job_runs_total{kind="validate",outcome="done"}')).toBe(1);
    expect(await daemon.sample('sluice_job_seconds_count{kind="validate"}')).toBe(1);
    expect(await daemon.sample("sluice_stage_hosts")).toBe(1);
  });

  test("with a stream that never had an event is too", async () => {
    await start();
    await store.openStream({ project: "default", session: "s1", stream: "main" }, undefined, never);
    const streams = [{ stream: "main", lastSeq: 0n }];
    await daemon.link().client(IngestService).seal({ session: "s1", seal: { streams } });
    await eventually(async () => expect(await firstJob("s1")).toMatchObject({ state: "done", attempts: 1 }));
  });

  test("is one job, however often it is sealed, and before it the first of what is run again", async () => {
    await start({ SLUICE_JOBS_CONCURRENCY: "0" });
    await record("s1", events(1, 3));
    await record("s1", events(1, 3));
    expect(await firstJob("s1")).toMatchObject({ state: "available", priority: 3 });
    expect(await daemon.sample('sluice_jobs{kind="validate",state="available"}')).toBe(1);
    expect(await daemon.sample("sluice_stage_hosts")).toBe(0);
  });
});

test("a daemon that stops leaves no job under a lease", async () => {
  await start();
  for (let n = 0; n < 20; n++) await record(`s${n}`, events(1, 3));
  await daemon.process.kill("SIGTERM");
  expect(await daemon.process.exited).toBe(0);
  const { jobs } = await store.listJobs({ kind: "validate", limit: 100, cursor: undefined }, never);
  expect(jobs).toHaveLength(20);
  expect(jobs.filter(({ state }) => state !== "done" && state !== "available")).toEqual([]);
  await daemon.restart();
  await eventually(async () => {
    const done = await store.listJobs({ kind: "validate", state: "done", limit: 100, cursor: undefined }, never);
    expect(done.jobs).toHaveLength(20);
  });
});

test("parameters that don't fit stop the daemon before it serves", async () => {
  await start({ SLUICE_JOBS_CONCURRENCY: "0" });
  await daemon.process.kill("SIGTERM");
  await daemon.process.exited;
  await expect(daemon.restart({ SLUICE_PIPELINE: "/does/not/exist.yaml" })).rejects.toThrow(/BAD_PIPELINE/);
});
