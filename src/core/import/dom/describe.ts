import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TargetSchema } from "../../../wire/gen/sluice/v1/event_pb.ts";
import { type Described, isControl, NEAR, nameOf, roleOf } from "../../accessible.ts";
import { ancestorsOf, elementsIn, type PageElement, rootOf, squeeze, textOf } from "./page.ts";

/** What a recorded page tells of an element: all of a target but its selectors and its box. */
export function describeElement(element: PageElement): Omit<MessageInitShape<typeof TargetSchema>, "$typeName"> {
  const { role = "", name = "" } = accessibleOf(element);
  return {
    role,
    name,
    text: textOf(element, MAX_TEXT),
    tag: element.name,
    attributes: attributesOf(element).filter((attribute) => attribute.value.length <= MAX_ATTRIBUTE),
    ancestors: [...ancestorsOf(element)].slice(0, MAX_ANCESTORS).map(describeAncestor),
  };
}

/** Its own role, without regard to what it is inside of. */
export function ownRole({ name: tag, attribs }: PageElement): string | undefined {
  // Few elements have one: this is asked of every element of a page.
  const { type } = attribs;
  return roleOf({ tag, role: writtenRole(attribs), attributes: type ? [{ name: "type", value: type }] : [] });
}

/** The control that it stands for to who acts on it: itself, or the one that it is inside of. */
export function controlOf(element: PageElement): PageElement | undefined {
  if (isControl(ownRole(element))) return element;
  let level = 0;
  for (const ancestor of ancestorsOf(element)) {
    if (isControl(ownRole(ancestor))) return ancestor;
    level += 1;
    if (level === NEAR) break;
  }
  return undefined;
}

/** Its own role and accessible name, where they follow: the main rules of accname. */
export function accessibleOf(element: PageElement): { readonly role?: string; readonly name?: string } {
  const role = ownRole(element);
  const name = labelled(element) ?? nameOf({ ...plainly(element), text: textOf(element, MAX_NAME + 1) }, role);
  return { ...(role !== undefined && { role }), ...(name !== undefined && { name: squeeze(name).trim() }) };
}

function labelled(element: PageElement): string | undefined {
  const { attribs } = element;
  const ids = (attribs["aria-labelledby"] ?? "").split(/\s+/).filter((id) => id !== "");
  const spoken = ids.map((id) => shortTextOf(byId(element, id))).filter((text) => text !== "");
  if (spoken.length > 0) return spoken.join(" ");
  if ((attribs["aria-label"] ?? "").trim() !== "") return attribs["aria-label"];
  if (element.name === "input" && BUTTONS.has(attribs.type ?? "") && attribs.value) return attribs.value;
  return LABELLED.has(element.name) ? labelOf(element) : undefined;
}

const LABELLED: ReadonlySet<string> = new Set(["input", "select", "textarea", "meter", "output", "progress"]);
const BUTTONS: ReadonlySet<string> = new Set(["button", "reset", "submit"]);

/** The text of the label around it, or else of the one that names it. */
function labelOf(element: PageElement): string | undefined {
  let around: PageElement | undefined;
  for (const ancestor of ancestorsOf(element)) {
    if (ancestor.name !== "label") continue;
    around = ancestor;
    break;
  }
  const text = shortTextOf(around ?? labelFor(element));
  return text === "" ? undefined : text;
}

function labelFor(element: PageElement): PageElement | undefined {
  const { id = "" } = element.attribs;
  return id === "" ? undefined : find(element, (other) => other.name === "label" && other.attribs.for === id);
}

function byId(element: PageElement, id: string): PageElement | undefined {
  return find(element, (other) => other.attribs.id === id);
}

/** In the same tree: ids don't reach through shadow roots. */
function find(from: PageElement, matches: (other: PageElement) => boolean): PageElement | undefined {
  const root = rootOf(from);
  if (root === undefined) return undefined;
  for (const other of elementsIn(root)) if (matches(other) && rootOf(other) === root) return other;
  return undefined;
}

function shortTextOf(element: PageElement | undefined): string {
  if (element === undefined) return "";
  const text = textOf(element, MAX_NAME + 1);
  return text.length > MAX_NAME ? "" : text;
}

function describeAncestor(element: PageElement) {
  // Only a control's name is asked for; the name of what is around more would be its content.
  const { role = "", name = "" } = isControl(ownRole(element)) ? accessibleOf(element) : plainly(element);
  const attributes = attributesOf(element).filter((attribute) => IDENTITY.test(attribute.name));
  return { tag: element.name, role, name, attributes: attributes.filter(({ value }) => value.length <= MAX_ATTRIBUTE) };
}

/** The element with the role that is written on it. */
function plainly(element: PageElement): Described {
  return { tag: element.name, role: writtenRole(element.attribs), attributes: attributesOf(element) };
}

/** The first that is written on it. */
function writtenRole({ role = "" }: PageElement["attribs"]): string {
  return role === "" ? "" : (role.trim().split(/\s+/)[0]?.toLowerCase() ?? "");
}

function attributesOf({ attribs }: PageElement): { readonly name: string; readonly value: string }[] {
  return Object.entries(attribs).map(([name, value]) => ({ name: name.toWellFormed(), value: value.toWellFormed() }));
}

/** What tells an ancestor from another. */
const IDENTITY = /^(id|class|name|role|href|for|aria-label|title|data-(testid|test-id|test|cy|qa))$/;
/** Characters. What is longer is content: a name or an attribute is left out, a text cut off. */
const MAX_NAME = 120;
const MAX_ATTRIBUTE = 1000;
const MAX_TEXT = 500;
const MAX_ANCESTORS = 12;
