import { Text } from "domhandler";
import { PageElement, Root } from "../dom/page.ts";
import type { SnapshotElement, SnapshotNode } from "./snapshots.ts";

/**
 * The document of a snapshot as a tree, without what the trace's recorder put there; and in it the
 * element that `wanted` is, if it is there. A new one each time.
 */
export function documentOf(
  top: SnapshotElement,
  wanted: SnapshotElement | undefined,
): { readonly root: Root; readonly element: PageElement | undefined } {
  const root = new Root([]);
  let element: PageElement | undefined;
  const waiting: { readonly node: SnapshotNode; readonly parent: Root | PageElement }[] = [{ node: top, parent: root }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { node, parent } = next;
    if ("text" in node) {
      append(parent, new Text(node.text));
      continue;
    }
    if (STYLE_SHEET in node.attributes) continue;
    const into = SHADOW in node.attributes && parent instanceof PageElement ? shadowOf(parent) : elementOf(node);
    if (into instanceof PageElement) append(parent, into);
    if (node === wanted && into instanceof PageElement) element = into;
    for (const child of node.children.toReversed()) waiting.push({ node: child, parent: into });
  }
  return { root, element };
}

function shadowOf(host: PageElement): Root {
  const shadow = new Root([]);
  shadow.host = host;
  host.shadow = shadow;
  return shadow;
}

function elementOf({ name, attributes }: SnapshotElement): PageElement {
  const own = Object.entries(attributes).filter(([attribute]) => !attribute.startsWith("__playwright_"));
  return new PageElement(
    name.toLowerCase(),
    own.map(([attribute, value]) => [attribute.toLowerCase(), value]),
  );
}

function append(parent: Root | PageElement, child: PageElement | Text): void {
  const before = parent.children.at(-1);
  child.parent = parent;
  child.prev = before ?? null;
  if (before !== undefined) before.next = child;
  parent.children.push(child);
}

const SHADOW = "__playwright_shadow_root_";
const STYLE_SHEET = "__playwright_style_sheet_";
