import { SelectorKind } from "../../../wire/gen/sluice/v1/event_pb.ts";
import { LONGEST_NAME } from "../../accessible.ts";
import { accessibleOf, controlOf } from "./describe.ts";
import { ancestorsOf, PageElement, rootOf, textOf } from "./page.ts";

/** A selector as it is written in an event, not yet looked for. */
export interface Written {
  readonly kind: SelectorKind;
  readonly value: string;
}

/** Ways to find an element again that follow from its page, best first. */
export function selectorsFor(element: PageElement): Written[] {
  const { attribs } = element;
  const { role, name } = accessibleOf(controlOf(element) ?? element);
  const text = textOf(element, LONGEST_NAME + 1);
  const written = [
    ...TEST_IDS.map((attribute) => ({ kind: SelectorKind.TEST_ID, value: attribs[attribute] })),
    { kind: SelectorKind.ID, value: attribs.id },
    { kind: SelectorKind.ROLE, value: role && name ? `${role}[name=${JSON.stringify(name)}]` : undefined },
    { kind: SelectorKind.ARIA, value: attribs["aria-label"] },
    { kind: SelectorKind.TEXT, value: text.length <= LONGEST_NAME && !isPage(element) ? text : undefined },
    { kind: SelectorKind.CSS, value: plainCss(element) },
    { kind: SelectorKind.CSS, value: cssPath(element) },
    { kind: SelectorKind.XPATH, value: xpathOf(element) },
  ];
  const unique = new Map<string, Written>();
  for (const { kind, value = "" } of written) {
    // A long one is content; a repeated one says nothing.
    if (value.trim() === "" || value.length > MAX_SELECTOR) continue;
    const key = `${kind} ${value}`;
    if (!unique.has(key)) unique.set(key, { kind, value: value.toWellFormed() });
  }
  return [...unique.values()];
}

/** Where test ids stand, as the reduce stage looks for them too. */
export const TEST_IDS = ["data-testid", "data-test-id", "data-test", "data-cy", "data-qa"] as const;

function isPage({ name }: PageElement): boolean {
  return name === "html" || name === "body";
}

/** By what stands on the element itself: its name, or its classes. */
function plainCss({ name, attribs }: PageElement): string | undefined {
  if (!PLAIN.test(name)) return undefined;
  const field = attribs.name ?? "";
  if (field !== "") return `${name}[name=${quoted(field)}]`;
  const classes = (attribs.class ?? "").split(/\s+/).filter((each) => PLAIN.test(each));
  return classes.length === 0 ? undefined : `${name}.${classes.join(".")}`;
}

/** From the nearest id, or the top of its tree, down by position. */
function cssPath(element: PageElement): string | undefined {
  const steps: string[] = [];
  for (const node of lineage(element)) {
    const { name, attribs } = node;
    if (!PLAIN.test(name)) return undefined;
    if (attribs.id) {
      steps.unshift(PLAIN.test(attribs.id) ? `#${attribs.id}` : `[id=${quoted(attribs.id)}]`);
      break;
    }
    steps.unshift(isPage(node) ? name : `${name}${positionOf(node, ":nth-of-type(", ")")}`);
  }
  return steps.join(" > ");
}

/** From the top of the document down. Shadow roots and drawings are out of its reach. */
function xpathOf(element: PageElement): string | undefined {
  if (rootOf(element)?.host !== undefined) return undefined;
  const steps: string[] = [];
  for (const node of lineage(element)) {
    if (node.name === "svg" || !PLAIN.test(node.name)) return undefined;
    steps.unshift(`/${node.name}${positionOf(node, "[", "]")}`);
  }
  return steps.join("");
}

/** The element and those around it in the same tree. */
function* lineage(element: PageElement): Iterable<PageElement> {
  yield element;
  const root = rootOf(element);
  for (const ancestor of ancestorsOf(element)) {
    if (ancestor === root?.host) return;
    yield ancestor;
  }
}

/** Which of its siblings of the same tag it is, from 1; nothing where it is the only one. */
function positionOf(element: PageElement, before: string, after: string): string {
  const siblings = element.parent?.children ?? [];
  const alike = siblings.filter((other) => other instanceof PageElement && other.name === element.name);
  return alike.length < 2 ? "" : `${before}${alike.indexOf(element) + 1}${after}`;
}

function quoted(value: string): string {
  return `"${value.replace(/["\\]/g, "\\$&").replace(/\n/g, "\\a ")}"`;
}

/** Needs no escape in any of the languages. */
const PLAIN = /^[a-zA-Z][\w-]*$/;
const MAX_SELECTOR = 1000;
