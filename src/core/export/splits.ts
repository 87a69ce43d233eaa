import { createHash } from "node:crypto";
import { SPLITS, type Split } from "./exporter.ts";

/** Parts of each split, in the order of SPLITS; they sum to 1. */
export type Parts = readonly [train: number, validation: number, test: number];

/**
 * What must not be in two splits: sessions of one task; of those without a task, sessions of one
 * site; else the session alone.
 */
export function groupOf(session: string, task: string, site: string): string {
  const words =
    task
      .toLowerCase()
      .normalize("NFKC")
      .match(/[\p{L}\p{N}]+/gu) ?? [];
  if (words.length > 0) return `task ${words.join(" ")}`;
  return site === "" ? `session ${session}` : `site ${site}`;
}

/** The host of an address, "" when it has none. */
export function siteOf(url: string): string {
  return URL.parse(url)?.hostname.replace(/^www\./, "") ?? "";
}

/** Which split a group is in: by chance that depends on seed and group alone. */
export function splitOf(group: string, parts: Parts, seed: string): Split {
  const digest = createHash("sha256").update(`${seed}\0${group}`).digest();
  const at = digest.readUIntBE(0, 6) / 2 ** 48;
  let reached = 0;
  for (const [index, split] of SPLITS.entries()) {
    reached += parts[index] ?? 0;
    if (at < reached) return split;
  }
  return "train";
}

/** Groups that are joined to others, each named by the first of them in order. */
export class JoinedGroups {
  readonly #parent = new Map<string, string>();

  join(a: string, b: string): void {
    const [first, second] = [this.of(a), this.of(b)];
    if (first === second) return;
    if (first < second) this.#parent.set(second, first);
    else this.#parent.set(first, second);
  }

  of(group: string): string {
    let root = group;
    for (let next = this.#parent.get(root); next !== undefined; next = this.#parent.get(root)) root = next;
    for (let at = group; at !== root; ) {
      const next = this.#parent.get(at) ?? root;
      this.#parent.set(at, root);
      at = next;
    }
    return root;
  }
}
