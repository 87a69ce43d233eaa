/** What is known of an element that was acted on. */
export interface Acted extends Described {
  /** From the parent outwards. */
  readonly ancestors: readonly Described[];
}

export interface Described {
  readonly tag?: string;
  readonly role?: string;
  readonly name?: string;
  readonly text?: string;
  readonly attributes: readonly { readonly name: string; readonly value: string }[];
}

interface Description {
  readonly role?: string;
  readonly name?: string;
}

/**
 * Role and accessible name of what was acted on: what the collector told, else what follows from tag,
 * type, label and text, as accname has it. Of an element inside a control they are the control's: the
 * drawing in a button is the button to who clicks it.
 */
export function accessible(target: Acted): Description {
  const role = roleOf(target);
  if (isControl(role)) return describe(role, nameOf(target, role));
  const control = target.ancestors.slice(0, NEAR).find((ancestor) => isControl(roleOf(ancestor)));
  if (control === undefined) return describe(role, nameOf(target, role));
  return describe(roleOf(control), nameOf(control, undefined) ?? nameOf(target, roleOf(control)));
}

/** A control farther out than this is around more than what was acted on. */
export const NEAR = 4;

/** Whether it is the role of what a person acts on: a button, a link, a field. */
export function isControl(role: string | undefined): boolean {
  return CONTROLS.has(role ?? "");
}

function describe(role: string | undefined, name: string | undefined): Description {
  return { ...(role !== undefined && { role }), ...(name !== undefined && { name }) };
}

/** The role told, or the one that the tag has in HTML. */
export function roleOf({ tag = "", role, attributes }: Described): string | undefined {
  if (role !== undefined && role !== "" && !MEANINGLESS.has(role)) return role;
  if (tag === "input") return INPUT_ROLES.get(labelOf(attributes, "type") ?? "") ?? "textbox";
  return TAG_ROLES.get(tag);
}

/** The name told, or the one that follows from the element itself. */
export function nameOf(element: Described, role: string | undefined): string | undefined {
  const { tag, attributes } = element;
  const name = element.name?.trim() ?? "";
  if (name !== "") return name;
  const label = labelOf(attributes, "aria-label");
  if (label !== undefined) return label;
  if (NAMED_BY_CONTENT.has(role ?? "") && tag !== "input") return shortText(element) ?? labelOf(attributes, "title");
  return ["alt", "placeholder", "title"].map((each) => labelOf(attributes, each)).find((each) => each !== undefined);
}

/** Longer texts are content, not what something is called. */
export const LONGEST_NAME = 60;

function shortText({ text }: Described): string | undefined {
  return text === undefined || text === "" || text.length > LONGEST_NAME ? undefined : text;
}

function labelOf(attributes: Described["attributes"], name: string): string | undefined {
  return attributes.find((attribute) => attribute.name === name && attribute.value !== "")?.value;
}

const MEANINGLESS = new Set(["presentation", "none", "generic"]);

const CONTROLS: ReadonlySet<string> = new Set([
  "button",
  "checkbox",
  "combobox",
  "link",
  "menuitem",
  "menuitemcheckbox",
  "menuitemradio",
  "option",
  "radio",
  "searchbox",
  "slider",
  "spinbutton",
  "switch",
  "tab",
  "textbox",
  "treeitem",
]);

const NAMED_BY_CONTENT: ReadonlySet<string> = new Set([
  "button",
  "checkbox",
  "link",
  "menuitem",
  "menuitemcheckbox",
  "menuitemradio",
  "option",
  "radio",
  "switch",
  "tab",
  "treeitem",
]);

const TAG_ROLES: ReadonlyMap<string, string> = new Map([
  ["a", "link"],
  ["button", "button"],
  ["summary", "button"],
  ["select", "combobox"],
  ["textarea", "textbox"],
  ["option", "option"],
  ["img", "img"],
]);

const INPUT_ROLES: ReadonlyMap<string, string> = new Map([
  ["checkbox", "checkbox"],
  ["radio", "radio"],
  ["range", "slider"],
  ["number", "spinbutton"],
  ["search", "searchbox"],
  ["button", "button"],
  ["submit", "button"],
  ["reset", "button"],
  ["image", "button"],
]);
