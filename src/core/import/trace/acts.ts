import { at, isObject, type JsonObject, number, text } from "../lenient.ts";
import { findMarked, type Marked } from "./marks.ts";
import { isAct } from "./methods.ts";
import type { TraceRecord } from "./records.ts";
import { type FrameSnapshot, type SnapshotElement, Snapshots } from "./snapshots.ts";

/** What was done, put together from all that the trace tells of one call. Times are the trace's own. */
export interface Act {
  readonly callId: string;
  /** "click", "mouseWheel": the protocol's name. */
  readonly method: string;
  readonly params: JsonObject;
  readonly line: number;
  readonly before: string;
  readonly startTime: number;
  readonly inputs: readonly Input[];
  readonly after: After | undefined;
  /** Whether its log says that it came to touch the page, whatever failed then. */
  readonly isPerformed: boolean;
  /** The page just before, and what it was done to. */
  readonly page: FrameSnapshot | undefined;
  /** All its frames at that moment, by their names. */
  readonly frames: ReadonlyMap<string, SnapshotElement>;
  readonly target: Marked | undefined;
  /** When it was done to the page, after waiting for it. */
  readonly time: number;
  /** The same afterwards. */
  readonly pageAfter: FrameSnapshot | undefined;
  readonly targetAfter: Marked | undefined;
  /** The last picture of the page from before. */
  readonly picture: Picture | undefined;
}

interface Input {
  readonly json: string;
  readonly point: { readonly x: number; readonly y: number } | undefined;
  readonly box: JsonObject | undefined;
}

interface After {
  readonly json: string;
  readonly value: JsonObject;
}

export interface Picture {
  readonly line: number;
  readonly json: string;
  readonly file: string;
}

type Open = { -readonly [Key in keyof Act]: Act[Key] } & {
  readonly inputs: Input[];
  readonly frames: Map<string, SnapshotElement>;
  /** "" until something says which. */
  pageId: string;
};

/**
 * Puts the records of one context's trace together to acts, and tells each once all of it is known,
 * in the order in which they were done. What a trace tells besides is context.
 */
export class Acts {
  readonly #snapshots = new Snapshots();
  /** In the order in which they began. */
  readonly #open = new Map<string, Open>();
  #done: Open[] = [];
  /** By page. */
  readonly #pictures = new Map<string, Picture>();

  /** The acts that are known in full now. */
  take(record: TraceRecord, value: JsonObject): Act[] {
    const act = this.#open.get(text(value.callId));
    switch (value.type) {
      case "before":
        this.#settle();
        this.#begin(record, value);
        return this.#release();
      case "input":
        if (act === undefined) break;
        act.inputs.push({ json: record.json, point: pointOf(value.point), box: objectOf(value.box) });
        act.picture = this.#pictureOf(act);
        break;
      case "log":
        if (act !== undefined) act.isPerformed ||= PERFORMING.test(text(value.message));
        break;
      case "after":
        if (act === undefined) break;
        act.after = { json: record.json, value };
        act.isPerformed ||= textsOf(value.log).some((message) => PERFORMING.test(message));
        break;
      case "frame-snapshot":
        if (isObject(value.snapshot)) this.#see(value.snapshot);
        break;
      case "screencast-frame":
        this.#show(text(value.pageId), pictureOf(record, value));
        break;
    }
    return [];
  }

  /** The rest, at the end of the trace. */
  end(): Act[] {
    this.#settle();
    this.#done.push(...this.#open.values());
    this.#open.clear();
    return this.#release();
  }

  #begin({ json, line }: TraceRecord, value: JsonObject): void {
    if (!isAct(text(value.class), text(value.method))) return;
    const startTime = number(value.startTime) ?? 0;
    const act: Open = {
      callId: text(value.callId),
      method: text(value.method),
      params: objectOf(value.params) ?? {},
      line,
      before: json,
      startTime,
      inputs: [],
      after: undefined,
      isPerformed: false,
      page: undefined,
      target: undefined,
      time: startTime,
      pageAfter: undefined,
      targetAfter: undefined,
      frames: new Map(),
      picture: undefined,
      pageId: text(value.pageId),
    };
    act.picture = this.#pictureOf(act);
    const twin = this.#open.get(act.callId);
    if (twin !== undefined) this.#done.push(twin);
    this.#open.set(act.callId, act);
  }

  #show(pageId: string, picture: Picture): void {
    this.#pictures.delete(pageId);
    this.#pictures.set(pageId, picture);
    const [oldest] = this.#pictures.keys();
    if (this.#pictures.size > MAX_PAGES && oldest !== undefined) this.#pictures.delete(oldest);
  }

  /** Snapshots are taken before a call, just before it touches the page, and after it. */
  #see(snapshot: JsonObject): void {
    const seen = this.#snapshots.add(snapshot);
    const act = this.#open.get(text(snapshot.callId));
    if (act === undefined) return;
    const phase = phaseOf(snapshot);
    const marked = seen.root && findMarked(seen.root, ["", act.callId, text(snapshot.snapshotName)]);
    if (phase === "after") {
      if (seen.isMain) act.pageAfter = seen;
      act.targetAfter ??= marked;
      return;
    }
    if (phase === "action") {
      act.target ??= marked;
      act.time = number(snapshot.timestamp) ?? act.time;
    }
    if (seen.isMain) act.page = seen;
    if (seen.root !== undefined) act.frames.set(seen.frame, seen.root);
    act.pageId = seen.page;
    act.picture = this.#pictureOf(act);
  }

  /** Not every call says of which page it is; where there is but one, it is of that. */
  #pictureOf({ pageId }: Open): Picture | undefined {
    if (pageId !== "" || this.#pictures.size !== 1) return this.#pictures.get(pageId);
    const [only] = this.#pictures.values();
    return only;
  }

  /** What has ended, and its last snapshots with it, once another call begins. */
  #settle(): void {
    for (const [id, act] of this.#open) {
      if (act.after === undefined && this.#open.size <= MAX_OPEN) continue;
      this.#open.delete(id);
      this.#done.push(act);
    }
  }

  /** Those that none which is still open can come before. */
  #release(): Act[] {
    const earliest = Math.min(...[...this.#open.values()].map(({ startTime }) => startTime));
    const sorted = this.#done.toSorted((a, b) => a.time - b.time || a.line - b.line);
    const ready = sorted.filter(({ time }) => time < earliest || sorted.length > MAX_OPEN);
    this.#done = sorted.filter((act) => !ready.includes(act));
    return ready;
  }
}

function phaseOf({ phase, snapshotName }: JsonObject): string {
  const told = text(phase) || (text(snapshotName).split("@")[0] ?? "");
  return told === "input" ? "action" : told;
}

function pictureOf({ json, line }: TraceRecord, value: JsonObject): Picture {
  const sha1 = text(value.sha1);
  return { json, line, file: text(value.file) || (sha1 === "" ? "" : `resources/${sha1}`) };
}

function pointOf(value: unknown): Input["point"] {
  const x = number(at(value, "x"));
  const y = number(at(value, "y"));
  return x === undefined || y === undefined ? undefined : { x, y };
}

function objectOf(value: unknown): JsonObject | undefined {
  return isObject(value) ? value : undefined;
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map((each) => text(each)) : [];
}

const PERFORMING = /^\s*performing [\w-]+ action/;
/** Calls wait for one another seldom, and never in such numbers; one that never ends must not hold up the rest. */
const MAX_OPEN = 1_000;
/** Open at once, that something is done to. */
const MAX_PAGES = 1_000;
