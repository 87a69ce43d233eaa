import type { MessageInitShape } from "@bufbuild/protobuf";
import type { GroundingSchema, TargetSchema } from "../../../wire/gen/sluice/v1/event_pb.ts";
import { controlOf, describeElement } from "./describe.ts";
import { find } from "./find.ts";
import { allElementsIn, documentOf, type PageElement, type Root } from "./page.ts";
import { selectorsFor, type Written } from "./selectors.ts";

export type Grounding = Omit<MessageInitShape<typeof GroundingSchema>, "$typeName">;

interface Point {
  readonly x: number;
  readonly y: number;
}

interface Box extends Point {
  readonly width: number;
  readonly height: number;
}

/** Where the pointer was and what the element's box was, in CSS pixels of the viewport, as far as it was recorded. */
export interface Pointed {
  readonly pointer?: Point | undefined;
  readonly box?: Box | undefined;
}

/** An element as a target of an event: described, with ranked selectors, each with its proof. */
export function targetOf(
  element: PageElement,
  pointed: Pointed = {},
): Omit<MessageInitShape<typeof TargetSchema>, "$typeName"> {
  const page = documentOf(element);
  const elements = page && allElementsIn(page);
  const selectors = selectorsFor(element).map((selector) => {
    const grounding = page && ground(selector, page, element, pointed, elements);
    return { ...selector, ...(grounding && { grounding }) };
  });
  const { box } = pointed;
  return { ...describeElement(element), selectors, ...(box && { box }) };
}

/**
 * Looks for a selector in a page as it was: in the document and its shadow roots, not in its frames.
 * undefined when its language can't be read here. A role is the one that accessible.ts knows, a text
 * the whole text of the smallest element that has it. `elements` are those of the page, where they
 * are at hand.
 */
export function ground(
  selector: Written,
  page: Root,
  target: PageElement | undefined,
  { pointer, box }: Pointed = {},
  elements: readonly PageElement[] = allElementsIn(page),
): Grounding | undefined {
  const found = find(selector, page, elements);
  if (found === undefined) return undefined;
  const control = target && controlOf(target);
  const isTarget = (each: PageElement) => each === target || (control !== undefined && controlOf(each) === control);
  return {
    matches: found.length,
    findsTarget: found.some(isTarget),
    ...(pointer && box && { boxHoldsPointer: holds(box, pointer) }),
  };
}

function holds({ x, y, width, height }: Box, at: Point): boolean {
  return at.x >= x && at.x <= x + width && at.y >= y && at.y <= y + height;
}
