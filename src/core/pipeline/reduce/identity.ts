import type { SelectorKind, SessionEvent, Target } from "../recorded.ts";
import { attributeOf } from "./keys.ts";

/** Ways to tell two elements apart, those that are unique on a page first. */
const TELLING: readonly SelectorKind[] = ["id", "xpath", "css", "test_id", "role"];

/** Whether both are the same element of a page, by the best that is known of both. */
export function isSameElement(a: Target | undefined, b: Target | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  for (const kind of TELLING) {
    const [one, other] = [selectorOf(a, kind), selectorOf(b, kind)];
    if (one !== undefined && other !== undefined) return one === other;
  }
  return describe(a) === describe(b);
}

function selectorOf(target: Target, kind: SelectorKind): string | undefined {
  const told = target.selectors.find((selector) => selector.kind === kind)?.value;
  return told ?? (kind === "id" ? attributeOf(target, "id") : undefined);
}

function describe({ tag, role, name, text, box, attributes }: Target): string {
  const named = attributes.find((attribute) => attribute.name === "name")?.value;
  const place = box && [box.x, box.y, box.width, box.height];
  return JSON.stringify([tag, role, name, named, name === undefined ? text : undefined, place]);
}

/** Whether both happened in the same document: their addresses differ in query or fragment at most. */
export function isSameDocument(a: SessionEvent, b: SessionEvent): boolean {
  if (a.page === undefined || b.page === undefined) return true;
  return documentOf(a.page.url) === documentOf(b.page.url);
}

/** An address without query and fragment. */
export function documentOf(url: string): string {
  return url.replace(/[?#].*$/s, "");
}

/** Whether `later` tells of what `earlier` tells of: a collector that listens twice, or two that listen at once. */
export function isDuplicate(earlier: SessionEvent, later: SessionEvent, withinMs: number): boolean {
  if (later.timeMs - earlier.timeMs > withinMs) return false;
  if (earlier.type !== later.type || earlier.customType !== later.customType) return false;
  if (!isSameElement(earlier.target, later.target) || earlier.page?.url !== later.page?.url) return false;
  // Turns of a wheel come as fast as duplicates do; they differ in where the page is then.
  if (later.type === "scroll" && later.page === undefined) return false;
  return told(earlier) === told(later);
}

function told({ page, input, pointer, key }: SessionEvent): string {
  return JSON.stringify([page?.scroll, input, pointer, key]);
}
