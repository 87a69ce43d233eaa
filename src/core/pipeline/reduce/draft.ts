import type { ActionKind } from "../outputs.ts";
import type { Input, Point, Pointer, SessionEvent, Target } from "../recorded.ts";
import { type Gesture, nameOf } from "./gesture.ts";
import { isHiddenText, isHotkey, isSecretField, isTextField, nameKeys, textOf } from "./keys.ts";

/** An action while events still join it. */
export interface Draft {
  kind: ActionKind;
  /** Says where it was done and to what. */
  lead: SessionEvent;
  /** All it stands for, in the order in which they joined. */
  events: SessionEvent[];
  /** The field that the lead's target stands for: the one of a label. */
  field: Target | undefined;
  startMs: number;
  endMs: number;
  /** When the hand did the last of it, whatever the page did then. */
  actedMs: number;
  clicks: number;
  /** When the last of its clicks began. */
  clickedMs: number;
  button: number | undefined;
  point: Point | undefined;
  to: Point | undefined;
  delta: Point | undefined;
  value: string | undefined;
  /** Whether the value is what a field was told to hold, rather than the keys that were pressed. */
  isToldValue: boolean;
  masked: boolean;
  heldMs: number | undefined;
  name: string | undefined;
  /** Whether it submitted a form: what the page does then can take long. */
  submits: boolean;
  navigatedTo: string | undefined;
  /** When it last led to a navigation. */
  navigatedMs: number;
  readonly inferred: Set<string>;
}

/** What stands for a value that nobody may see, however long it is; redact's own. */
export const MASK = "****";

/** The action that a gesture is when it is taken for itself. */
export function draftOf(gesture: Gesture): Draft {
  const { event, events, endMs, heldMs, inferred } = gesture;
  const { pointer } = event;
  return {
    lead: event,
    events: [...events],
    field: undefined,
    startMs: events[0]?.timeMs ?? event.timeMs,
    endMs,
    actedMs: endMs,
    clicks: 1,
    clickedMs: event.timeMs,
    button: POINTED.has(event.type) ? pointer?.button : undefined,
    point: pointer && { x: pointer.x, y: pointer.y },
    to: undefined,
    delta: undefined,
    value: undefined,
    isToldValue: false,
    masked: false,
    heldMs,
    name: undefined,
    submits: false,
    navigatedTo: undefined,
    navigatedMs: Number.NEGATIVE_INFINITY,
    inferred: new Set(inferred),
    ...specifics(event),
  };
}

const POINTED: ReadonlySet<string> = new Set(["click", "touch", "drag"]);

type Specifics = Partial<Draft> & Pick<Draft, "kind">;

function specifics(event: SessionEvent): Specifics {
  const { type, pointer } = event;
  switch (type) {
    case "click":
      return clicked(pointer?.clicks ?? 1);
    case "touch":
      return touched(pointer);
    case "input":
      return entered(event, event.input);
    case "key":
      return pressed(event);
    case "scroll":
      return { kind: "scroll", delta: pointer?.delta };
    case "drag":
      return { kind: "drag", to: pointer?.to };
    case "hover":
      return { kind: "hover" };
    case "navigation":
      return { kind: "navigate", point: undefined, value: event.page?.url };
    case "submit":
      // A form that nobody was seen to submit: Enter does it in any of its fields.
      return { kind: "key", value: "Enter", submits: true, inferred: new Set(["ENTER_FOR_SUBMIT"]) };
    case "custom":
      return nameOf(event) === "wait"
        ? { kind: "wait", point: undefined }
        : { kind: "other", name: event.customType ?? type };
    case "focus":
    case "blur":
    case "drop":
      return { kind: "other", name: type };
    default:
      return type satisfies never;
  }
}

function clicked(clicks: number): Specifics {
  if (clicks === 2) return { kind: "double_click", clicks };
  if (clicks === 3) return { kind: "triple_click", clicks };
  return { kind: "click", clicks: Math.max(1, clicks) };
}

function touched(pointer: Pointer | undefined): Specifics {
  if (pointer?.to !== undefined) return { kind: "drag", to: pointer.to };
  if (pointer?.delta !== undefined) return { kind: "scroll", delta: pointer.delta };
  return clicked(pointer?.clicks ?? 1);
}

const TOGGLES: ReadonlySet<string> = new Set(["checkbox", "radio"]);

function entered(event: SessionEvent, input: Input | undefined): Specifics {
  if (isToggle(event)) return { kind: "click" };
  const value = input?.value ?? event.after?.value;
  return {
    kind: isSelect(event) ? "select" : "type",
    value,
    isToldValue: true,
    masked: input?.masked ?? false,
    ...(value === undefined && { inferred: new Set(["VALUE_UNKNOWN"]) }),
  };
}

export function isToggle({ input, target }: SessionEvent): boolean {
  return TOGGLES.has(input?.kind ?? "") || (target?.tag === "input" && TOGGLES.has(target.role ?? ""));
}

export function isSelect({ input, target }: SessionEvent): boolean {
  return target?.tag === "select" || /^select/.test(input?.kind ?? "");
}

function pressed(event: SessionEvent): Specifics {
  const { key, target } = event;
  if (key === undefined) return { kind: "key" };
  const text = textOf(key);
  const isHidden = isHiddenText(key);
  if (!isHidden && (text === undefined || isTextField(target) === false)) {
    return { kind: isHotkey(key) ? "hotkey" : "key", value: nameKeys(key) };
  }
  const masked = isHidden || isSecretField(target);
  return { kind: "type", value: masked ? MASK : text, masked, inferred: new Set(["VALUE_FROM_KEYS"]) };
}
