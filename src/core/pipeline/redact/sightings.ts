import type { Box, PageElement, Point, SessionEvent, Size } from "../recorded.ts";
import { type Field, type Fields, fieldOfElement, heldBy, pageOf } from "./fields.ts";
import type { TextRedactor } from "./text-redactor.ts";
import type { PersonalValue } from "./vault.ts";

/** What could be seen of a page at one moment, as far as an event tells. */
export interface PageState {
  /** The event's place in the session. */
  readonly at: number;
  /** Without its fragment, which moves nothing but the scroll offset. */
  readonly url: string;
  readonly scroll: Point;
  readonly viewport: Size | undefined;
  readonly devicePixelRatio: number | undefined;
}

/** An element that showed something personal, and where. */
export interface Sighting {
  readonly state: PageState;
  readonly box: Box;
  /** The same for the same element of the page. */
  readonly element: string;
  readonly values: ReadonlySet<PersonalValue>;
}

/** A value that a page showed, nobody knows where. */
export interface Unlocated {
  readonly url: string;
  readonly value: PersonalValue;
  /** The first event of those whose screenshots may show it. */
  readonly from: number;
  /** Whether it stands there beside all places that are known: the collector lists what a page shows, and no boxes. */
  readonly elsewhere: boolean;
}

/** The elements in view that an event told of, and whether each showed something personal. */
export interface Listing {
  readonly state: PageState;
  readonly elements: ReadonlyMap<string, boolean>;
}

export interface Sightings {
  readonly located: readonly Sighting[];
  readonly listings: readonly Listing[];
  readonly unlocated: readonly Unlocated[];
}

export function stateOf({ page }: SessionEvent, at: number): PageState {
  return {
    at,
    url: page?.url.split("#", 1)[0] ?? "",
    scroll: page?.scroll ?? { x: 0, y: 0 },
    viewport: page?.viewport,
    devicePixelRatio: page?.devicePixelRatio,
  };
}

/** What of every page of a session showed a value of a person, or a personal field with something in it. */
export function sightingsOf(events: readonly SessionEvent[], fields: Fields, texts: TextRedactor): Sightings {
  const located: Sighting[] = [];
  const listings: Listing[] = [];
  const unlocated: Unlocated[] = [];
  let visit = 0;
  let last: PageState | undefined;
  for (const [at, event] of events.entries()) {
    const state = stateOf(event, at);
    if (state.url !== last?.url) visit = at;
    last = state;
    const others = elementsOf(event, fields, texts);
    if (others.length > 0) {
      const personal = new Set(others.filter(isPersonal).map((each) => each.element));
      listings.push({ state, elements: new Map(others.map(({ element }) => [element, personal.has(element)])) });
    }
    const isBlind = others.every(({ box }) => box === undefined);
    const target = targetOf(event, fields, texts);
    const shown = [target, ...others].filter((each) => each !== undefined);
    for (const each of shown) {
      const values = new Set(each.values);
      if (each.box === undefined) {
        // What is typed can be seen from then on, what stands in a page from when it was come to.
        const elsewhere = isBlind && each !== target;
        for (const value of values) {
          unlocated.push({ url: state.url, value, from: each.typed ? at : visit, elsewhere });
        }
      } else if (isPersonal(each) && !isInsideOut(each, each.box, shown)) {
        located.push({ state, box: each.box, element: each.element, values });
      }
    }
    for (const value of ancestorsShow(event, texts)) {
      unlocated.push({ url: state.url, value, from: visit, elsewhere: false });
    }
  }
  return { located, listings, unlocated };
}

interface Shown {
  readonly box: Box | undefined;
  readonly element: string;
  /** As often as they stand there. */
  readonly values: readonly PersonalValue[];
  /** A personal field whose value is masked: how long it is can still be seen. */
  readonly hidden: boolean;
  readonly typed: boolean;
}

function isPersonal({ values, hidden }: Shown): boolean {
  return values.length > 0 || hidden;
}

function targetOf(event: SessionEvent, fields: Fields, texts: TextRedactor): Shown | undefined {
  const { target, input, before, after } = event;
  const field = fields.of(event);
  const held = [before?.value, input?.value, after?.value].filter(isText);
  const seen = [target?.name, target?.text, before?.text, after?.text, attribute(target?.attributes, "placeholder")];
  const inText = seen.filter(isText).map((text) => texts.redact(text).values);
  return {
    box: target?.box,
    element: field?.ids[0] ?? `${target?.role} ${target?.name}`,
    values: [...mostOf(inText), ...held.flatMap((value) => valuesIn(value, field, fields, texts))],
    hidden: field?.kind !== undefined && held.length > 0,
    typed: held.length > 0,
  };
}

function elementsOf(event: SessionEvent, fields: Fields, texts: TextRedactor): Shown[] {
  return (event.elements ?? []).map((element) => {
    const field = fieldOfElement(element, pageOf(event));
    const held = field === undefined ? [element.value].filter(isText) : heldBy(element, field);
    const seen = [element.name, element.text, attribute(element.attributes, "placeholder")];
    const inText = seen.filter(isText).map((text) => texts.redact(text).values);
    return {
      box: element.box,
      element: field?.ids[0] ?? nameOf(element),
      values: [...mostOf(inText), ...held.flatMap((value) => valuesIn(value, field, fields, texts))],
      hidden: field?.kind !== undefined && held.length > 0,
      typed: false,
    };
  });
}

function nameOf({ tag, role, name, text }: PageElement): string {
  return `${tag} ${role} ${name} ${text}`;
}

function valuesIn(
  value: string,
  field: Field | undefined,
  fields: Fields,
  texts: TextRedactor,
): readonly PersonalValue[] {
  const known = field === undefined ? undefined : fields.valueOf(field, value);
  return known === undefined ? texts.redact(value).values : [known];
}

/** An element's name is mostly its text over again: what both hold is there once. */
function mostOf(lists: readonly (readonly PersonalValue[])[]): readonly PersonalValue[] {
  const [first = [], ...others] = lists.toSorted((a, b) => b.length - a.length);
  return [...first, ...others.flat().filter((value) => !first.includes(value))];
}

/** Names of containers may be what they show: `Orders of Jane Doe`. */
function ancestorsShow({ target }: SessionEvent, texts: TextRedactor): readonly PersonalValue[] {
  return (target?.ancestors ?? []).flatMap(({ name }) => (name === undefined ? [] : texts.redact(name).values));
}

/** Whether smaller elements inside it show all that it shows, so that no more than these need be painted over. */
function isInsideOut(outer: Shown, box: Box, shown: readonly Shown[]): boolean {
  if (outer.values.length === 0) return false;
  const inner = shown.filter((each) => each.box !== undefined && isInside(each.box, box));
  const count = (values: readonly PersonalValue[], wanted: PersonalValue) =>
    values.filter((value) => value === wanted).length;
  return outer.values.every(
    (value) => inner.reduce((sum, each) => sum + count(each.values, value), 0) >= count(outer.values, value),
  );
}

function isInside(inner: Box, outer: Box): boolean {
  return (
    inner.x >= outer.x &&
    inner.y >= outer.y &&
    inner.x + inner.width <= outer.x + outer.width &&
    inner.y + inner.height <= outer.y + outer.height &&
    inner.width * inner.height < outer.width * outer.height
  );
}

function attribute(
  attributes: readonly { name: string; value: string }[] | undefined,
  wanted: string,
): string | undefined {
  return attributes?.find(({ name }) => name.toLowerCase() === wanted)?.value;
}

function isText(value: string | undefined): value is string {
  return value !== undefined && value !== "";
}
