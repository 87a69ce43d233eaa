import { create } from "@bufbuild/protobuf";
import { type Event, EventSchema } from "../../wire/gen/sluice/v1/event_pb.ts";
import { neighboursOf } from "./codesight-neighbours.ts";
import { targetOf } from "./codesight-target.ts";
import { at, isObject, type JsonObject, number, text } from "./lenient.ts";

/** The groups every interaction of CodeSight has, empty ones among them. */
export const GROUPS = ["selectors", "visual", "element", "context", "state", "interaction"] as const;

export function isInteraction(record: JsonObject): boolean {
  return GROUPS.every((group) => Object.hasOwn(record, group));
}

/**
 * What an interaction says that has a field of its own, but for its id, type and time. What it does
 * not say, or says in another form than CodeSight's, is absent.
 */
export function interactionFields(record: JsonObject): Event {
  return create(EventSchema, {
    page: pageOf(record),
    target: targetOf(record),
    input: inputOf(record),
    pointer: pointerOf(record),
    key: modifiersOf(record),
    before: beforeOf(record),
    after: afterOf(record),
    elements: neighboursOf(record),
  });
}

function pageOf(record: JsonObject) {
  const url = text(at(record, "context", "url"), at(record, "metadata", "pageUrl"));
  const title = text(at(record, "context", "pageTitle"), at(record, "metadata", "pageTitle"));
  const viewport = [at(record, "visual", "viewport"), at(record, "metadata", "viewport")].find(isObject);
  if (url === "" && title === "" && viewport === undefined) return undefined;
  return {
    url,
    title,
    viewportWidth: number(viewport?.width) ?? 0,
    viewportHeight: number(viewport?.height) ?? 0,
    devicePixelRatio: number(viewport?.devicePixelRatio) ?? 0,
    scrollX: number(viewport?.scrollX) ?? 0,
    scrollY: number(viewport?.scrollY) ?? 0,
  };
}

/** Only with what was put into a field; what one held at a click is its state. */
function inputOf({ type, element }: JsonObject) {
  const value = at(element, "value");
  if (type !== "INPUT" || typeof value !== "string") return undefined;
  return { value: text(value), masked: value === MASK, kind: text(at(element, "attributes", "type")) };
}

const MASK = "[PROTECTED]";

function pointerOf(record: JsonObject) {
  const x = number(at(record, "visual", "coordinates", "clientX"));
  const y = number(at(record, "visual", "coordinates", "clientY"));
  return x === undefined || y === undefined ? undefined : { x, y };
}

/** CodeSight records which modifiers were held, and never which key was pressed. */
function modifiersOf(record: JsonObject) {
  const held = (key: string) => at(record, "interaction", "modifiers", key) === true;
  const key = { alt: held("altKey"), ctrl: held("ctrlKey"), meta: held("metaKey"), shift: held("shiftKey") };
  return Object.values(key).includes(true) ? key : undefined;
}

/** The page's state, with what the record's other groups say of the target at that moment. */
function beforeOf(record: JsonObject) {
  const { element, selectors, elementDetails: details } = record;
  const url = text(at(record, "state", "before", "url"));
  const value = text(at(element, "value"));
  if (url === "" && value === "") return undefined;
  const attribute = (name: string) => at(element, "attributes", name);
  const active = text(at(record, "state", "before", "activeElement", "selector"));
  return {
    url,
    value,
    checked: attribute("aria-checked") === "true",
    expanded: attribute("aria-expanded") === "true",
    selected: attribute("aria-selected") === "true",
    disabled: attribute("disabled") !== undefined || attribute("aria-disabled") === "true",
    focused: active !== "" && active === at(selectors, "primary"),
    visible:
      at(details, "computedStyle", "visibility") === "visible" && at(details, "computedStyle", "display") !== "none",
  };
}

function afterOf(record: JsonObject) {
  const url = text(at(record, "state", "after", "url"));
  return url === "" ? undefined : { url };
}
