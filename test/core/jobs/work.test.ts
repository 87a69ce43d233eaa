import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Job, JobDetail } from "../../../src/core/store/jobs.ts";
import { eventually } from "../../daemon/daemon.ts";
import { never } from "../../fixtures.ts";
import { Place } from "./place.ts";
import { type WorkOptions, WorkProcess } from "./work-process.ts";

const STAGES = ["validate", "redact", "reduce", "score", "assemble"];

let place: Place;
let workers: WorkProcess[];
beforeEach(async () => {
  place = await Place.open();
  workers = [];
});
afterEach(async () => {
  for (const worker of workers) await worker[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

function work(options: WorkOptions = {}): WorkProcess {
  const worker = new WorkProcess(place, { ...options, env: { SLUICE_JOBS_LEASE: "1s", ...options.env } });
  workers.push(worker);
  return worker;
}

async function jobsOf(session: string): Promise<readonly Job[]> {
  return (await place.app.store.listJobs({ session, limit: 100, cursor: undefined }, never)).jobs.toReversed();
}

async function firstJob(session: string): Promise<JobDetail> {
  const [job] = await jobsOf(session);
  const detail = job && (await place.app.store.readJob(job.id, never));
  if (detail === undefined) throw new Error(`session ${session} has no job`);
  return detail;
}

async function runsIn(session: string, worker: WorkProcess): Promise<void> {
  await eventually(async () => {
    const job = await firstJob(session);
    expect(job, worker.stderr).toMatchObject({
      state: "running",
      leaseOwner: expect.stringMatching(`/${worker.pid}$`),
    });
  });
}

/** Every stage's job is there once and done, and so is its artifact. */
async function expectDoneOnce(session: string): Promise<void> {
  await eventually(async () => {
    const jobs = await jobsOf(session);
    expect(jobs.map(({ kind, state }) => `${kind} ${state}`)).toEqual(STAGES.map((stage) => `${stage} done`));
  });
  const artifacts = await place.app.store.listArtifacts("p", session, 100, never);
  expect(artifacts.map(({ stage, current }) => `${stage} ${current}`).sort()).toEqual(
    STAGES.map((stage) => `${stage} true`).sort(),
  );
}

/** Lets sessions named gated pass: those of one worker, or all. */
async function openGate(worker?: WorkProcess): Promise<void> {
  await writeFile(join(place.dir, worker === undefined ? "open" : `open-${worker.pid}`), "");
}

/** A stage of this worker has come to the gate, or has passed it. */
async function atGate(where: "waiting" | "passed", worker: WorkProcess): Promise<void> {
  await eventually(async () => expect(existsSync(join(place.dir, `${where}-${worker.pid}`)), worker.stderr).toBe(true));
}

/** Its stages' processes have nothing left to do: what they gave waits to be read. */
async function isServed({ hosts }: WorkProcess): Promise<void> {
  const states = () => hosts.map((pid) => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.[0]);
  for (let seen = 0; seen < 5; seen++) await eventually(async () => expect(states()).toEqual(hosts.map(() => "S")));
}

describe("a worker that was stopped past its lease", () => {
  let zombie: WorkProcess;
  let other: WorkProcess;
  beforeEach(async () => {
    await place.session("gated-1");
    zombie = work();
    await atGate("waiting", zombie);
    zombie.signal("SIGSTOP");
    other = work();
    await atGate("waiting", other);
    await runsIn("gated-1", other);
  });

  test("can't write what another has in hand, and goes on with other work", async () => {
    await openGate(zombie);
    await atGate("passed", zombie);
    await isServed(zombie);
    zombie.signal("SIGCONT");
    await zombie.says("lost validate gated-1");
    expect(zombie.stderr).toContain("LEASE_LOST");
    expect(await place.app.store.readHeads("p", "gated-1", never)).toEqual([]);
    await runsIn("gated-1", other);

    await openGate();
    await expectDoneOnce("gated-1");
    expect(await firstJob("gated-1")).toMatchObject({ attempts: 1, lost: 1, history: [{ outcome: "lost" }] });
    other.signal("SIGTERM");
    expect(await other.exited).toBe(0);
    await place.session("after");
    await expectDoneOnce("after");
    zombie.signal("SIGTERM");
    expect(await zombie.exited).toBe(0);
  });

  test("can't write what another has done", async () => {
    await openGate();
    await expectDoneOnce("gated-1");
    zombie.signal("SIGCONT");
    await zombie.says("lost validate gated-1");
    zombie.signal("SIGTERM");
    expect(await zombie.exited).toBe(0);
    await expectDoneOnce("gated-1");
  });
});

test("poison ends dead after its attempts, each with its reason, and harms nothing beside it", async () => {
  const innocent = Array.from({ length: 20 }, (_, n) => `innocent-${n}`);
  for (const poison of ["loops-1", "eats-1", "aborts-1", "throws-1"]) await place.session(poison);
  for (const session of innocent) await place.session(session);
  const env = {
    SLUICE_JOBS_MAX_ATTEMPTS: "2",
    SLUICE_JOBS_STAGE_DEADLINE: "5s",
    SLUICE_JOBS_STAGE_MEMORY: "64MiB",
  };
  const worker = work({ args: ["--concurrency", "2"], env });
  for (const session of innocent) await expectDoneOnce(session);
  for (const session of innocent) {
    for (const job of await jobsOf(session)) expect(job).toMatchObject({ attempts: 1, lost: 0, error: undefined });
  }
  const reasons = [
    ["loops-1", "STAGE_DEADLINE", "Stage validate was not done after 5 s and was ended."],
    ["eats-1", "STAGE_CRASHED", expect.stringMatching(/^The process that ran stage validate ran out of memory/)],
    ["aborts-1", "STAGE_CRASHED", "The process that ran stage validate ended (by SIGABRT)."],
    ["throws-1", "STAGE_FAILED", expect.stringMatching(/^Stage validate failed: TypeError at poison-stages.ts:\d+\.$/)],
  ] as const;
  for (const [session, reason, message] of reasons) {
    await eventually(async () => expect((await firstJob(session)).state, worker.stderr).toBe("dead"));
    const job = await firstJob(session);
    expect(job).toMatchObject({ attempts: 2, lost: 0, error: { reason, message } });
    expect(job.history.map(({ outcome }) => outcome)).toEqual(["retry", "discard"]);
  }
  worker.signal("SIGTERM");
  expect(await worker.exited).toBe(0);
  expect(worker.stderr).not.toContain("a recorded value");
});

describe("a worker killed at once", () => {
  test("loses nothing: another takes its job up and does it once", async () => {
    await place.session("gated-1");
    const killed = work();
    await runsIn("gated-1", killed);
    killed.signal("SIGKILL");
    await killed.exited;
    await openGate();
    work();
    await expectDoneOnce("gated-1");
    expect(await firstJob("gated-1")).toMatchObject({ attempts: 1, lost: 1 });
  });

  test("leaves no process behind, not even one whose stage never returns", async () => {
    await place.session("loops-1");
    const killed = work();
    await runsIn("loops-1", killed);
    const hosts = await eventually(async () => {
      expect(killed.hosts).toHaveLength(1);
      return killed.hosts;
    });
    killed.signal("SIGKILL");
    await killed.exited;
    await eventually(async () => expect(hosts.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]));
  });
});

describe("a worker told to stop", () => {
  test("ends when what it runs has ended, and claims no more", async () => {
    await place.session("gated-1");
    const worker = work();
    await runsIn("gated-1", worker);
    worker.signal("SIGTERM");
    await worker.says("Stopping");
    await openGate();
    expect(await worker.exited).toBe(0);
    expect((await jobsOf("gated-1")).map(({ kind, state }) => `${kind} ${state}`)).toEqual([
      "validate done",
      "redact available",
    ]);
  });

  test("gives back what does not end within the grace, and spends no attempt", async () => {
    await place.session("loops-1");
    const worker = work({ env: { SLUICE_GRACE: "100ms" } });
    await runsIn("loops-1", worker);
    worker.signal("SIGTERM");
    expect(await worker.exited).toBe(0);
    expect(await firstJob("loops-1")).toMatchObject({
      state: "available",
      attempts: 0,
      lost: 0,
      history: [{ outcome: "snooze", error: { reason: "WORKER_STOPPED" } }],
    });
  });

  test("with its whole process group, as a terminal does, ends its stages in order all the same", async () => {
    await place.session("gated-1");
    const worker = work();
    await atGate("waiting", worker);
    for (const pid of [worker.pid, ...worker.hosts]) process.kill(pid, "SIGINT");
    await worker.says("Stopping");
    await openGate();
    expect(await worker.exited).toBe(0);
    expect((await firstJob("gated-1")).state).toBe("done");
  });
});
