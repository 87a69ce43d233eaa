import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { AppError } from "../../../src/core/errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../../../src/core/limits.ts";
import { SqliteStore } from "../../../src/core/store/sqlite/sqlite-store.ts";
import type { SessionInfo, StoredEvent } from "../../../src/core/store/store.ts";
import { never } from "../../fixtures.ts";
import {
  BLOBS,
  type EventKind,
  INVALID_KINDS,
  type MadeEvent,
  makeEvent,
  SessionOracle,
  VALID_KINDS,
  type Verdict,
} from "./append-oracle.ts";

/** Histories run at a time: their commands share commits, and disturb one another if they can. */
const AT_ONCE = 32;
const HISTORIES = 5_120;
/** Small, so that histories reach them. */
const LIMITS: Limits = {
  ...DEFAULT_LIMITS,
  eventBytes: 1_024,
  batchEvents: 8,
  sessionBytes: 6_000,
  streamsPerSession: 2,
};

let dir: string;
let stores: Stores;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "sluice-model-"));
  stores = await Stores.open(join(dir, "sluice.db"));
});
afterAll(async () => {
  await stores[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

it(`what is stored equals the oracle's after each of ${HISTORIES} histories`, { timeout: 300_000 }, async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  let histories = 0;
  const property = fc.asyncProperty(HISTORY, async (commands) => {
    histories += 1;
    await runHistory(commands);
  });
  // fast-check prints the seed, the path and the shortest history that still fails.
  const runs = Array.from({ length: AT_ONCE }, (_, worker) =>
    fc.assert(property, { numRuns: HISTORIES / AT_ONCE, seed: seed + worker, endOnFailure: false }),
  );
  for (const run of await Promise.allSettled(runs)) if (run.status === "rejected") throw run.reason;
  expect(histories).toBeGreaterThanOrEqual(5_000);
});

/** Which of two connections to the same file carries a command: the other then holds stale rows. */
type Via = 0 | 1;

type Command =
  | { readonly do: "open"; readonly via: Via; readonly stream: string; readonly info: number | undefined }
  | { readonly do: "append"; readonly via: Via; readonly batches: readonly BatchPlan[] }
  | {
      readonly do: "seal";
      readonly via: Via;
      readonly ends: EndsPlan;
      readonly version: VersionPlan;
      readonly allow: boolean;
    }
  | { readonly do: "blob"; readonly via: Via; readonly blob: string }
  | { readonly do: "reopen"; readonly via: Via };

type EndsPlan = "all" | "short" | "one more" | "none";
type VersionPlan = "unchecked" | "seen" | "moved";

interface BatchPlan {
  readonly stream: string;
  readonly epoch: "none" | "current" | "older";
  /** Where the batch begins, counted from the next seq. */
  readonly from: number;
  readonly events: readonly EventPlan[];
  readonly info: number | undefined;
}

interface EventPlan {
  readonly kind: EventKind;
  readonly salt: number;
  readonly timeMs: number;
  /** What is sent where something is stored already. */
  readonly resend: "same" | "other" | "flipped";
}

const VIA = fc.constantFrom<Via>(0, 1);
const STREAM = fc.oneof(
  { weight: 5, arbitrary: fc.constant("main") },
  { weight: 2, arbitrary: fc.constantFrom("b", "c") },
);
const INFO = fc.option(fc.nat(2), { nil: undefined, freq: 2 });
const EVENT: fc.Arbitrary<EventPlan> = fc.record({
  kind: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom<EventKind>(...VALID_KINDS) },
    { weight: 1, arbitrary: fc.constantFrom<EventKind>(...INVALID_KINDS) },
  ),
  salt: fc.nat(5),
  timeMs: fc.integer({ min: 1, max: 9 }),
  resend: fc.oneof(
    { weight: 30, arbitrary: fc.constant("same" as const) },
    { weight: 1, arbitrary: fc.constantFrom("other" as const, "flipped" as const) },
  ),
});
const BATCH: fc.Arbitrary<BatchPlan> = fc.record({
  stream: STREAM,
  epoch: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom("none" as const, "current" as const) },
    { weight: 1, arbitrary: fc.constant("older" as const) },
  ),
  from: fc.oneof(
    { weight: 5, arbitrary: fc.constant(0) },
    { weight: 4, arbitrary: fc.integer({ min: -9, max: -1 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 2 }) },
  ),
  events: fc.array(EVENT, { maxLength: 9 }),
  info: INFO,
});
const COMMAND: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 1200,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      via: VIA,
      batches: fc.array(BATCH, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 300, arbitrary: fc.record({ do: fc.constant("open" as const), via: VIA, stream: STREAM, info: INFO }) },
  {
    weight: 140,
    arbitrary: fc.record({
      do: fc.constant("seal" as const),
      via: VIA,
      ends: fc.oneof(
        { weight: 4, arbitrary: fc.constant<EndsPlan>("all") },
        { weight: 1, arbitrary: fc.constantFrom<EndsPlan>("short", "one more", "none") },
      ),
      version: fc.constantFrom<VersionPlan>("unchecked", "seen", "moved"),
      allow: fc.boolean(),
    }),
  },
  {
    weight: 100,
    arbitrary: fc.record({ do: fc.constant("blob" as const), via: VIA, blob: fc.constantFrom(...BLOBS) }),
  },
  // Two threads and their modules are loaded anew: a few dozen times in all.
  { weight: 2, arbitrary: fc.record({ do: fc.constant("reopen" as const), via: VIA }) },
);
const HISTORY = fc.array(COMMAND, { minLength: 1, maxLength: 12, size: "max" });

let sessions = 0;

async function runHistory(commands: readonly Command[]): Promise<void> {
  const history = new History(`s${++sessions}`);
  for (const command of commands) await history.run(command);
  await history.check();
}

/** One session, lived through by the store and by the oracle. */
class History {
  readonly #session: string;
  readonly #project: string;
  readonly #oracle = new SessionOracle(LIMITS);
  readonly #recorded = new Set<string>();
  /** The epoch the store gave at each takeover, by stream. */
  readonly #epochs = new Map<string, number[]>();

  constructor(session: string) {
    this.#session = session;
    // A project of its own, so that its blobs are its own too.
    this.#project = `p-${session}`;
  }

  async run(command: Command): Promise<void> {
    switch (command.do) {
      case "open":
        return await this.#open(command.via, command.stream, infoOf(command.info));
      case "append":
        return await this.#append(command.via, command.batches);
      case "seal":
        return await this.#seal(command);
      case "blob": {
        const recorded = await stores.use(command.via, (store) =>
          store.recordBlob(this.#project, { id: command.blob, size: 1, mediaType: "image/png" }, never),
        );
        expect(recorded).toBe(this.#recorded.has(command.blob) ? "duplicate" : "stored");
        this.#recorded.add(command.blob);
        return;
      }
      case "reopen":
        return await stores.reopen(command.via);
      default:
        command satisfies never;
    }
  }

  async #open(via: Via, stream: string, info: SessionInfo | undefined): Promise<void> {
    const expected = this.#oracle.open(stream, info);
    const got = await outcome(stores.use(via, (store) => store.openStream(this.#ref(stream), info, never)));
    agree(got, expected);
    if ("done" in got) this.#epochs.set(stream, [...(this.#epochs.get(stream) ?? []), got.done.epoch]);
  }

  /** Batches go out one after another without waiting, as an upload sends them. */
  async #append(via: Via, plans: readonly BatchPlan[]): Promise<void> {
    const sent = plans.map((plan) => {
      const { stream } = plan;
      const next = (this.#oracle.streams.get(stream)?.events.length ?? 0) + 1;
      const firstSeq = BigInt(Math.max(0, next + plan.from));
      const events = plan.events.map((event, index) => this.#event(stream, firstSeq + BigInt(index), event));
      const epoch = this.#epoch(stream, plan.epoch);
      const info = infoOf(plan.info);
      const expected = this.#oracle.append(stream, this.#oracleEpoch(stream, plan.epoch), firstSeq, events, info);
      const batch = { ref: this.#ref(stream), epoch, firstSeq, events: events.map(({ bytes }) => bytes), info };
      return { expected, batch };
    });
    const got = await stores.use(via, (store) =>
      Promise.all(sent.map(({ batch }) => outcome(store.append(batch, never)))),
    );
    for (const [index, { expected, batch }] of sent.entries()) {
      const each = got[index];
      if (each === undefined) throw new Error("an append has no outcome");
      agree(each, expected);
      if (!("done" in each)) continue;
      const { stored, duplicate, quarantined } = each.done;
      expect(stored + duplicate + quarantined, "every event of a batch is counted once").toBe(batch.events.length);
    }
  }

  #event(stream: string, seq: bigint, plan: EventPlan): MadeEvent {
    const stored = this.#oracle.streams.get(stream)?.events[Number(seq) - 1];
    if (stored === undefined) return makeEvent(plan.kind, seq < 1n ? 1n : seq, plan.salt, plan.timeMs);
    if (plan.resend === "same") return stored;
    if (plan.resend === "other" || stored.bytes.length === 0)
      return makeEvent("click", seq, 100 + plan.salt, plan.timeMs);
    const bytes = stored.bytes.slice();
    const at = (plan.salt * 7) % bytes.length;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return { ...stored, bytes };
  }

  #epoch(stream: string, which: BatchPlan["epoch"]): number | undefined {
    const given = this.#epochs.get(stream) ?? [];
    if (which === "none") return undefined;
    return which === "current" ? (given.at(-1) ?? 1) : (given.at(-2) ?? -1);
  }

  #oracleEpoch(stream: string, which: BatchPlan["epoch"]): number | undefined {
    const epoch = this.#oracle.streams.get(stream)?.epoch ?? 0;
    if (which === "none") return undefined;
    // A stream that nobody opened has no epoch a writer could have been given.
    return which === "current" && epoch > 0 ? epoch : -1;
  }

  async #seal(command: Extract<Command, { do: "seal" }>): Promise<void> {
    const ends = planEnds(this.#oracle, command.ends);
    const seen = await stores.use(command.via, (store) => store.readSession(this.#project, this.#session, never));
    const version = seen?.version ?? 1n;
    const wanted = { unchecked: undefined, seen: version, moved: version + 1n }[command.version];
    const expected = this.#oracle.seal(ends, command.allow, command.version === "moved", this.#recorded);
    const { via, allow } = command;
    const place = { project: this.#project, session: this.#session };
    const got = await outcome(
      stores.use(via, (store) =>
        store.seal({ ...place, streams: ends, allowMissingBlobs: allow, expectedVersion: wanted, jobs: [] }, never),
      ),
    );
    agree(got, expected);
    if ("done" in got && seen?.seal !== undefined) expect(got.done, "a seal is given once").toEqual(seen.seal);
  }

  async check(): Promise<void> {
    for (const via of [0, 1] as const) {
      await stores.use(via, async (store) => {
        const session = await store.readSession(this.#project, this.#session, never);
        if (!this.#oracle.exists) return expect(session).toBeUndefined();
        const { sealedWithout, blobs, info, ends, state } = this.#oracle;
        expect(session).toMatchObject({ info, streams: ends, state, blobs: blobs.length });
        expect(session?.state, "the fold is of what is stored, no more and no less").toEqual(state);
        expect(session?.missingBlobs).toBe(blobs.filter((blob) => !this.#recorded.has(blob)).length);
        expect(session?.seal?.missingBlobs).toEqual(sealedWithout);
        expect(await this.#readAll(store)).toEqual(this.#oracle.stored(true));
        const kept = await store.readQuarantined(this.#project, this.#session, 1_000, never);
        const raw = kept.map(({ stream, seq, event }) => ({ stream, seq, event: Buffer.from(event) }));
        expect(raw).toEqual(this.#oracle.stored(false));
      });
    }
  }

  /** In pages of a few events, so that pages end inside segments and at their edges. */
  async #readAll(store: SqliteStore): Promise<{ stream: string; seq: bigint; event: Buffer }[]> {
    const all: StoredEvent[] = [];
    for (;;) {
      const place = { project: this.#project, session: this.#session, stream: undefined, fromSeq: 1n };
      const page = await store.readEvents({ ...place, after: all.at(-1), maxBytes: 200 }, never);
      if (page.length === 0) break;
      all.push(...page);
    }
    return all.map(({ stream, seq, event }) => ({ stream, seq, event: Buffer.from(event) }));
  }

  #ref(stream: string) {
    return { project: this.#project, session: this.#session, stream };
  }
}

function planEnds({ ends }: SessionOracle, plan: EndsPlan) {
  if (plan === "none") return [];
  if (plan === "one more") return [...ends, { stream: "never", lastSeq: 1n }];
  if (plan === "short") return ends.map((end, index) => (index === 0 ? { ...end, lastSeq: end.lastSeq + 1n } : end));
  return ends;
}

function infoOf(salt: number | undefined): SessionInfo | undefined {
  if (salt === undefined) return undefined;
  const labels = [{ name: "team", value: `t${salt}` }];
  return { task: `task ${salt}`, collector: "model/1", startUrl: "", userAgent: "", labels, rawJson: "" };
}

type Outcome<T> = { readonly done: T } | { readonly refused: string };

/** A refusal is an outcome; anything else the store throws is a failure of the test. */
async function outcome<T>(work: Promise<T>): Promise<Outcome<T>> {
  try {
    return { done: await work };
  } catch (error) {
    if (error instanceof AppError && error.reason !== "INTERNAL") return { refused: error.reason };
    throw error;
  }
}

function agree<T, E>(got: Outcome<T>, expected: Verdict<E>): void {
  if ("refused" in expected) {
    expect([...expected.refused], "the store refuses, and for a reason there is").toContain(
      "refused" in got ? got.refused : "(accepted)",
    );
  } else {
    expect(got).toMatchObject({ done: expected.done });
  }
}

/** Two connections to one file, either of which can be closed and opened again between commands. */
class Stores implements AsyncDisposable {
  readonly #path: string;
  readonly #open: [SqliteStore, SqliteStore];
  readonly #using: [Set<Promise<unknown>>, Set<Promise<unknown>>] = [new Set(), new Set()];
  readonly #reopening: [Promise<void>, Promise<void>] = [Promise.resolve(), Promise.resolve()];

  private constructor(path: string, open: [SqliteStore, SqliteStore]) {
    this.#path = path;
    this.#open = open;
  }

  static async open(path: string): Promise<Stores> {
    const first = await SqliteStore.open({ path, limits: LIMITS, create: true });
    return new Stores(path, [first, await SqliteStore.open({ path, limits: LIMITS, create: true })]);
  }

  async use<T>(via: Via, work: (store: SqliteStore) => Promise<T>): Promise<T> {
    await this.#reopening[via];
    const working = work(this.#open[via]);
    const settled = working.catch(() => undefined).finally(() => this.#using[via].delete(settled));
    this.#using[via].add(settled);
    return await working;
  }

  async reopen(via: Via): Promise<void> {
    const before = this.#reopening[via];
    this.#reopening[via] = before.then(async () => {
      while (this.#using[via].size > 0) await Promise.all(this.#using[via]);
      await this.#open[via][Symbol.asyncDispose]();
      this.#open[via] = await SqliteStore.open({ path: this.#path, limits: LIMITS, create: true });
    });
    await this.#reopening[via];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#open.map((store) => store[Symbol.asyncDispose]()));
  }
}
