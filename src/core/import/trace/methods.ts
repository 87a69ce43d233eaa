import type { MessageInitShape } from "@bufbuild/protobuf";
import { type EventSchema, EventType } from "../../../wire/gen/sluice/v1/event_pb.ts";
import { at, number, objects, text } from "../lenient.ts";
import type { Act } from "./acts.ts";
import type { KeyNames } from "./key-names.ts";
import { fieldKind, heldBy, type Marked } from "./marks.ts";

type Told = Pick<MessageInitShape<typeof EventSchema>, "type" | "customType" | "input" | "pointer" | "key" | "page"> & {
  readonly type: EventType;
};

/** What is known while the acts of a trace are read one after the other. */
export interface Hands {
  readonly keys: KeyNames;
  /** Where the mouse is; nothing says so before it was moved. */
  mouse: { readonly x: number; readonly y: number } | undefined;
}

/** Calls that do what a person's hand would; all others look, wait, ask or set up. */
export function isAct(type: string, method: string): boolean {
  return METHODS.has(`${type === "ElementHandle" || type === "Locator" ? "Frame" : type}.${method}`);
}

/** Whether the call says what it is done to; others are done to whatever is under the mouse or has the focus. */
export function isAimed(method: string): boolean {
  return METHODS.has(`Frame.${method}`) && method !== "goto";
}

/** Whether the call is to lead to a page. */
export function isNavigation(method: string): boolean {
  return NAVIGATIONS.has(method);
}

const NAVIGATIONS: ReadonlySet<string> = new Set(["goto", "reload", "goBack", "goForward"]);

/** What an act that was done is as events, one or several; none for one that found it done already. */
export function eventsOf(act: Act, hands: Hands): Told[] {
  const { method, params, inputs } = act;
  const point = inputs.at(-1)?.point ?? pointIn(at(act.after?.value, "point"));
  const button = BUTTONS.get(text(params.button)) ?? 0;
  const clicks = number(params.clickCount) ?? (method === "dblclick" ? 2 : 1);
  if (point !== undefined) hands.mouse = point;
  switch (method) {
    case "click":
    case "dblclick":
      return [{ type: EventType.CLICK, ...(point && { pointer: { ...point, button, clicks } }) }];
    case "check":
    case "uncheck":
      // Nothing is done to a box that is as it should be.
      return point === undefined ? [] : [{ type: EventType.CLICK, pointer: { ...point, clicks } }];
    case "tap":
    case "touchscreenTap":
      return [{ type: EventType.TOUCH, ...placed(point ?? pointIn(params), { clicks: 1 }) }];
    case "hover":
      return [{ type: EventType.HOVER, ...placed(point, {}) }];
    case "dragAndDrop":
      return [drag(act)];
    case "mouseMove":
    case "mouseDown":
    case "mouseUp": {
      hands.mouse = point ?? pointIn(params) ?? hands.mouse;
      const customType = method.toLowerCase();
      return [{ type: EventType.CUSTOM, customType, ...placed(hands.mouse, { button }) }];
    }
    case "mouseClick":
      hands.mouse = pointIn(params) ?? point ?? hands.mouse;
      return [{ type: EventType.CLICK, ...placed(hands.mouse, { button, clicks }) }];
    case "mouseWheel": {
      const pointer = { ...hands.mouse, deltaX: number(params.deltaX) ?? 0, deltaY: number(params.deltaY) ?? 0 };
      return [{ type: EventType.SCROLL, pointer }];
    }
    case "fill":
      return [{ type: EventType.INPUT, input: { value: text(params.value), kind: fieldKind(act.target) } }];
    case "type":
      return typed(act, hands);
    case "keyboardType":
      return [...text(params.text)].map((key) => ({ type: EventType.KEY, key: hands.keys.read(key) }));
    case "keyboardInsertText":
      return [{ type: EventType.INPUT, input: { value: text(params.text) } }];
    case "press":
    case "keyboardPress":
      return [{ type: EventType.KEY, key: hands.keys.readCombination(text(params.key)) }];
    case "keyboardDown":
      return [{ type: EventType.CUSTOM, customType: "keydown", key: hands.keys.press(text(params.key)) }];
    case "keyboardUp":
      return [{ type: EventType.CUSTOM, customType: "keyup", key: hands.keys.release(text(params.key)) }];
    case "selectOption":
      return [{ type: EventType.INPUT, input: { value: chosen(act), kind: "select" } }];
    case "setInputFiles":
      return [{ type: EventType.INPUT, input: { value: fileNames(act), kind: "file" } }];
    case "focus":
      return [{ type: EventType.FOCUS }];
    case "blur":
      return [{ type: EventType.BLUR }];
    case "goto":
    case "reload":
    case "goBack":
    case "goForward":
      return [{ type: EventType.NAVIGATION }];
    default:
      return [{ type: EventType.CUSTOM, customType: method }];
  }
}

const METHODS: ReadonlySet<string> = new Set([
  ..."check click dblclick dispatchEvent dragAndDrop drop fill focus blur goto hover press selectOption setInputFiles tap type uncheck"
    .split(" ")
    .map((method) => `Frame.${method}`),
  ..."goBack goForward reload keyboardDown keyboardInsertText keyboardPress keyboardType keyboardUp mouseClick mouseDown mouseMove mouseUp mouseWheel touchscreenTap"
    .split(" ")
    .map((method) => `Page.${method}`),
]);

const BUTTONS: ReadonlyMap<string, number> = new Map([
  ["left", 0],
  ["middle", 1],
  ["right", 2],
]);

/** From the first place to the last; without both it is told under its own name. */
function drag({ method, inputs }: Act): Told {
  const [from, ...rest] = inputs.flatMap(({ point }) => point ?? []);
  const to = rest.at(-1);
  if (from === undefined || to === undefined) return { type: EventType.CUSTOM, customType: method };
  return { type: EventType.DRAG, pointer: { ...from, toX: to.x, toY: to.y } };
}

/** What the field held then, where the page tells; else the keys. */
function typed({ params, target, targetAfter }: Act, { keys }: Hands): Told[] {
  const written = text(params.text);
  const value = held(targetAfter) ?? (held(target) === "" ? written : undefined);
  if (value !== undefined) return [{ type: EventType.INPUT, input: { value, kind: fieldKind(target ?? targetAfter) } }];
  return [...written].map((key) => ({ type: EventType.KEY, key: keys.read(key) }));
}

function held(marked: Marked | undefined): string | undefined {
  return marked && heldBy(marked.element);
}

function chosen({ after }: Act): string {
  const values = at(after?.value, "result", "values");
  return Array.isArray(values) ? values.map((value) => text(value)).join(",") : "";
}

/** Without the folders they lie in. */
function fileNames({ params }: Act): string {
  const names = objects(params.payloads).map(({ name }) => text(name));
  const paths = Array.isArray(params.localPaths) ? params.localPaths.map((path) => text(path)) : [];
  return [...names, ...paths.map((path) => path.replace(/^.*[/\\]/s, ""))].join(",");
}

function placed<More extends object>(point: Hands["mouse"], more: More) {
  return point === undefined ? {} : { pointer: { ...point, ...more } };
}

function pointIn(value: unknown): Hands["mouse"] {
  const x = number(at(value, "x"));
  const y = number(at(value, "y"));
  return x === undefined || y === undefined ? undefined : { x, y };
}
