import type { MessageInitShape } from "@bufbuild/protobuf";
import { compile } from "css-select";
import { type GroundingSchema, SelectorKind, type TargetSchema } from "../../../wire/gen/sluice/v1/event_pb.ts";
import { accessibleOf, controlOf, describeElement } from "./describe.ts";
import { documentOf, elementsIn, type PageElement, parentOf, type Root, squeeze, textOf, textsIn } from "./page.ts";
import { selectorsFor, TEST_IDS, type Written } from "./selectors.ts";
import { matchXPath } from "./xpath.ts";

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
  const selectors = selectorsFor(element).map((selector) => {
    const grounding = page && ground(selector, page, element, pointed);
    return { ...selector, ...(grounding && { grounding }) };
  });
  const { box } = pointed;
  return { ...describeElement(element), selectors, ...(box && { box }) };
}

/**
 * Looks for a selector in a page as it was: in the document and its shadow roots, not in its frames.
 * undefined when its language can't be read here. A role is the one that accessible.ts knows, a text
 * the whole text of the smallest element that has it.
 */
export function ground(
  selector: Written,
  page: Root,
  target: PageElement | undefined,
  { pointer, box }: Pointed = {},
): Grounding | undefined {
  const found = find(selector, page);
  if (found === undefined) return undefined;
  const control = target && controlOf(target);
  const isTarget = (each: PageElement) => each === target || (control !== undefined && controlOf(each) === control);
  return {
    matches: found.length,
    findsTarget: found.some(isTarget),
    ...(pointer && box && { boxHoldsPointer: holds(box, pointer) }),
  };
}

function find({ kind, value }: Written, page: Root): readonly PageElement[] | undefined {
  const all = (matches: (element: PageElement) => boolean) => [...elementsIn(page)].filter(matches);
  switch (kind) {
    case SelectorKind.CSS:
      return findCss(value, all);
    case SelectorKind.XPATH:
      return matchXPath(value, page);
    case SelectorKind.TEST_ID:
      return all(({ attribs }) => TEST_IDS.some((name) => attribs[name] === value));
    case SelectorKind.ID:
      return all(({ attribs }) => attribs.id === value);
    case SelectorKind.ARIA:
      return all(({ attribs }) => attribs["aria-label"] === value);
    case SelectorKind.ROLE:
      return findRole(value, all);
    case SelectorKind.TEXT:
      return findText(value, page);
    default:
      return undefined;
  }
}

type FindAll = (matches: (element: PageElement) => boolean) => PageElement[];

function findCss(value: string, all: FindAll): PageElement[] | undefined {
  if (STATES.test(value)) return undefined;
  try {
    return all(compile(value));
  } catch {
    // Not CSS, or more of it than can be told from a tree alone.
    return undefined;
  }
}

/** What a tree does not tell: css-select takes them for no element's. */
const STATES = /:(active|focus|hover|visited)/;

/** `button`, or `button[name="Save"]`. */
function findRole(value: string, all: FindAll): PageElement[] | undefined {
  const [, role, quoted] = /^([\w-]+)(?:\[name=(".*")\])?$/s.exec(value) ?? [];
  const name = quoted === undefined ? undefined : unquoted(quoted);
  if (role === undefined || (quoted !== undefined && name === undefined)) return undefined;
  return all((element) => {
    const own = accessibleOf(element);
    return own.role === role && (name === undefined || own.name === name);
  });
}

function unquoted(json: string): string | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

function findText(value: string, page: Root): PageElement[] {
  const wanted = squeeze(value).trim();
  const found = new Set<PageElement>();
  for (const { text, parent } of textsIn(page)) {
    const part = squeeze(text).trim();
    if (part !== "" && wanted.includes(part)) climb(parent, wanted, found);
  }
  return [...found];
}

/** The smallest element from here outwards whose text it is, unless one has more text before. */
function climb(from: PageElement, wanted: string, found: Set<PageElement>): void {
  for (let node: PageElement | undefined = from; node !== undefined; node = parentOf(node)) {
    const text = textOf(node, wanted.length + 1);
    if (text === wanted) found.add(node);
    if (text.length >= wanted.length) return;
  }
}

function holds({ x, y, width, height }: Box, at: Point): boolean {
  return at.x >= x && at.x <= x + width && at.y >= y && at.y <= y + height;
}
