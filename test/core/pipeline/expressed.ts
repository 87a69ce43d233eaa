import type { Action, ActionTarget } from "../../../src/core/pipeline/outputs.ts";
import type { Attribute, Page, SelectorKind, SessionEvent, Target } from "../../../src/core/pipeline/recorded.ts";
import { REDUCE_PARAMS } from "../../../src/core/pipeline/reduce/params.ts";
import { key, pointAt, state, type Told } from "./acts.ts";

/** Actions as a collector would tell them that sees no more than they say. */
export function expressed(actions: readonly Action[]): SessionEvent[] {
  return actions
    .flatMap((action, index) => [...express(action, landingMs(action, actions[index + 1]))])
    .toSorted((a, b) => a.timeMs - b.timeMs)
    .map((event, index) => ({ screenshots: [], ...event, ref: { stream: "main", seq: index + 1 } }));
}

/**
 * When the page was there: before anything else was done, and no later after the action's beginning,
 * which is all that is told of it, than its effect may come.
 */
function landingMs({ kind, startMs, endMs }: Action, next: Action | undefined): number {
  const { navigationMs, slowNavigationMs } = REDUCE_PARAMS.parse({});
  const latest = startMs + (kind === "navigate" ? navigationMs : slowNavigationMs);
  return Math.max(startMs, Math.min(endMs, latest, (next?.startMs ?? endMs + 1) - 1));
}

function* express(action: Action, landedMs: number): Iterable<Told> {
  const { page } = action;
  const target = targetOf(action);
  const here = { ...(page && { page: pageOf(page) }), ...(target && { target }) };
  for (const told of acts(action)) yield { timeMs: action.startMs, ...here, ...told };
  if (action.navigatedTo === undefined || action.inferred?.includes("NAVIGATION_BY_PAGE")) return;
  const there = { page: pageOf({ url: action.navigatedTo, title: "" }) };
  if (action.kind === "type" || action.kind === "scroll") {
    yield { type: "navigation", timeMs: action.startMs, ...there };
    return;
  }
  // The page may take long to come: what was submitted may.
  if (action.kind !== "navigate") yield { type: "submit", timeMs: action.startMs, ...here };
  yield { type: "navigation", timeMs: landedMs, ...there };
}

function* acts(action: Action): Iterable<Partial<Told> & Pick<Told, "type">> {
  const { kind, point, startMs, value = "", masked = false } = action;
  const pointer = point && pointAt(point.x, point.y, { button: action.button ?? 0 });
  const at = (more: object) => (pointer === undefined ? {} : { pointer: { ...pointer, ...more } });
  switch (kind) {
    case "click":
    case "double_click":
    case "triple_click": {
      const role = action.element?.role ?? "";
      if (point === undefined && TOGGLES.has(role))
        return yield { type: "input", input: { value, masked, kind: role } };
      const clicks = action.clicks ?? CLICKS[kind];
      if (action.durationMs === undefined) {
        yield { type: "click", ...at({ clicks }) };
      } else {
        yield { type: "custom", customType: "pointerdown", ...at({}) };
        yield { type: "custom", customType: "pointerup", ...at({}), timeMs: startMs + action.durationMs };
      }
      return yield* slid(action);
    }
    case "type":
      if (action.inferred?.includes("VALUE_FROM_KEYS")) return yield* strokes(action);
      return yield { type: "input", ...(action.value !== undefined && { input: { value, masked, kind: "text" } }) };
    case "select":
      return yield { type: "input", input: { value, masked, kind: "select-one" } };
    case "scroll":
      return yield { type: "scroll", ...at(action.delta === undefined ? {} : { delta: action.delta }) };
    case "drag":
      yield { type: "drag", ...at(action.to === undefined ? {} : { to: action.to }) };
      return yield* slid(action);
    case "key":
    case "hotkey":
      return yield { type: "key", key: keyOf(value) };
    case "navigate":
      return yield { type: "navigation", page: pageOf({ url: value, title: "" }) };
    case "hover":
      return yield { type: "hover", ...at({}), before: state(), after: state({ expanded: true }) };
    case "wait":
      return yield { type: "custom", customType: "wait" };
    case "other":
      return yield action.name === "drop"
        ? { type: "drop", ...at({}) }
        : { type: "custom", customType: action.name ?? "" };
    default:
      return kind satisfies never;
  }
}

/** What a slider holds then. */
function* slid({ value, startMs, durationMs = 0 }: Action): Iterable<Partial<Told> & Pick<Told, "type">> {
  if (value === undefined) return;
  yield { type: "input", timeMs: startMs + durationMs, input: { value, masked: false, kind: "range" } };
}

const TOGGLES: ReadonlySet<string> = new Set(["checkbox", "radio"]);
const CLICKS = { click: 1, double_click: 2, triple_click: 3 } as const;

/** As fast as letters can be told without one being taken for the other's duplicate. */
function* strokes({ value = "", masked, startMs, events }: Action): Iterable<Partial<Told> & Pick<Told, "type">> {
  const { duplicateMs } = REDUCE_PARAMS.parse({});
  if (masked) return yield { type: "key", key: key("Unidentified") };
  // One letter of several keys: where nothing can be typed into, one key alone would be a shortcut.
  const letters = value.length < 2 && events.length > 1 ? [...value, "#", "Backspace"] : [...value];
  for (const [index, letter] of letters.entries()) {
    yield { type: "key", timeMs: startMs + index * (duplicateMs + 1), key: key(letter) };
  }
}

function keyOf(value: string): ReturnType<typeof key> {
  const held = { ctrl: false, alt: false, shift: false, meta: false };
  let name = value;
  for (const modifier of ["ctrl", "alt", "shift", "meta"] as const) {
    if (!name.startsWith(`${modifier}+`)) continue;
    held[modifier] = true;
    name = name.slice(modifier.length + 1);
  }
  return key(name, held);
}

function pageOf(page: Omit<Page, "scroll">): Page {
  return { ...page, scroll: { x: 0, y: 0 } };
}

function targetOf({ targets, element, box }: Action): Target | undefined {
  if (targets.length === 0 && element === undefined && box === undefined) return undefined;
  const derived = targets.filter((target) => target.reliability === undefined);
  return {
    selectors: targets.flatMap(({ kind, value, reliability }) =>
      reliability === undefined || kind === "box" ? [] : [{ kind: kind satisfies SelectorKind, value, reliability }],
    ),
    ...element,
    attributes: derived.flatMap(attributeOf),
    ...(box && { box }),
    ancestors: [],
  };
}

function attributeOf({ kind, value }: ActionTarget): Attribute[] {
  const name = ATTRIBUTES.get(kind);
  return name === undefined ? [] : [{ name, value }];
}

const ATTRIBUTES: ReadonlyMap<string, string> = new Map([
  ["test_id", "data-testid"],
  ["id", "id"],
  ["aria", "aria-label"],
]);
