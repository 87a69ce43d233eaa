import type { EventTypeName } from "../recorded.ts";
import { isToggle } from "./draft.ts";
import { type Gesture, nameOf, type Unused } from "./gesture.ts";
import { findRevealing } from "./hovers.ts";
import { isDuplicate } from "./identity.ts";
import { takeNavigation, takeSubmit } from "./navigating.ts";
import type { ReduceParams } from "./params.ts";
import { takeClick, takeContextMenu, takeDoubleClick, takeDrag, takeDrop, takeToggle } from "./pointing.ts";
import { takeScroll } from "./scrolling.ts";
import { Trail } from "./trail.ts";
import { takeInput, takeKey } from "./typing.ts";

/** Walks through what was done in order: each gesture joins an action, begins one, or is no act at all. */
export function walk(
  gestures: readonly Gesture[],
  unused: readonly Unused[],
  { startUrl, isCounted }: { readonly startUrl: string; readonly isCounted: boolean },
  params: ReduceParams,
): Trail {
  const trail = new Trail(unused, isCounted);
  const revealing = findRevealing(gestures);
  const recent: Gesture[] = [];
  for (const gesture of gestures) {
    if (recent.some((earlier) => isDuplicate(earlier.event, gesture.event, params.duplicateMs))) {
      trail.drop(gesture, "DUPLICATE_EVENT");
      continue;
    }
    recent.push(gesture);
    if (recent.length > LOOK_BACK) recent.shift();
    if (gesture.event.type === "hover" && !revealing.has(gesture)) trail.drop(gesture, "HOVER_NO_EFFECT");
    else RULES[gesture.event.type](trail, gesture, params, startUrl);
  }
  return trail;
}

/** What else may come between an event and its duplicate. */
const LOOK_BACK = 8;

type Rule = (trail: Trail, gesture: Gesture, params: ReduceParams, startUrl: string) => void;

const begin: Rule = (trail, gesture) => {
  trail.begin(gesture);
};

const drop =
  (code: string): Rule =>
  (trail, gesture) =>
    trail.drop(gesture, code);

const RULES: Readonly<Record<EventTypeName, Rule>> = {
  click: takeClick,
  input: (trail, gesture, params) => (isToggle(gesture.event) ? takeToggle : takeInput)(trail, gesture, params),
  key: takeKey,
  scroll: takeScroll,
  navigation: takeNavigation,
  submit: takeSubmit,
  drag: takeDrag,
  drop: takeDrop,
  touch: (trail, gesture, params) => (isScroll(gesture) ? takeScroll : begin)(trail, gesture, params, ""),
  hover: begin,
  focus: drop("FOCUS_NOISE"),
  blur: drop("FOCUS_NOISE"),
  custom: takeCustom,
};

const isScroll = ({ event: { pointer } }: Gesture): boolean => pointer?.delta !== undefined && pointer.to === undefined;

function takeCustom(trail: Trail, gesture: Gesture, params: ReduceParams): void {
  const name = nameOf(gesture.event);
  const { last } = trail;
  const follows = last?.kind === "hotkey" && gesture.event.timeMs - last.actedMs <= params.effectMs;
  if (name === "dblclick") takeDoubleClick(trail, gesture, params);
  else if (name === "contextmenu") takeContextMenu(trail, gesture, params);
  else if (TOLD_OTHERWISE.has(name)) trail.drop(gesture, "NOT_AN_ACT");
  else if (follows && CLIPBOARD.has(name)) trail.join(last, gesture, "page");
  else trail.begin(gesture);
}

/** What a hotkey does with the clipboard, told once more. */
const CLIPBOARD = new Set(["copy", "cut", "paste"]);

/** DOM events that no hand makes, or that are part of what another event tells. */
const TOLD_OTHERWISE = new Set([
  "beforeunload",
  "domcontentloaded",
  "dragend",
  "dragenter",
  "dragleave",
  "dragover",
  "dragstart",
  "error",
  "focusin",
  "focusout",
  "keypress",
  "load",
  "mouseenter",
  "mouseleave",
  "mouseout",
  "mouseover",
  "mousewheel",
  "mutation",
  "pagehide",
  "pageshow",
  "pointercancel",
  "pointerenter",
  "pointerleave",
  "pointerout",
  "pointerover",
  "resize",
  "scrollend",
  "selectionchange",
  "touchcancel",
  "touchend",
  "touchmove",
  "touchstart",
  "unload",
  "visibilitychange",
  "wheel",
]);
