import type { Attribute, PageElement, RedactionKind, SessionEvent, Target } from "../recorded.ts";
import { type FieldFacts, isLabel, kindOfField } from "./field.ts";
import { squeeze } from "./squeeze.ts";
import { isMask, type TextRedactor } from "./text-redactor.ts";
import type { PersonalValue } from "./vault.ts";

/** What is known of the field that an event happened to, or that stood on its page. */
export interface Field {
  readonly kind: RedactionKind | undefined;
  /** What is shown is chosen from a list, not typed. */
  readonly chosen: boolean;
  /** What stands in its text is what it holds: inputs have no other, and what is made editable neither. */
  readonly textIsValue: boolean;
  /** What the page calls it. Where nothing has been put in, that is what stands there. */
  readonly captions: readonly string[];
  /** Names it goes by on its page, so that it is known again from less. */
  readonly ids: readonly string[];
}

/** Attributes that hold what a field holds. */
export const VALUE_ATTRIBUTES: ReadonlySet<string> = new Set([
  "value",
  "aria-valuetext",
  "aria-valuenow",
  "data-value",
  "data-initial-value",
  "data-default-value",
]);

/**
 * The fields of a session and what was typed into them. What stands in a field that is there for
 * personal values is one, whatever it looks like; what was half typed belongs to the whole.
 */
export class Fields {
  readonly #kinds = new Map<string, RedactionKind>();
  /** Of each value of each field the one it grew to. */
  readonly #wholes = new Map<string, string>();
  readonly #values = new Map<string, PersonalValue>();

  constructor(events: readonly SessionEvent[]) {
    const histories = new Map<string, string[]>();
    for (const event of events) {
      const field = fieldOf(event);
      if (field !== undefined) this.#meet(field, valuesOf(event, field), histories);
      for (const element of event.elements ?? []) {
        const other = fieldOfElement(element, pageOf(event));
        if (other !== undefined) this.#meet(other, heldBy(element, other), histories);
      }
    }
    for (const [id, history] of histories) this.#grow(id, history);
  }

  /** Names the values of personal fields, in the order they appear. */
  keepValues(events: readonly SessionEvent[], texts: TextRedactor): void {
    for (const event of events) {
      const field = this.of(event);
      if (field?.kind !== undefined) {
        for (const value of valuesOf(event, field)) this.#keep(field, field.kind, value, texts);
      }
      for (const element of event.elements ?? []) {
        const other = fieldOfElement(element, pageOf(event));
        if (other?.kind !== undefined) {
          for (const value of heldBy(element, other)) this.#keep(other, other.kind, value, texts);
        }
      }
    }
  }

  /** Names what was half typed of values that showed by themselves what they are. */
  keepBeginnings(events: readonly SessionEvent[], texts: TextRedactor): void {
    for (const event of events) {
      const field = this.of(event);
      if (field === undefined || field.kind !== undefined) continue;
      for (const value of valuesOf(event, field)) {
        const whole = this.#whole(field, value);
        const kind = whole === value ? undefined : texts.wholly(whole);
        const kept = kind === undefined ? undefined : texts.keep(kind, whole);
        if (kept !== undefined) this.#values.set(keyOf(field, value), kept);
      }
    }
  }

  /** The field an event happened to, known from all events of the session. */
  of(event: SessionEvent): Field | undefined {
    const field = fieldOf(event);
    if (field === undefined || field.kind !== undefined) return field;
    const known = field.ids.map((id) => this.#kinds.get(id)).find((kind) => kind !== undefined);
    return known === undefined ? field : { ...field, kind: known };
  }

  /** What a field's value is called; undefined when it is nobody's. */
  valueOf(field: Field, value: string): PersonalValue | undefined {
    return this.#values.get(keyOf(field, value));
  }

  #keep(field: Field, kind: RedactionKind, value: string, texts: TextRedactor): void {
    const key = keyOf(field, value);
    if (this.#values.has(key) || isMask(value)) return;
    const whole = this.#whole(field, value);
    const shown = kind === "secret" ? undefined : texts.wholly(whole);
    const kept = texts.keep(shown ?? kind, whole, !field.chosen);
    if (kept !== undefined) this.#values.set(key, kept);
  }

  #meet(field: Field, values: readonly string[], histories: Map<string, string[]>): void {
    for (const id of field.ids) if (field.kind !== undefined && !this.#kinds.has(id)) this.#kinds.set(id, field.kind);
    const id = field.ids[0];
    if (id === undefined) return;
    const history = histories.get(id) ?? [];
    histories.set(id, history);
    for (const value of values) if (history.at(-1) !== value) history.push(value);
  }

  /** A value that was only ever a step on the way to a longer one is that one's beginning. */
  #grow(id: string, history: readonly string[]): void {
    let whole = "";
    for (const value of history.toReversed()) {
      if (!whole.startsWith(value)) whole = value;
      const key = `${id}\n${value}`;
      if (whole === value || !this.#wholes.has(key)) this.#wholes.set(key, whole);
    }
  }

  #whole(field: Field, value: string): string {
    return this.#wholes.get(keyOf(field, value)) ?? value;
  }
}

function keyOf(field: Field, value: string): string {
  return `${field.ids[0] ?? ""}\n${value}`;
}

/** The field an event itself tells of. */
function fieldOf(event: SessionEvent): Field | undefined {
  const { target, input } = event;
  if (target === undefined && input === undefined) return undefined;
  if (input === undefined && !isField(target?.tag, target?.role)) return undefined;
  const attributes = target?.attributes ?? [];
  const labels = [target?.name, target?.ancestors.find((each) => each.tag === "label")?.name].filter(isText);
  const facts = factsOf(attributes, input?.kind || attribute(attributes, "type"), labels);
  const kind = kindOfField(facts) ?? (input?.masked ? "secret" : undefined);
  const ids = target === undefined ? [] : idsOf(target, pageOf(event));
  return { ...formOf(target?.tag, target?.role, facts), kind, ids };
}

/** An element's own word for what it is. */
export function fieldOfElement(element: PageElement, page: string): Field | undefined {
  const { tag, role, name, value, attributes } = element;
  if (!isField(tag, role) && !value) return undefined;
  const facts = factsOf(attributes, attribute(attributes, "type"), [name].filter(isText));
  const ids = attributeIds(attributes).map((id) => `${page}\n${id}`);
  return { ...formOf(tag, role, facts), kind: kindOfField(facts), ids };
}

const FIELD_TAGS: ReadonlySet<string> = new Set(["input", "textarea", "select"]);
const FIELD_ROLES: ReadonlySet<string> = new Set(["textbox", "searchbox", "combobox", "spinbutton"]);

function isField(tag = "", role = ""): boolean {
  return FIELD_TAGS.has(tag) || FIELD_ROLES.has(role);
}

function formOf(tag: string | undefined, role: string | undefined, { type, names, labels }: FieldFacts) {
  const chosen = tag === "select" || type.startsWith("select");
  return { chosen, textIsValue: !chosen && isField(tag, role), captions: [...names, ...labels] };
}

function factsOf(attributes: readonly Attribute[], type: string, labels: readonly string[]): FieldFacts {
  const read = (...names: string[]) => names.map((name) => attribute(attributes, name)).filter(isText);
  return {
    autocomplete: attribute(attributes, "autocomplete"),
    type: type.toLowerCase(),
    names: read("name", "id", "data-testid", "formcontrolname", "ng-model", "data-field"),
    labels: [...labels, ...read("aria-label", "placeholder", "title")],
  };
}

function attribute(attributes: readonly Attribute[], wanted: string): string {
  return attributes.find(({ name }) => name.toLowerCase() === wanted)?.value ?? "";
}

function idsOf(target: Target, page: string): string[] {
  const selectors = target.selectors.filter(({ kind, value }) => kind !== "css" || /[#[]|:nth/.test(value));
  const ids = [...attributeIds(target.attributes), ...selectors.map(({ kind, value }) => `${kind} ${value}`)];
  return ids.map((id) => `${page}\n${id}`);
}

function attributeIds(attributes: readonly Attribute[]): string[] {
  return ["id", "name"].flatMap((name) => {
    const value = attribute(attributes, name);
    return value === "" ? [] : [`${name} ${value}`];
  });
}

/** A page however it was come to. */
export function pageOf(event: SessionEvent): string {
  return (event.page?.url ?? "").split(/[?#]/, 1)[0] ?? "";
}

/** What a field held before, what was put in, and what it held after; not what the collector put in its place. */
function valuesOf({ target, input, before, after }: SessionEvent, field: Field): string[] {
  const all = [before?.value, ...heldInAttributes(target?.attributes ?? []), input?.value, after?.value];
  const texts = [before?.text, target?.text, after?.text].filter((text) => isHeld(text, field));
  return [...all, ...texts].filter(isText).filter((value) => !(input?.masked && value === input.value));
}

/** What an element of the page holds. */
export function heldBy(element: PageElement, field: Field): string[] {
  const text = isHeld(element.text, field) ? element.text : undefined;
  return [element.value, ...heldInAttributes(element.attributes), text].filter(isText);
}

/** Whether a field's text is what it holds, not what says what to put in. */
export function isHeld(text: string | undefined, field: Field | undefined): boolean {
  if (text === undefined || field === undefined || !field.textIsValue) return false;
  const squeezed = squeeze(text);
  return !isLabel(text) && !field.captions.some((caption) => squeeze(caption) === squeezed);
}

function heldInAttributes(attributes: readonly Attribute[]): string[] {
  return attributes.filter(({ name }) => VALUE_ATTRIBUTES.has(name.toLowerCase())).map(({ value }) => value);
}

function isText(value: string | undefined): value is string {
  return value !== undefined && value !== "";
}
