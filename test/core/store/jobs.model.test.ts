import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import {
  JOB_STATES,
  type Job,
  type JobFilter,
  type Lease,
  type NewJob,
  type Settlement,
} from "../../../src/core/store/jobs.ts";
import { SqliteStore } from "../../../src/core/store/sqlite/sqlite-store.ts";
import { artifact, sealedSession } from "../../contract/job-fixtures.ts";
import { never } from "../../fixtures.ts";
import { type Command, HISTORY, type JobPlan, KINDS, type Owner, SESSIONS } from "./job-commands.ts";
import { type Held, JobsOracle, type OracleJob } from "./jobs-oracle.ts";

const HISTORIES = 1_200;
/** Each lane has a store of its own, opened by two owners. */
const LANES = 4;
/** Histories go back in time, so that none rescues or prunes what another left. */
const EPOCH_MS = 1_000_000_000;
const HISTORY_MS = 10_000;
/** Kinds and jobs of all of them are looked through again and again. */
const HISTORIES_A_STORE = 40;
const MAX_LOST = 3;
/** After this the shortest history found so far is what is told. */
const PATIENCE_MS = 150_000;

let dir: string;
let lanes: readonly Lane[];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "sluice-jobs-"));
  lanes = await Promise.all(Array.from({ length: LANES }, (_, lane) => Lane.open(join(dir, String(lane)))));
});
afterAll(async () => {
  for (const lane of lanes) await lane[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

it(`the ledger equals the oracle's after each step of ${HISTORIES} histories`, {
  timeout: 2 * PATIENCE_MS,
}, async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  let histories = 0;
  let stale = 0;
  const runs = lanes.map((lane, number) => {
    const property = fc.asyncProperty(HISTORY, async (commands) => {
      histories += 1;
      stale += await lane.live(commands);
    });
    // fast-check prints the seed, the path and the shortest history that still fails.
    return fc.assert(property, {
      numRuns: HISTORIES / LANES,
      seed: seed + number,
      interruptAfterTimeLimit: PATIENCE_MS,
    });
  });
  for (const run of await Promise.allSettled(runs)) if (run.status === "rejected") throw run.reason;
  expect(histories).toBeGreaterThanOrEqual(1_000);
  expect(stale, "zombies settled, and were told that their lease is lost").toBeGreaterThan(HISTORIES / 10);
});

/** One store, opened by two owners, that lives through one history after another; a new one now and then. */
class Lane implements AsyncDisposable {
  readonly #path: string;
  #stores: readonly [SqliteStore, SqliteStore];
  #histories = 0;

  private constructor(path: string, stores: readonly [SqliteStore, SqliteStore]) {
    this.#path = path;
    this.#stores = stores;
  }

  static async open(path: string): Promise<Lane> {
    return new Lane(path, await openTwice(`${path}-0.db`));
  }

  /** Returns how many settlements came too late. */
  async live(commands: readonly Command[]): Promise<number> {
    const number = ++this.#histories;
    if (number % HISTORIES_A_STORE === 0) {
      await this[Symbol.asyncDispose]();
      this.#stores = await openTwice(`${this.#path}-${number}.db`);
    }
    const sessions = Array.from({ length: SESSIONS }, (_, session) => `s${session}`);
    await Promise.all(sessions.map((session) => sealedSession(this.#stores[0], `p${number}`, session)));
    const history = new History(this.#stores, number);
    for (const command of commands) await history.run(command);
    for (const owner of [0, 1] as const) await history.check(owner);
    return history.stale;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#stores.map((store) => store[Symbol.asyncDispose]()));
  }
}

async function openTwice(path: string): Promise<readonly [SqliteStore, SqliteStore]> {
  const first = await SqliteStore.open({ path, limits: DEFAULT_LIMITS, create: true });
  return [first, await SqliteStore.open({ path, limits: DEFAULT_LIMITS, create: false })];
}

/** Lived through by the store and by the oracle, which must agree on every answer. */
class History {
  /** Settlements that came too late. */
  stale = 0;
  readonly #stores: readonly [SqliteStore, SqliteStore];
  readonly #number: number;
  readonly #project: string;
  readonly #oracle = new JobsOracle();
  readonly #held: Held[] = [];
  #now: number;
  #given = 0;

  constructor(stores: readonly [SqliteStore, SqliteStore], number: number) {
    this.#stores = stores;
    this.#number = number;
    this.#project = `p${number}`;
    this.#now = EPOCH_MS - number * HISTORY_MS;
  }

  async run(command: Command): Promise<void> {
    const store = this.#stores[command.owner];
    const now = this.#now;
    switch (command.do) {
      case "enqueue": {
        const jobs = command.jobs.map((job) => this.#job(job));
        const expected = this.#oracle.enqueue(jobs, now);
        return expect(await store.enqueue(jobs, now, never)).toEqual(expected);
      }
      case "claim":
        return await this.#claim(store, command);
      case "heartbeat": {
        const held = this.#leases(command.leases);
        const until = now + command.forMs;
        const expected = held.map((each) => this.#oracle.heartbeat(each, until));
        return expect(await store.heartbeat(held.map(leaseOf), until, now, never)).toEqual(expected);
      }
      case "settle":
        return await this.#settle(store, command.endings);
      case "rescue": {
        const expected = this.#oracle.rescue(now, MAX_LOST);
        return expect(await store.rescue({ nowMs: now, limit: 1_000, maxLost: MAX_LOST }, never)).toEqual(expected);
      }
      case "prune": {
        const expected = this.#oracle.prune(now);
        return expect(await store.pruneJobs(now, 1_000, never)).toBe(expected);
      }
      case "change":
        return await this.#change(store, command);
      case "kind": {
        const kind = this.#kind(command.kind);
        this.#oracle.setKind(kind, command.change);
        return await store.setKind(kind, command.change, never);
      }
      case "wait":
        this.#now += command.ms;
        return;
      case "check":
        return await this.check(command.owner);
      default:
        command satisfies never;
    }
  }

  async #claim(store: SqliteStore, command: Extract<Command, { do: "claim" }>): Promise<void> {
    const kinds = command.kinds.map(({ kind, limit }) => ({ kind: this.#kind(kind), limit }));
    const { total, leaseMs } = command;
    const owner = `w${command.owner}`;
    const expected = this.#oracle.claim(owner, kinds, total, leaseMs, this.#now);
    const got = await store.claim({ owner, kinds, total, leaseMs, nowMs: this.#now }, never);
    expect(got.map(({ stages, job, ...claimed }) => claimed)).toEqual(
      expected.map(({ job: { kind, session, campaign, priority, attempts, lost }, fence }) => {
        return { kind, project: this.#project, session, campaign, priority, fence, attempt: attempts + 1, lost };
      }),
    );
    for (const [index, held] of expected.entries()) {
      const id = got[index]?.job;
      expect(held.job.id ?? id, "a job keeps its id").toBe(id);
      held.job.id = id;
      this.#held.push(held);
    }
  }

  async #settle(store: SqliteStore, plans: Extract<Command, { do: "settle" }>["endings"]): Promise<void> {
    if (this.#held.length === 0) return;
    const asked = plans.map(({ lease, plan }) => {
      const held = this.#pick(lease);
      const follow = plan.follow.map((job) => this.#job(job));
      const gave = plan.gives ? artifact("reduce", `${this.#number} ${++this.#given}`) : undefined;
      const runAt = this.#now + plan.inMs;
      const error = { reason: plan.inMs % 2 === 0 ? "FLAKY" : "OTHER", message: "It failed." };
      const { outcome } = plan;
      const expected = this.#oracle.settle(
        held,
        outcome === "done" ? { outcome, artifact: gave?.key, follow } : { outcome, runAt, error },
        this.#now,
      );
      const named = leaseOf(held);
      if (outcome === "done") return { expected, settlement: { lease: named, outcome, artifact: gave, follow } };
      if (outcome === "cancelled") return { expected, settlement: { lease: named, outcome } };
      if (outcome === "discard") return { expected, settlement: { lease: named, outcome, error } };
      return { expected, settlement: { lease: named, outcome, runAtMs: runAt, error } };
    });
    this.stale += asked.filter(({ expected }) => expected === "lost").length;
    const settlements: Settlement[] = asked.map(({ settlement }) => settlement);
    expect(await store.settle(settlements, this.#now, never)).toEqual(asked.map(({ expected }) => expected));
  }

  async #change(store: SqliteStore, { change, filter }: Extract<Command, { do: "change" }>): Promise<void> {
    const { lease, kind, ...rest } = filter;
    const id = lease === undefined || this.#held.length === 0 ? undefined : this.#pick(lease).job.id;
    const full: JobFilter = {
      ...rest,
      project: this.#project,
      ...(kind === undefined ? {} : { kind: this.#kind(kind) }),
      ...(id === undefined ? {} : { ids: [id] }),
    };
    switch (change) {
      case "cancel":
        return expect(await store.cancelJobs(full, this.#now, never)).toBe(this.#oracle.cancel(full, this.#now));
      case "redrive":
        return expect(await store.redrive(full, this.#now, never)).toBe(this.#oracle.redrive(full, this.#now));
      case "runNow":
        return expect(await store.runNow(full, this.#now, never)).toBe(this.#oracle.runNow(full, this.#now));
      default:
        change satisfies never;
    }
  }

  /** Everything there is to read, through one of the owners. */
  async check(owner: Owner): Promise<void> {
    const store = this.#stores[owner];
    const listed = await this.#listAll(store);
    expect(listed.map(factsOf)).toEqual(this.#oracle.jobs.map(expectedOf).reverse());
    const checks = [
      ...this.#oracle.jobs.map((job) => this.#checkHistory(store, job)),
      ...Array.from({ length: SESSIONS }, (_, session) => this.#checkArtifacts(store, `s${session}`)),
    ];
    await Promise.all(checks);
    const kinds = KINDS.map((kind) => this.#kind(kind));
    expect(await store.nextDue(kinds, never)).toBe(this.#oracle.nextDue(kinds));
    const stats = await store.jobStats(this.#now, never);
    for (const { kind, counts } of stats.filter((each) => kinds.includes(each.kind))) {
      for (const state of JOB_STATES) {
        const expected = this.#oracle.jobs.filter((job) => job.kind === kind && job.state === state).length;
        expect(counts[state], `${kind} ${state}`).toBe(expected);
      }
    }
  }

  async #checkHistory(store: SqliteStore, { id, history }: OracleJob): Promise<void> {
    if (id === undefined) return;
    const job = await store.readJob(id, never);
    const kept = job?.history.map(({ outcome, attempt, error }) => ({ outcome, attempt, reason: error.reason }));
    expect(kept).toEqual(history);
  }

  async #checkArtifacts(store: SqliteStore, session: string): Promise<void> {
    const keys = this.#oracle.artifacts.get(session) ?? [];
    const stored = await store.listArtifacts(this.#project, session, 100, never);
    expect(stored.map(({ key }) => key)).toEqual(keys.toReversed());
    const heads = await store.readHeads(this.#project, session, never);
    expect(heads.map(({ key }) => key)).toEqual(keys.slice(-1));
  }

  async #listAll(store: SqliteStore): Promise<readonly Job[]> {
    const all: Job[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.listJobs({ project: this.#project, limit: 7, cursor }, never);
      all.push(...page.jobs);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    return all;
  }

  #leases(picks: readonly number[]): Held[] {
    return this.#held.length === 0 ? [] : picks.map((pick) => this.#pick(pick));
  }

  /** The latest first: what is picked most is what is most likely still held. */
  #pick(pick: number): Held {
    const held = this.#held.at(-1 - (pick % this.#held.length));
    if (held === undefined) throw new Error("nothing was claimed yet");
    return held;
  }

  #job({ kind, session, priority, inMs, campaign }: JobPlan): NewJob {
    return {
      ...{ kind: this.#kind(kind), project: this.#project, session: `s${session}`, priority },
      ...(inMs === 0 ? {} : { runAtMs: this.#now + inMs }),
      ...(campaign === undefined ? {} : { campaign }),
    };
  }

  #kind(kind: string): string {
    return `${kind}-${this.#number}`;
  }
}

function leaseOf({ job: { id }, fence }: Held): Lease {
  if (id === undefined) throw new Error("a claimed job has an id");
  return { job: id, fence };
}

function factsOf(job: Job) {
  const { kind, session, campaign, priority, state, attempts, lost, error } = job;
  const { runAtMs, endedAtMs, leaseOwner, leaseUntilMs } = job;
  return {
    ...{ kind, session, campaign, priority, state, attempts, lost, reason: error?.reason },
    ...{ runAtMs, endedAtMs, leaseOwner, leaseUntilMs },
  };
}

function expectedOf(job: OracleJob): ReturnType<typeof factsOf> {
  const { kind, session, campaign, priority, state, attempts, lost, error } = job;
  return {
    ...{ kind, session, campaign, priority, state, attempts, lost, reason: error },
    ...{ runAtMs: job.runAt, endedAtMs: job.endedAt },
    ...{ leaseOwner: job.owner, leaseUntilMs: job.owner === undefined ? undefined : job.leaseUntil },
  };
}
