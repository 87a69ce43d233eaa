import { compile } from "css-select";
import { SelectorKind } from "../../../wire/gen/sluice/v1/event_pb.ts";
import { accessibleOf, ownRole } from "./describe.ts";
import { PageElement, parentOf, type Root, squeeze, textOf, textsIn } from "./page.ts";
import { TEST_IDS, type Written } from "./selectors.ts";
import { matchXPath } from "./xpath.ts";

/** The elements that a selector finds among those of a page; undefined when its language can't be read here. */
export function find(
  { kind, value }: Written,
  page: Root,
  elements: readonly PageElement[],
): readonly PageElement[] | undefined {
  const all: FindAll = (matches) => elements.filter(matches);
  switch (kind) {
    case SelectorKind.CSS:
      return findPath(value, all) ?? findCss(value, all);
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

/**
 * A path of children, down by position, as selectors.ts writes it. Found from the top in one go: from
 * the bottom, as css-select does it, the rows of a table would be counted anew for each of them.
 */
function findPath(value: string, all: FindAll): PageElement[] | undefined {
  const steps = value.split(" > ").map(readStep);
  let found: PageElement[] | undefined;
  for (const step of steps) {
    if (step === undefined) return undefined;
    found =
      found === undefined ? all((element) => isAt(step, element)) : found.flatMap((parent) => childrenAt(step, parent));
  }
  return found;
}

interface PathStep {
  readonly id: string | undefined;
  readonly tag: string | undefined;
  readonly position: number | undefined;
}

function readStep(step: string): PathStep | undefined {
  const parts = /^(?:#([a-z][\w-]*)|([a-z][\w-]*)(?::nth-of-type\((\d+)\))?)$/i.exec(step);
  if (parts === null) return undefined;
  const [, id, tag, position] = parts;
  return { id, tag: tag?.toLowerCase(), position: position === undefined ? undefined : Number(position) };
}

function childrenAt(step: PathStep, parent: PageElement): PageElement[] {
  const named = parent.children.filter(
    (child): child is PageElement => child instanceof PageElement && isNamed(step, child),
  );
  return step.position === undefined ? named : named.slice(step.position - 1, step.position);
}

function isNamed({ id, tag }: PathStep, element: PageElement): boolean {
  return tag === undefined ? element.attribs.id === id : element.name === tag;
}

function isAt(step: PathStep, element: PageElement): boolean {
  if (!isNamed(step, element) || step.position === undefined) return isNamed(step, element);
  const siblings = element.parent?.children ?? [];
  return (
    siblings.filter((other) => other instanceof PageElement && other.name === element.name).indexOf(element) ===
    step.position - 1
  );
}

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
  return all((element) => ownRole(element) === role && (name === undefined || accessibleOf(element).name === name));
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
