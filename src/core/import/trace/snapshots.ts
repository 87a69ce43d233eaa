import { isObject, type JsonObject, number, text } from "../lenient.ts";

/** A node of a page as it was. Snapshots share those that did not change. */
export type SnapshotNode = SnapshotText | SnapshotElement;

interface SnapshotText {
  readonly text: string;
}

export interface SnapshotElement {
  /** As the trace spells it: upper case in HTML. A shadow root is a `template`. */
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly SnapshotNode[];
}

/** A frame of a page at one moment. */
export interface FrameSnapshot {
  readonly frame: string;
  readonly page: string;
  readonly url: string;
  readonly isMain: boolean;
  readonly viewport: { readonly width: number; readonly height: number } | undefined;
  /** Its document; undefined when it refers to what was forgotten, or to what never was. */
  readonly root: SnapshotElement | undefined;
}

/**
 * The snapshots of one trace, in order. In a trace each holds only what changed in its frame, and
 * says of the rest where an earlier one had it: `[[n, i]]` is node i, counted children first, of the
 * snapshot n before. So that memory stays bounded whatever the trace is, once there are more than
 * `maxNodes` all those are forgotten that no frame shows now, and if there is hardly any room then,
 * the frames that were changed longest ago.
 */
export class Snapshots {
  readonly #maxNodes: number;
  readonly #frames = new Map<string, Frame>();
  #nodes = 0;

  constructor(maxNodes = MAX_NODES) {
    this.#maxNodes = maxNodes;
  }

  /** Takes in the `snapshot` of a frame-snapshot record. */
  add(snapshot: JsonObject): FrameSnapshot {
    const id = text(snapshot.frameId);
    const frame = this.#frames.get(id) ?? new Frame();
    // The one that was changed last is the last to be forgotten.
    this.#frames.delete(id);
    this.#frames.set(id, frame);
    this.#nodes += frame.add(snapshot.html);
    const { root } = frame;
    if (this.#nodes > this.#maxNodes) this.#forget();
    if (this.#frames.size > MAX_FRAMES) this.#forgetOldest();
    return { ...describe(snapshot), frame: id, root };
  }

  #forget(): void {
    for (const frame of this.#frames.values()) this.#nodes -= frame.forgetUnseen();
    // What is shown now goes last, and only if there is no room for it by itself.
    while (this.#nodes > this.#maxNodes * FULL && this.#frames.size > 1) this.#forgetOldest();
    if (this.#nodes > this.#maxNodes) this.#forgetOldest();
  }

  #forgetOldest(): void {
    for (const [id, frame] of this.#frames) {
      this.#frames.delete(id);
      this.#nodes -= frame.size;
      return;
    }
  }
}

/** The nodes of a snapshot that are its own, by their numbers in it. Once most are forgotten, a map is smaller. */
type Table = (SnapshotNode | undefined)[] | Map<number, SnapshotNode>;

class Frame {
  /** Its last snapshot. */
  root: SnapshotElement | undefined;
  /** Of the nodes it knows. */
  size = 0;
  #count = 0;
  readonly #tables = new Map<number, Table>();

  /** How many nodes it knows now that it did not before. */
  add(html: unknown): number {
    const table: (SnapshotNode | undefined)[] = [];
    this.#tables.set(this.#count, table);
    const node = this.#resolve(html, table);
    this.root = node !== undefined && "name" in node ? node : undefined;
    this.#count += 1;
    this.size += table.length;
    return table.length;
  }

  /** Forgets what the last snapshot does not show. How many nodes that are. */
  forgetUnseen(): number {
    const shown = new Set<SnapshotNode>();
    const waiting: SnapshotNode[] = this.root === undefined ? [] : [this.root];
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      if (shown.has(node)) continue;
      shown.add(node);
      if ("children" in node) for (const child of node.children) waiting.push(child);
    }
    const before = this.size;
    this.size = 0;
    for (const [index, table] of this.#tables) {
      const kept = new Map<number, SnapshotNode>();
      for (const [place, node] of table.entries()) if (node !== undefined && shown.has(node)) kept.set(place, node);
      if (kept.size === 0) this.#tables.delete(index);
      else this.#tables.set(index, kept);
      this.size += kept.size;
    }
    return before - this.size;
  }

  /**
   * The node that a snapshot's html describes; its own nodes go to `table`. Walks without recursion,
   * for a trace may nest as deep as it likes. undefined when something in it can't be resolved.
   */
  #resolve(html: unknown, table: (SnapshotNode | undefined)[]): SnapshotNode | undefined {
    const open: Open[] = [];
    let part = html;
    for (;;) {
      let node: SnapshotNode | undefined;
      if (typeof part === "string") {
        node = { text: part.toWellFormed() };
        table.push(node);
      } else if (isElement(part)) {
        open.push({ name: part[0], attributes: attributesOf(part[1]), parts: part, next: 2, children: [] });
      } else {
        node = this.#refer(part);
      }
      // An element that was opened has no node yet: its children come first.
      let isOpening = isElement(part);
      for (;;) {
        const parent = open.at(-1);
        if (!isOpening) {
          if (parent === undefined) return node;
          if (node === undefined) parent.children = undefined;
          else parent.children?.push(node);
        }
        isOpening = false;
        if (parent === undefined) return undefined;
        if (parent.next < parent.parts.length) {
          part = parent.parts[parent.next];
          parent.next += 1;
          break;
        }
        open.pop();
        const { name, attributes, children } = parent;
        node = children === undefined ? undefined : { name, attributes, children };
        table.push(node);
      }
    }
  }

  #refer(part: unknown): SnapshotNode | undefined {
    if (!Array.isArray(part) || !Array.isArray(part[0])) return undefined;
    const [back, place]: readonly unknown[] = part[0];
    if (typeof back !== "number" || typeof place !== "number") return undefined;
    const table = this.#tables.get(this.#count - back);
    return table instanceof Map ? table.get(place) : table?.[place];
  }
}

interface Open {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly parts: readonly unknown[];
  /** Of the parts the next to be looked at. */
  next: number;
  /** undefined when one of them could not be resolved. */
  children: SnapshotNode[] | undefined;
}

function isElement(part: unknown): part is readonly [string, ...unknown[]] {
  return Array.isArray(part) && typeof part[0] === "string";
}

function attributesOf(value: unknown): Readonly<Record<string, string>> {
  if (!isObject(value)) return NONE;
  if (areTexts(value)) return value;
  const told = Object.entries(value).filter(([, each]) => typeof each === "string");
  return Object.fromEntries(told.map(([name, each]) => [name.toWellFormed(), String(each).toWellFormed()]));
}

const NONE: Readonly<Record<string, string>> = {};

function areTexts(value: JsonObject): value is Readonly<Record<string, string>> {
  return Object.entries(value).every(
    ([name, each]) => typeof each === "string" && each.isWellFormed() && name.isWellFormed(),
  );
}

function describe(snapshot: JsonObject) {
  const { viewport } = snapshot;
  const width = isObject(viewport) ? number(viewport.width) : undefined;
  const height = isObject(viewport) ? number(viewport.height) : undefined;
  return {
    page: text(snapshot.pageId),
    url: text(snapshot.frameUrl),
    isMain: snapshot.isMainFrame === true,
    viewport: width === undefined || height === undefined ? undefined : { width, height },
  };
}

/** A large page has some 10,000; a node takes about 200 bytes. */
const MAX_NODES = 100_000;
const FULL = 0.8;
const MAX_FRAMES = 10_000;
