import type { MessageInitShape } from "@bufbuild/protobuf";
import { type EventSchema, EventType } from "../../wire/gen/sluice/v1/event_pb.ts";
import { domKey } from "./desktop-keys.ts";
import { type PythonCall, type PythonValue, parseCalls } from "./python-calls.ts";

/** What one action says of an event; time and place in the stream are the importer's to add. */
export type Action = Pick<MessageInitShape<typeof EventSchema>, "type" | "customType" | "input" | "pointer" | "key"> & {
  /** Where it was aimed, exactly as the code says; undefined when the code does not say. */
  readonly aim: Point | undefined;
};

interface Point {
  readonly x: number;
  readonly y: number;
}

/** Pixels of the step's screenshot. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * The actions of one step's pyautogui code, in order. Only what the code says is told: coordinates
 * up to 1 are fractions of the screen and become pixels; where it gives no place, there is no
 * pointer. What has no type of its own is custom, named after the function; code that is more than
 * calls with literals is one custom event named "code".
 */
export function readActions(code: string, screen: Size): readonly Action[] {
  const calls = parseCalls(code);
  if (calls === undefined || calls.length === 0) return [custom("code")];
  const actions: Action[] = [];
  let at: Point | undefined;
  for (const call of calls) {
    actions.push(...actionsOf(call, at, screen));
    at = aimOf(call) ?? at;
  }
  return actions;
}

/** How many actions readActions gives; it does not depend on the screen. */
export function countActions(code: string): number {
  return readActions(code, { width: 1, height: 1 }).length;
}

function actionsOf(call: PythonCall, at: Point | undefined, screen: Size): readonly Action[] {
  const name = functionName(call);
  const aim = aimOf(call);
  const place = aim ?? at;
  const pixel = place && toPixels(place, screen);
  switch (name) {
    case "click":
    case "doubleClick":
    case "tripleClick":
    case "rightClick":
    case "middleClick": {
      const button = BUTTONS[name] ?? BUTTONS[String(argument(call, "button", name === "click" ? 4 : 3) ?? "left")];
      const clicks = CLICKS[name] ?? integer(argument(call, "clicks", 2) ?? 1);
      if (button === undefined || clicks === undefined) return [custom(name, aim)];
      return [{ type: EventType.CLICK, aim: place, ...(pixel && { pointer: { ...pixel, button, clicks } }) }];
    }
    case "moveTo":
      return pixel === undefined ? [custom(name)] : [{ type: EventType.HOVER, aim, pointer: pixel }];
    case "dragTo": {
      const button = BUTTONS[String(argument(call, "button", 4) ?? "left")];
      if (at === undefined || aim === undefined || button === undefined) return [custom(name, aim)];
      const to = toPixels(aim, screen);
      return [{ type: EventType.DRAG, aim: at, pointer: { ...toPixels(at, screen), button, toX: to.x, toY: to.y } }];
    }
    case "scroll":
    case "vscroll":
    case "hscroll": {
      const amount = argument(call, "clicks", 0);
      if (typeof amount !== "number") return [custom(name, aim)];
      // pyautogui scrolls up and right by positive numbers; the event's are down and right.
      const delta = name === "hscroll" ? { deltaX: amount } : { deltaY: 0 - amount };
      return [{ type: EventType.SCROLL, aim: place, pointer: { ...pixel, ...delta } }];
    }
    case "write":
    case "typewrite": {
      const text = argument(call, "message", 0);
      return typeof text === "string"
        ? [{ type: EventType.INPUT, aim: undefined, input: { value: text } }]
        : [custom(name)];
    }
    case "press": {
      const keys = keyList(argument(call, "keys", 0));
      const presses = integer(argument(call, "presses", 1) ?? 1);
      if (keys === undefined || presses === undefined || presses * keys.length > MAX_PRESSES) return [custom(name)];
      return Array.from({ length: presses }, () => keys.map((key) => keyPress([key]))).flat();
    }
    case "hotkey": {
      const keys = keyList(call.named.get("keys")) ?? keyList(call.positional.flat());
      if (keys === undefined || keys.length === 0) return [custom(name)];
      const modifiers = keys.slice(0, -1);
      return modifiers.every((key) => HELD.has(domKey(key))) ? [keyPress(keys)] : [custom(name)];
    }
    default:
      return [custom(name, aim)];
  }
}

const custom = (name: string, aim?: Point): Action => ({ type: EventType.CUSTOM, customType: name, aim });

/** The last key, with those before it held down. */
function keyPress(keys: readonly string[]): Action {
  const names = keys.map(domKey);
  const held = (modifier: string) => names.slice(0, -1).includes(modifier);
  const key = names.at(-1) ?? "";
  return {
    type: EventType.KEY,
    aim: undefined,
    key: { key, alt: held("Alt"), ctrl: held("Control"), meta: held("Meta"), shift: held("Shift") },
  };
}

/** The function's own name, in pyautogui's spelling: computer.triple_click is tripleClick. */
function functionName(call: PythonCall): string {
  const last = call.name.slice(call.name.lastIndexOf(".") + 1);
  return last.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function aimOf(call: PythonCall): Point | undefined {
  const name = functionName(call);
  if (!AIMED.has(name)) return undefined;
  // scroll takes the amount first; the others begin with the place.
  const first = name.endsWith("scroll") ? 1 : 0;
  const x = argument(call, "x", first);
  const y = argument(call, "y", first + 1);
  return typeof x === "number" && typeof y === "number" ? { x, y } : undefined;
}

function toPixels(point: Point, screen: Size): Point {
  const isFraction = [point.x, point.y].every((value) => value >= 0 && value <= 1);
  return isFraction ? { x: point.x * screen.width, y: point.y * screen.height } : point;
}

function argument(call: PythonCall, name: string, position: number): PythonValue | undefined {
  return call.named.get(name) ?? call.positional[position];
}

function keyList(value: PythonValue | undefined): readonly string[] | undefined {
  const keys = typeof value === "string" ? [value] : value;
  if (!Array.isArray(keys)) return undefined;
  const strings = keys.filter((key) => typeof key === "string");
  return strings.length === keys.length && strings.length > 0 ? strings : undefined;
}

function integer(value: PythonValue): number | undefined {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 ? value : undefined;
}

const MAX_PRESSES = 1000;
const AIMED = new Set([
  "click",
  "doubleClick",
  "tripleClick",
  "rightClick",
  "middleClick",
  "moveTo",
  "dragTo",
  "scroll",
  "vscroll",
  "hscroll",
]);
const CLICKS: Readonly<Record<string, number>> = { doubleClick: 2, tripleClick: 3, rightClick: 1, middleClick: 1 };
const BUTTONS: Readonly<Record<string, number>> = {
  left: 0,
  primary: 0,
  middle: 1,
  right: 2,
  secondary: 2,
  rightClick: 2,
  middleClick: 1,
};

/** What an event says is held. */
const HELD: ReadonlySet<string> = new Set(["Alt", "Control", "Meta", "Shift"]);
