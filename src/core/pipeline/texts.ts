import type { SessionEvent } from "./recorded.ts";

/** What becomes of a text. `place` is the path of its field, without indices: target.attributes.value. */
export type ChangeText = (text: string, place: string) => string;

/**
 * The event with every text a collector gave passed through `change`: all strings but the ids of
 * screenshots and words of Sluice's own. The same object when nothing changes.
 */
export function mapTexts(event: SessionEvent, change: ChangeText): SessionEvent {
  return changed(event, {
    ...texts(event, EVENT, change),
    ...part("page", event.page, (page) => changed(page, texts(page, PAGE, change))),
    ...part("target", event.target, (target) =>
      changed(target, {
        ...texts(target, TARGET, change),
        ...part("selectors", target.selectors, (all) => each(all, (one) => changed(one, texts(one, SELECTOR, change)))),
        ...part("attributes", target.attributes, (all) =>
          each(all, (one) => changed(one, texts(one, TARGET_ATTRIBUTE, change))),
        ),
        ...part("ancestors", target.ancestors, (all) =>
          each(all, (one) =>
            changed(one, {
              ...texts(one, ANCESTOR, change),
              ...part("attributes", one.attributes, (inner) =>
                each(inner, (attribute) => changed(attribute, texts(attribute, ANCESTOR_ATTRIBUTE, change))),
              ),
            }),
          ),
        ),
      }),
    ),
    ...part("input", event.input, (input) => changed(input, texts(input, INPUT, change))),
    ...part("key", event.key, (key) => changed(key, texts(key, KEY, change))),
    ...part("before", event.before, (state) => changed(state, texts(state, BEFORE, change))),
    ...part("after", event.after, (state) => changed(state, texts(state, AFTER, change))),
    ...part("elements", event.elements, (all) =>
      each(all, (one) =>
        changed(one, {
          ...texts(one, ELEMENT, change),
          ...part("attributes", one.attributes, (inner) =>
            each(inner, (attribute) => changed(attribute, texts(attribute, ELEMENT_ATTRIBUTE, change))),
          ),
        }),
      ),
    ),
  });
}

type Places<K extends string> = readonly (readonly [key: K, place: string])[];

function places<K extends string>(path: string, keys: readonly K[]): Places<K> {
  return keys.map((key) => [key, path === "" ? key : `${path}.${key}`]);
}

const EVENT = places("", ["customType"]);
const PAGE = places("page", ["url", "title"]);
const TARGET = places("target", ["role", "name", "text", "tag"]);
const SELECTOR = places("target.selectors", ["value"]);
const TARGET_ATTRIBUTE = places("target.attributes", ["name", "value"]);
const ANCESTOR = places("target.ancestors", ["tag", "role", "name"]);
const ANCESTOR_ATTRIBUTE = places("target.ancestors.attributes", ["name", "value"]);
const INPUT = places("input", ["value", "kind"]);
const KEY = places("key", ["key", "code"]);
const BEFORE = places("before", ["url", "value", "text"]);
const AFTER = places("after", ["url", "value", "text"]);
const ELEMENT = places("elements", ["tag", "role", "name", "text", "value"]);
const ELEMENT_ATTRIBUTE = places("elements.attributes", ["name", "value"]);

/** Those of the texts that change. */
function texts<K extends string>(
  value: { readonly [P in K]?: string },
  fields: Places<K>,
  change: ChangeText,
): { [P in K]?: string } | undefined {
  let found: { [P in K]?: string } | undefined;
  for (const [key, place] of fields) {
    const before = value[key];
    if (before === undefined) continue;
    const after = change(before, place);
    if (after === before) continue;
    found ??= {};
    found[key] = after;
  }
  return found;
}

/** `{ name: … }` when the part is there and changes. */
function part<Name extends string, T>(
  name: Name,
  value: T | undefined,
  map: (value: T) => T,
): { [N in Name]?: T } | undefined {
  if (value === undefined) return undefined;
  const after = map(value);
  if (after === value) return undefined;
  const found: { [N in Name]?: T } = {};
  found[name] = after;
  return found;
}

function changed<T extends object>(value: T, changes: Partial<T> | undefined): T {
  if (changes === undefined) return value;
  for (const _ in changes) return { ...value, ...changes };
  return value;
}

function each<T>(list: readonly T[], map: (value: T) => T): readonly T[] {
  let found: T[] | undefined;
  for (const [index, value] of list.entries()) {
    const after = map(value);
    if (after === value) continue;
    found ??= [...list];
    found[index] = after;
  }
  return found ?? list;
}
