import { heldBy } from "./marks.ts";
import type { SnapshotElement, SnapshotNode } from "./snapshots.ts";

/**
 * The elements that hold a text or a value, so that redaction knows what a picture of the page can
 * show; the target tells of itself. Snapshots have no boxes. What styles hide is among them.
 */
export function textsIn(roots: Iterable<SnapshotElement>, target: SnapshotElement | undefined) {
  const found = [];
  let bytes = 0;
  for (const root of roots) {
    for (const element of visibleIn(root)) {
      if (element === target) continue;
      const text = ownText(element);
      const value = heldBy(element) ?? "";
      if (text === "" && value === "") continue;
      const told = { tag: element.name.toLowerCase(), text, value, attributes: identityOf(element) };
      bytes += Buffer.byteLength(JSON.stringify(told));
      if (bytes > MAX_BYTES) return found;
      found.push(told);
    }
  }
  return found;
}

function* visibleIn(root: SnapshotElement): Iterable<SnapshotElement> {
  const waiting: SnapshotNode[] = [root];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (!("name" in node) || isUnseen(node)) continue;
    yield node;
    for (const child of node.children.toReversed()) waiting.push(child);
  }
}

function isUnseen({ name, attributes }: SnapshotElement): boolean {
  return UNSEEN.has(name.toUpperCase()) && !("__playwright_shadow_root_" in attributes);
}

const UNSEEN: ReadonlySet<string> = new Set(["HEAD", "NOSCRIPT", "SCRIPT", "STYLE", "TEMPLATE"]);

/** What stands in it itself, blanks run together. */
function ownText({ children }: SnapshotElement): string {
  const parts = children.flatMap((node) => ("text" in node ? node.text : []));
  return parts.join(" ").replace(/\s+/g, " ").trim().slice(0, MAX_TEXT).toWellFormed();
}

/** What says of a field what stands in it. */
function identityOf({ attributes }: SnapshotElement) {
  return Object.entries(attributes)
    .filter(([name, value]) => IDENTITY.has(name) && value.length <= MAX_TEXT)
    .map(([name, value]) => ({ name, value }));
}

const IDENTITY: ReadonlySet<string> = new Set(["id", "name", "type", "autocomplete", "placeholder", "aria-label"]);
/** Of one element. */
const MAX_TEXT = 2_000;
/** Of one event, of which the daemon takes 1 MiB. */
const MAX_BYTES = 192 * 1024;
