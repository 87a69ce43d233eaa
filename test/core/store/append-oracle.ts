import { createHash } from "node:crypto";
import type { Limits } from "../../../src/core/limits.ts";
import type { SessionState } from "../../../src/core/session/state.ts";
import type { SessionInfo, StreamEnd } from "../../../src/core/store/store.ts";
import { EventType } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { event } from "../../fixtures.ts";

/** An event with what a store must find in it. */
export interface MadeEvent {
  readonly bytes: Uint8Array;
  /** Path of the field that is wrong; undefined for a valid event. */
  readonly flaw: string | undefined;
  readonly timeMs: number;
  readonly type: string;
  readonly url: string;
  readonly title: string;
  readonly blobs: readonly string[];
}

export const VALID_KINDS = ["click", "numbered", "custom", "page", "shots"] as const;
export const INVALID_KINDS = [
  "empty",
  "no time",
  "no type",
  "no name",
  "wrong seq",
  "bad blob",
  "cut",
  "noise",
  "large",
] as const;
export type EventKind = (typeof VALID_KINDS)[number] | (typeof INVALID_KINDS)[number];

/** A few blobs that all events share. */
export const BLOBS: readonly string[] = ["a", "b", "c"].map((name) => createHash("sha256").update(name).digest("hex"));

/** The event of a kind that stands at `seq`; another `salt` gives other bytes, except of the empty one. */
export function makeEvent(kind: EventKind, seq: bigint, salt: number, timeMs: number): MadeEvent {
  const common = { id: `e${salt}`, timeMs: BigInt(timeMs) };
  const facts = { flaw: undefined, timeMs, type: "click", url: "", title: "", blobs: [] };
  switch (kind) {
    case "click":
      return { ...facts, bytes: event(1, common) };
    case "numbered":
      return { ...facts, type: "key", bytes: event(1, { ...common, seq, type: EventType.KEY }) };
    case "custom":
      return { ...facts, type: "custom", bytes: event(1, { ...common, type: EventType.CUSTOM, customType: "own" }) };
    case "page": {
      const page = { url: `https://shop.test/${salt}`, title: salt % 2 === 0 ? "" : `Page ${salt}` };
      return { ...facts, ...page, bytes: event(1, { ...common, page }) };
    }
    case "shots": {
      const blobs = BLOBS.slice(salt % BLOBS.length);
      return { ...facts, blobs, bytes: event(1, { ...common, screenshots: blobs.map((blobId) => ({ blobId })) }) };
    }
    case "empty":
      return { ...facts, flaw: "time_ms", bytes: new Uint8Array() };
    case "no time":
      return { ...facts, flaw: "time_ms", bytes: event(1, { ...common, timeMs: 0n }) };
    case "no type":
      return { ...facts, flaw: "type", bytes: event(1, { ...common, type: EventType.UNSPECIFIED }) };
    case "no name":
      return { ...facts, flaw: "custom_type", bytes: event(1, { ...common, type: EventType.CUSTOM }) };
    case "wrong seq":
      return { ...facts, flaw: "seq", bytes: event(1, { ...common, seq: seq + 1n }) };
    case "bad blob":
      return {
        ...facts,
        flaw: "screenshots[0].blob_id",
        bytes: event(1, { ...common, screenshots: [{ blobId: "no hash" }] }),
      };
    case "cut":
      return {
        ...facts,
        flaw: "page",
        bytes: event(1, { ...common, page: { url: "https://shop.test/" } }).slice(0, -1),
      };
    case "noise":
      return { ...facts, flaw: "", bytes: Uint8Array.of(0xff, 0xff, salt) };
    case "large":
      return { ...facts, flaw: "", bytes: event(1, { ...common, rawJson: `"${"x".repeat(1_100)}"` }) };
    default:
      return kind satisfies never;
  }
}

/** What a stream holds: every event by its seq, from 1. */
export interface OracleStream {
  epoch: number;
  readonly events: MadeEvent[];
}

/** What a refusal may be for: when a batch is wrong in several ways, the contract leaves open which is told. */
export type Verdict<T> = { readonly refused: ReadonlySet<string> } | { readonly done: T };

export interface OracleAppended {
  readonly durableSeq: bigint;
  readonly stored: number;
  readonly duplicate: number;
  readonly quarantined: number;
  readonly problems: readonly { readonly seq: bigint; readonly path: string }[];
}

/** One session as the contract of Store says it must be, in the plainest way. */
export class SessionOracle {
  readonly streams = new Map<string, OracleStream>();
  readonly #limits: Limits;
  sealedWithout: readonly string[] | undefined;
  info: SessionInfo | undefined;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get exists(): boolean {
    return this.streams.size > 0;
  }

  get ends(): StreamEnd[] {
    return [...this.streams]
      .map(([stream, { events }]) => ({ stream, lastSeq: BigInt(events.length) }))
      .sort((a, b) => (a.stream < b.stream ? -1 : 1));
  }

  open(stream: string, info: SessionInfo | undefined): Verdict<{ durableSeq: bigint; sealed: boolean }> {
    const refused = new Set<string>();
    if (!this.streams.has(stream)) this.#mayCreate(refused);
    if (refused.size > 0) return { refused };
    const found = this.#stream(stream);
    found.epoch += 1;
    this.info ??= info;
    return { done: { durableSeq: BigInt(found.events.length), sealed: this.sealedWithout !== undefined } };
  }

  append(
    stream: string,
    epoch: number | undefined,
    firstSeq: bigint,
    batch: readonly MadeEvent[],
    info: SessionInfo | undefined,
  ): Verdict<OracleAppended> {
    const found = this.streams.get(stream);
    const stored = found?.events ?? [];
    const refused = new Set<string>();
    const at = Number(firstSeq) - 1;
    const resent = batch.slice(0, Math.max(0, stored.length - at));
    const fresh = batch.slice(resent.length);
    if (batch.length > this.#limits.batchEvents) refused.add("BATCH_TOO_LARGE");
    if (epoch !== undefined && epoch !== found?.epoch) refused.add("FENCED");
    if (at < 0 || at > stored.length) refused.add("OUT_OF_RANGE");
    if (resent.some((event, index) => !sameBytes(event, stored[at + index]))) refused.add("CONFLICT");
    if (fresh.length > 0) {
      if (this.sealedWithout !== undefined) refused.add("SEALED");
      if (found === undefined) this.#mayCreate(refused);
      if (this.state.bytes + bytesOf(fresh) > this.#limits.sessionBytes) refused.add("SESSION_TOO_LARGE");
    }
    if (refused.size > 0) return { refused };
    if (fresh.length > 0) {
      this.#stream(stream).events.push(...fresh);
      this.info ??= info;
    }
    const quarantined = fresh.filter((event) => event.flaw !== undefined).length;
    return {
      done: {
        durableSeq: BigInt(stored.length + (found === undefined ? fresh.length : 0)),
        stored: fresh.length - quarantined,
        duplicate: resent.length,
        quarantined,
        problems: batch.flatMap(({ flaw }, index) =>
          flaw === undefined ? [] : [{ seq: firstSeq + BigInt(index), path: flaw }],
        ),
      },
    };
  }

  seal(
    ends: readonly StreamEnd[],
    allowMissing: boolean,
    versionMoved: boolean,
    recorded: ReadonlySet<string>,
  ): Verdict<{ missingBlobs: readonly string[] }> {
    if (!this.exists) return { refused: new Set(["SESSION_NOT_FOUND"]) };
    const refused = new Set<string>();
    const named = new Map(ends.map((end) => [end.stream, end.lastSeq]));
    const same = named.size === this.streams.size && this.ends.every((end) => named.get(end.stream) === end.lastSeq);
    if (!same) refused.add("STREAMS_DIFFER");
    const missing = this.blobs.filter((blob) => !recorded.has(blob)).sort();
    if (this.sealedWithout === undefined) {
      if (versionMoved) refused.add("VERSION_MOVED");
      if (missing.length > 0 && !allowMissing) refused.add("MISSING_BLOBS");
    }
    if (refused.size > 0) return { refused };
    this.sealedWithout ??= missing;
    return { done: { missingBlobs: this.sealedWithout } };
  }

  /** The fold of all that is stored, event by event. */
  get state(): SessionState {
    const all = this.#all();
    const valid = all.filter(({ event }) => event.flaw === undefined);
    const types: Record<string, number> = {};
    for (const { event } of valid) types[event.type] = (types[event.type] ?? 0) + 1;
    const times = valid.map(({ event }) => event.timeMs);
    const pages = valid
      .filter(({ event }) => event.url !== "")
      .map(({ event: { timeMs, url, title }, stream, seq }) => ({ timeMs, stream, seq, url, title }))
      .sort(
        (a, b) => a.timeMs - b.timeMs || (a.stream < b.stream ? -1 : a.stream > b.stream ? 1 : Number(a.seq - b.seq)),
      );
    return {
      events: valid.length,
      quarantined: all.length - valid.length,
      bytes: bytesOf(all.map(({ event }) => event)),
      types,
      firstMs: times.length === 0 ? undefined : Math.min(...times),
      lastMs: times.length === 0 ? undefined : Math.max(...times),
      page: pages.at(-1),
    };
  }

  /** Blobs that valid events name, each once. */
  get blobs(): string[] {
    return [...new Set(this.#all().flatMap(({ event }) => (event.flaw === undefined ? event.blobs : [])))];
  }

  /** The bytes at every seq, valid or not, by (stream, seq). */
  stored(valid: boolean): { stream: string; seq: bigint; event: Buffer }[] {
    return this.#all()
      .filter(({ event }) => (event.flaw === undefined) === valid)
      .map(({ stream, seq, event }) => ({ stream, seq, event: Buffer.from(event.bytes) }));
  }

  #all(): { stream: string; seq: bigint; event: MadeEvent }[] {
    return this.ends.flatMap(({ stream }) =>
      this.#stream(stream).events.map((event, index) => ({ stream, seq: BigInt(index + 1), event })),
    );
  }

  #mayCreate(refused: Set<string>): void {
    if (this.sealedWithout !== undefined) refused.add("SEALED");
    if (this.streams.size >= this.#limits.streamsPerSession) refused.add("TOO_MANY_STREAMS");
  }

  #stream(name: string): OracleStream {
    const stream = this.streams.get(name) ?? { epoch: 0, events: [] };
    this.streams.set(name, stream);
    return stream;
  }
}

function bytesOf(events: readonly MadeEvent[]): number {
  return events.reduce((sum, event) => sum + event.bytes.length, 0);
}

function sameBytes(a: MadeEvent, b: MadeEvent | undefined): boolean {
  return b !== undefined && Buffer.compare(a.bytes, b.bytes) === 0;
}
