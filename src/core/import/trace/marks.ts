import type { SnapshotElement, SnapshotNode } from "./snapshots.ts";

/** An element that a call was done to, in the document as it was then. */
export interface Marked {
  readonly element: SnapshotElement;
  readonly root: SnapshotElement;
}

const MARK = "__playwright_target__";

/** The element that is marked as a call's target: by one of its names, or in later versions by an empty one. */
export function findMarked(root: SnapshotElement, marks: readonly string[]): Marked | undefined {
  const waiting: SnapshotNode[] = [root];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (!("children" in node)) continue;
    const mark = node.attributes[MARK];
    if (mark !== undefined && marks.includes(mark)) return { element: node, root };
    for (const child of node.children.toReversed()) waiting.push(child);
  }
  return undefined;
}

/** What a form field held; undefined where a snapshot does not say, as of what is no field. */
export function heldBy(element: SnapshotElement): string | undefined {
  // What a box to be checked holds is not its value.
  if ("__playwright_checked_" in element.attributes) return undefined;
  if (element.name !== "SELECT") return element.attributes.__playwright_value_;
  const waiting: SnapshotNode[] = [element];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (!("name" in node)) continue;
    if (node.name === "OPTION" && node.attributes.__playwright_selected_ === "true") {
      return node.attributes.value ?? textOf(node).trim();
    }
    for (const child of node.children.toReversed()) waiting.push(child);
  }
  return undefined;
}

/** The type of the field that it was done to, as the DOM has it. */
export function fieldKind(marked: Marked | undefined): string {
  const element = marked?.element;
  const tag = element?.name.toLowerCase() ?? "";
  if (tag === "input") return element?.attributes.type?.toLowerCase() ?? "text";
  return tag === "textarea" ? tag : "";
}

/** All text in it. */
export function textOf(top: SnapshotNode): string {
  let all = "";
  const waiting: SnapshotNode[] = [top];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if ("text" in node) all += node.text;
    else for (const child of node.children.toReversed()) waiting.push(child);
  }
  return all;
}
