/**
 * Finds any of many texts in another, in one pass: a trie in arrays, and a table of the beginnings
 * texts have, which nearly every position is dismissed by.
 */
export class Matcher {
  /** Of node n: its first child, its next sibling, its character, the id of the text that ends there or -1, an id from below. */
  readonly #child: number[] = [-1];
  readonly #sibling: number[] = [-1];
  readonly #unit: number[] = [0];
  readonly #id: number[] = [-1];
  readonly #below: number[] = [-1];
  readonly #beginnings = new Uint8Array(TABLE);
  /** Texts longer than MAX_UNITS, by id: a trie of whole ones would make searching quadratic. */
  readonly #long = new Map<number, string>();

  /** The first id given to a text is the one it keeps. */
  add(text: string, id: number): void {
    const head = text.slice(0, MAX_UNITS);
    let node = 0;
    for (let at = 0; at < head.length; at++) {
      const unit = head.charCodeAt(at);
      const next = this.#next(node, unit);
      node = next === -1 ? this.#grow(node, unit, id) : next;
    }
    if (node === 0 || this.#id[node] !== -1) return;
    this.#id[node] = id;
    this.#beginnings[hashAt(head, 0, Math.min(head.length, MAX_BEGINNING))] = 1;
    if (head.length < text.length) this.#long.set(id, text);
  }

  get size(): number {
    return this.#id.length - 1;
  }

  /**
   * Calls `found` for each start at which a text stands, with the longest that `accepts`. A long text
   * that is there for at least MAX_UNITS characters is there as far as it is. `cut` tells of texts
   * whose beginning is all that the end of this one holds, `least` characters or more.
   */
  search(text: string, found: Accept, cut?: { readonly least: number; readonly found: Accept }): void {
    if (this.size === 0) return;
    // Where a long text was followed to: it is not followed again from inside.
    let followed = 0;
    for (let start = 0; start < text.length; start++) {
      if (!this.#mayBegin(text, start)) continue;
      const ends: number[] = [];
      let node = 0;
      let at = start;
      for (; at < text.length; at++) {
        const next = this.#next(node, text.charCodeAt(at));
        if (next === -1) break;
        node = next;
        const id = this.#id[node] ?? -1;
        if (id === -1) continue;
        const end = start < followed ? at + 1 : this.#endOf(text, start, at + 1, id);
        if (end > at + 1) followed = end;
        ends.push(end, id);
      }
      if (cut !== undefined && at === text.length && at - start >= cut.least && ends.at(-2) !== at) {
        cut.found(start, at, this.#below[node] ?? 0);
      }
      for (let last = ends.length - 2; last >= 0; last -= 2) {
        if (found(start, ends[last] ?? 0, ends[last + 1] ?? 0)) break;
      }
    }
  }

  #mayBegin(text: string, start: number): boolean {
    for (let length = 1; length <= MAX_BEGINNING; length++) {
      if (this.#beginnings[hashAt(text, start, length)] === 1) return true;
    }
    return false;
  }

  #endOf(text: string, start: number, end: number, id: number): number {
    const long = end - start === MAX_UNITS ? this.#long.get(id) : undefined;
    let at = end;
    while (long !== undefined && at < text.length && text.charCodeAt(at) === long.charCodeAt(at - start)) at++;
    return at;
  }

  #grow(parent: number, unit: number, id: number): number {
    const node = this.#unit.push(unit) - 1;
    this.#id.push(-1);
    this.#below.push(id);
    this.#child.push(-1);
    this.#sibling.push(this.#child[parent] ?? -1);
    this.#child[parent] = node;
    return node;
  }

  /** -1 when there is none. */
  #next(node: number, unit: number): number {
    let at = this.#child[node] ?? -1;
    while (at !== -1 && this.#unit[at] !== unit) at = this.#sibling[at] ?? -1;
    return at;
  }
}

/** Whether it counts. */
type Accept = (start: number, end: number, id: number) => boolean;

const MAX_UNITS = 128;
const TABLE = 1 << 20;
const MAX_BEGINNING = 3;

function hashAt(text: string, start: number, length: number): number {
  let hash = length;
  for (let at = start; at < start + length; at++) hash = (hash * 97 + text.charCodeAt(at)) | 0;
  return hash & (TABLE - 1);
}
