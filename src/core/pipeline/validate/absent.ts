import type { Ancestor, ElementState, Key, Page, PageElement, SessionEvent, Target } from "../recorded.ts";

/**
 * The event without what says nothing: empty texts, sizes of 0, parts in which nothing was set.
 * proto3 can't tell what was not set from what is empty, so what is empty is absent. An input and a
 * pointer stay: a field can be emptied, and 0, 0 is a place.
 */
export function withoutEmpty(event: SessionEvent): SessionEvent {
  const { customType, page, target, key, before, after, elements, ...rest } = event;
  return {
    ...rest,
    ...text("customType", customType),
    ...given("page", page && sayingPage(page)),
    ...given("target", target && sayingTarget(target)),
    ...given("key", key && sayingKey(key)),
    ...given("before", before && sayingState(before)),
    ...given("after", after && sayingState(after)),
    ...given("elements", elements?.length === 0 ? undefined : elements?.map(sayingElement)),
  };
}

function sayingPage({ viewport, devicePixelRatio, ...page }: Page): Page | undefined {
  const sized = viewport !== undefined && (viewport.width !== 0 || viewport.height !== 0);
  const scaled = devicePixelRatio !== undefined && devicePixelRatio !== 0;
  const scrolled = page.scroll.x !== 0 || page.scroll.y !== 0;
  if (page.url === "" && page.title === "" && !sized && !scaled && !scrolled) return undefined;
  return { ...page, ...(sized && { viewport }), ...(scaled && { devicePixelRatio }) };
}

function sayingTarget({ selectors, attributes, ancestors, box, ...texts }: Target): Target | undefined {
  const described = {
    ...text("role", texts.role),
    ...text("name", texts.name),
    ...text("text", texts.text),
    ...text("tag", texts.tag),
    ...given("box", box),
  };
  const parts = Object.keys(described).length + selectors.length + attributes.length + ancestors.length;
  return parts === 0 ? undefined : { ...described, selectors, attributes, ancestors: ancestors.map(sayingAncestor) };
}

function sayingAncestor({ tag, role, name, attributes }: Ancestor): Ancestor {
  return { tag, ...text("role", role), ...text("name", name), attributes };
}

function sayingElement({ tag, role, name, text: shown, value, attributes, box }: PageElement): PageElement {
  return {
    ...text("tag", tag),
    ...text("role", role),
    ...text("name", name),
    ...text("text", shown),
    ...text("value", value),
    attributes,
    ...given("box", box),
  };
}

function sayingKey(key: Key): Key | undefined {
  const { alt, ctrl, meta, shift } = key;
  return key.key === "" && key.code === "" && !alt && !ctrl && !meta && !shift ? undefined : key;
}

function sayingState({ url, value, text: shown, ...flags }: ElementState): ElementState | undefined {
  const texts = { ...text("url", url), ...text("value", value), ...text("text", shown) };
  return Object.keys(texts).length === 0 && !Object.values(flags).includes(true) ? undefined : { ...texts, ...flags };
}

/** `{ name: value }`, or nothing. */
function given<Name extends string, T>(name: Name, value: T | undefined): { [N in Name]?: T } {
  const found: { [N in Name]?: T } = {};
  if (value !== undefined) found[name] = value;
  return found;
}

function text<Name extends string>(name: Name, value: string | undefined): { [N in Name]?: string } {
  return given(name, value === "" ? undefined : value);
}
