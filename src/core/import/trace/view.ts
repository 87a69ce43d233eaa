import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ElementStateSchema, PageSchema } from "../../../wire/gen/sluice/v1/event_pb.ts";
import { targetOf as describeTarget, ground } from "../dom/ground.ts";
import { number } from "../lenient.ts";
import type { Act } from "./acts.ts";
import { documentOf } from "./document.ts";
import { heldBy, type Marked, textOf } from "./marks.ts";
import { isAimed } from "./methods.ts";
import { readSelector } from "./selectors.ts";
import type { FrameSnapshot, SnapshotElement } from "./snapshots.ts";

/** The page of a snapshot; undefined when the trace has none. */
export function pageOf(snapshot: FrameSnapshot | undefined, pixelRatio: number) {
  if (snapshot === undefined) return undefined;
  const { url, viewport, root } = snapshot;
  return {
    url,
    title: root === undefined ? "" : titleOf(root),
    viewportWidth: viewport?.width ?? 0,
    viewportHeight: viewport?.height ?? 0,
    devicePixelRatio: pixelRatio,
    scrollX: readNumber(root?.attributes.__playwright_scroll_left_),
    scrollY: readNumber(root?.attributes.__playwright_scroll_top_),
  } satisfies MessageInitShape<typeof PageSchema>;
}

function readNumber(written: string | undefined): number {
  return number(Number(written ?? 0)) ?? 0;
}

function titleOf(root: SnapshotElement): string {
  const head = root.children.find((node) => "name" in node && node.name === "HEAD");
  const title = head && "name" in head && head.children.find((node) => "name" in node && node.name === "TITLE");
  return title ? textOf(title).trim() : "";
}

/**
 * What the act was done to: the element as it was then, if a snapshot shows it, with the selector of
 * the call before those that follow from the page.
 */
export function targetOf(act: Act, testIdAttribute: string) {
  if (!isAimed(act.method)) return undefined;
  const { pointer, box } = pointed(act);
  const { selector } = act.params;
  const own = typeof selector === "string" ? readSelector(selector, testIdAttribute) : undefined;
  const marked = act.target ?? act.targetAfter;
  if (marked === undefined) {
    return own === undefined && box === undefined ? undefined : { selectors: own ? [own] : [], ...(box && { box }) };
  }
  const { root, element } = documentOf(marked.root, marked.element);
  if (element === undefined) return undefined;
  const target = describeTarget(element, { pointer, box });
  if (own === undefined) return target;
  const grounding = ground(own, root, element, { pointer, box });
  const others = (target.selectors ?? []).filter(({ kind, value }) => kind !== own.kind || value !== own.value);
  return { ...target, selectors: [{ ...own, ...(grounding && { grounding }) }, ...others] };
}

/** The place and the box of the first of a call's inputs, for a drag begins there; of others it is the same. */
function pointed({ inputs }: Act) {
  const input = inputs.find(({ point, box }) => point !== undefined || box !== undefined);
  const x = number(input?.box?.x);
  const y = number(input?.box?.y);
  const width = number(input?.box?.width);
  const height = number(input?.box?.height);
  const isBox = x !== undefined && y !== undefined && width !== undefined && height !== undefined;
  return { pointer: input?.point, box: isBox ? { x, y, width, height } : undefined };
}

/** The state of the page and of the act's target before and after it, as far as snapshots tell. */
export function statesOf(act: Act) {
  const before = isAimed(act.method) ? stateOf(act.target) : undefined;
  const after = isAimed(act.method) ? stateOf(act.targetAfter) : undefined;
  const url = act.pageAfter?.url ?? "";
  return {
    ...(before && { before: { url: act.page?.url ?? "", ...before } }),
    ...((after || url !== "") && { after: { url, ...after } }),
  };
}

function stateOf(marked: Marked | undefined) {
  if (marked === undefined) return undefined;
  const { attributes } = marked.element;
  return {
    value: heldBy(marked.element) ?? "",
    checked: attributes.__playwright_checked_ === "true" || attributes["aria-checked"] === "true",
    disabled: attributes.disabled !== undefined || attributes["aria-disabled"] === "true",
    expanded: attributes["aria-expanded"] === "true",
    selected: attributes["aria-selected"] === "true",
    // The call waited until it was.
    visible: true,
  } satisfies MessageInitShape<typeof ElementStateSchema>;
}
