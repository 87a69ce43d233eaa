import type {
  Ancestor,
  Attribute,
  ElementState,
  Input,
  Key,
  Page,
  PageElement,
  SessionEvent,
  SessionFacts,
  Target,
} from "../recorded.ts";
import { type Field, type Fields, fieldOfElement, isHeld, pageOf, VALUE_ATTRIBUTES } from "./fields.ts";
import type { Tell } from "./places.ts";
import { isMask, MASK, type Redacted } from "./text-redactor.ts";

/**
 * Takes the values out of every text of a session. What names the event in its store (stream, seq,
 * the session's id), numbers and words of closed sets stay; whatever else is a text goes through.
 */
export class SessionRedactor {
  readonly #redact: (text: string) => Redacted;
  readonly #fields: Fields;
  readonly #unspoken: ReadonlySet<SessionEvent>;
  readonly #tell: Tell;

  /** `unspoken` are the key presses that spell a value. */
  constructor(redact: (text: string) => Redacted, fields: Fields, unspoken: ReadonlySet<SessionEvent>, tell: Tell) {
    this.#redact = redact;
    this.#fields = fields;
    this.#unspoken = unspoken;
    this.#tell = tell;
  }

  session(facts: SessionFacts): SessionFacts {
    const { id, task, startUrl, userAgent, collector, labels } = facts;
    return {
      id,
      task: this.#text("session.task", task),
      startUrl: this.#text("session.startUrl", startUrl),
      userAgent: this.#text("session.userAgent", userAgent),
      collector: this.#text("session.collector", collector),
      labels: this.#attributes("session.labels", labels, undefined),
    };
  }

  event(event: SessionEvent): SessionEvent {
    const { ref, timeMs, type, customType, page, target, input, pointer, key, before, after, screenshots, elements } =
      event;
    const field = this.#fields.of(event);
    return {
      ref,
      timeMs,
      type,
      ...(customType !== undefined && { customType: this.#text("customType", customType) }),
      ...(page && { page: this.#page(page) }),
      ...(target && { target: this.#target(target, field) }),
      ...(input && { input: this.#input(input, field) }),
      ...(pointer && { pointer }),
      ...(key && { key: this.#unspoken.has(event) ? unsaid(key) : key }),
      ...(before && { before: this.#state("before", before, field, input) }),
      ...(after && { after: this.#state("after", after, field, input) }),
      screenshots,
      ...(elements && { elements: elements.map((element) => this.#element(element, pageOf(event))) }),
    };
  }

  #page({ url, title, ...numbers }: Page): Page {
    return { ...numbers, url: this.#text("page.url", url), title: this.#text("page.title", title) };
  }

  #target(target: Target, field: Field | undefined): Target {
    const { selectors, role, name, text, tag, attributes, box, ancestors } = target;
    return {
      selectors: selectors.map(({ kind, value, reliability, grounding }) => ({
        kind,
        value: this.#text("target.selectors", value),
        reliability,
        // Of the selector as it was recorded.
        ...(grounding && { grounding }),
      })),
      ...(role !== undefined && { role: this.#text("target.role", role) }),
      ...(name !== undefined && { name: this.#text("target.name", name) }),
      ...(text !== undefined && { text: this.#shown("target.text", text, field) }),
      ...(tag !== undefined && { tag: this.#text("target.tag", tag) }),
      attributes: this.#attributes("target.attributes", attributes, field),
      ...(box && { box }),
      ancestors: ancestors.map((ancestor) => this.#ancestor(ancestor)),
    };
  }

  #ancestor({ tag, role, name, attributes }: Ancestor): Ancestor {
    return {
      tag: this.#text("target.ancestors.tag", tag),
      ...(role !== undefined && { role: this.#text("target.ancestors.role", role) }),
      ...(name !== undefined && { name: this.#text("target.ancestors.name", name) }),
      attributes: this.#attributes("target.ancestors.attributes", attributes, undefined),
    };
  }

  #element(element: PageElement, page: string): PageElement {
    const { tag, role, name, text, value, attributes, box } = element;
    const field = fieldOfElement(element, page);
    return {
      ...(tag !== undefined && { tag: this.#text("elements.tag", tag) }),
      ...(role !== undefined && { role: this.#text("elements.role", role) }),
      ...(name !== undefined && { name: this.#text("elements.name", name) }),
      ...(text !== undefined && { text: this.#shown("elements.text", text, field) }),
      ...(value !== undefined && { value: this.#held("elements.value", value, field) }),
      attributes: this.#attributes("elements.attributes", attributes, field),
      ...(box && { box }),
    };
  }

  #input({ value, masked, kind }: Input, field: Field | undefined): Input {
    const shown = masked && value !== "" ? MASK : this.#held("input.value", value, field);
    return { value: shown, masked: masked || shown === MASK, kind: this.#text("input.kind", kind) };
  }

  #state(place: string, state: ElementState, field: Field | undefined, input: Input | undefined): ElementState {
    const { url, value, text, ...flags } = state;
    const masked = input?.masked === true && value === input.value && value !== "";
    return {
      ...flags,
      ...(url !== undefined && { url: this.#text(`${place}.url`, url) }),
      ...(value !== undefined && { value: masked ? MASK : this.#held(`${place}.value`, value, field) }),
      ...(text !== undefined && { text: this.#shown(`${place}.text`, text, field) }),
    };
  }

  #attributes(place: string, attributes: readonly Attribute[], field: Field | undefined): Attribute[] {
    return attributes.map(({ name, value }) => ({
      name: this.#text(place, name),
      value: VALUE_ATTRIBUTES.has(name.toLowerCase()) ? this.#held(place, value, field) : this.#text(place, value),
    }));
  }

  /** The text of an element, which is what the field holds where people type into the page itself. */
  #shown(place: string, text: string, field: Field | undefined): string {
    return isHeld(text, field) ? this.#held(place, text, field) : this.#text(place, text);
  }

  /** What a field holds: all of it goes where the field is there for personal values. */
  #held(place: string, value: string, field: Field | undefined): string {
    if (isMask(value)) return MASK;
    const known = field === undefined ? undefined : this.#fields.valueOf(field, value);
    if (known === undefined) return this.#text(place, value);
    this.#tell(place, [known]);
    return known.placeholder;
  }

  #text(place: string, text: string): string {
    const redacted = this.#redact(text);
    if (redacted.values.length > 0) this.#tell(place, redacted.values);
    return redacted.text;
  }
}

/** The DOM's own word for a key that nobody can tell. */
function unsaid({ alt, ctrl, meta, shift }: Key): Key {
  return { key: "Unidentified", code: "", alt, ctrl, meta, shift };
}
