import type { Pointer, SessionEvent } from "../recorded.ts";
import { type Draft, isToggle } from "./draft.ts";
import { distance, type Gesture, nameOf, retyped } from "./gesture.ts";
import { isSameElement } from "./identity.ts";
import { isCauseToldLate, takeOverNavigation } from "./navigating.ts";
import type { ReduceParams } from "./params.ts";
import type { Trail } from "./trail.ts";

/** A browser follows a tap with a click of its own, at the latest after this. */
const TAP_CLICK_MS = 400;
/** What a browser makes of one act in one go. */
export const AT_ONCE_MS = 50;
const MOST_CLICKS = 3;

const CLICKS: ReadonlySet<string> = new Set(["click", "double_click", "triple_click"]);

export function isClick({ kind }: Draft): boolean {
  return CLICKS.has(kind);
}

/** Whether it is a click that was told as one: not by what came of it, nor as a double click already. */
function isPointed(draft: Draft): boolean {
  return isClick(draft) && draft.lead.type === "click" && (draft.lead.pointer?.clicks ?? 1) <= 1;
}

/** A click: the browser's own echo of what came before, one more of a double click, or a new one. */
export function takeClick(trail: Trail, gesture: Gesture, params: ReduceParams): void {
  const { event } = gesture;
  const { last } = trail;
  if (last === undefined) trail.begin(gesture);
  else if (isOfTwoClicks(trail, event, params)) joinTwo(trail, last, gesture);
  else if (isMenuOfPress(last, event, params)) joinMenu(trail, last, gesture);
  else if (isMadeByKey(last, event) || isMadeByTap(last, event, params)) trail.join(last, gesture, "page");
  else if (isMadeByLabel(last, event)) joinField(trail, last, gesture);
  else if (isToldAgain(last, event, params)) trail.join(last, gesture, "page");
  else if (continuesClicks(trail, last, gesture, params)) joinClicks(trail, last, gesture);
  else if (isEffectToldFirst(last, event, params)) takeOver(trail, gesture);
  else if (isCauseToldLate(last, event, params)) takeOverNavigation(trail, last, gesture);
  else trail.begin(gesture);
}

/** Collectors that take a screenshot first tell a click after the change that it made. */
function isEffectToldFirst(last: Draft, { target, timeMs }: SessionEvent, params: ReduceParams): boolean {
  const isEffect = last.lead.type === "input" && isToggle(last.lead);
  return isEffect && isSameElement(last.lead.target, target) && timeMs - last.startMs <= params.lateCauseMs;
}

function takeOver(trail: Trail, gesture: Gesture): void {
  trail.begin(gesture);
  trail.absorbBeforeLast();
}

/** Enter in a form and the space bar on a button make the browser click; nobody pointed there. */
function isMadeByKey(last: Draft, { pointer, timeMs }: SessionEvent): boolean {
  const keyed = last.kind === "key" && (last.value === "Enter" || last.value === "Space");
  return keyed && timeMs - last.actedMs <= AT_ONCE_MS && (pointer?.clicks ?? 0) === 0;
}

function isMadeByTap(last: Draft, event: SessionEvent, params: ReduceParams): boolean {
  const near = last.point !== undefined && event.pointer !== undefined && distance(last.point, event.pointer);
  const soon = event.timeMs - last.actedMs <= TAP_CLICK_MS;
  return last.lead.type === "touch" && isClick(last) && soon && near !== false && near <= params.dragPx;
}

const FIELDS: ReadonlySet<string> = new Set(["input", "select", "textarea"]);

/** A click on a label makes the browser click its field, at the same place. */
function isMadeByLabel(last: Draft, { pointer, timeMs, target }: SessionEvent): boolean {
  if (!isClick(last) || timeMs - last.actedMs > AT_ONCE_MS || !FIELDS.has(target?.tag ?? "")) return false;
  if (isSameElement(last.lead.target, target)) return false;
  if (pointer === undefined || (last.button ?? 0) !== pointer.button) return false;
  return last.point?.x === pointer.x && last.point.y === pointer.y;
}

/**
 * One more click of the same button, soon after the one before and close to it. The limits are
 * AgentNet's: 0.5 s from start to start, 4 px. One that is told as several already, and is not the
 * next in the browser's count, is for itself.
 */
function continuesClicks(trail: Trail, last: Draft, { event }: Gesture, params: ReduceParams): boolean {
  if (!isPointed(last) || last.clicks >= MOST_CLICKS || last.navigatedTo !== undefined) return false;
  const { pointer, timeMs } = event;
  if (event.type !== "click" || (last.button ?? 0) !== (pointer?.button ?? 0)) return false;
  if (timeMs - last.clickedMs >= params.doubleClickMs || !isSamePlace(last, event, params.doubleClickPx)) return false;
  const count = pointer?.clicks ?? 1;
  return (
    count === last.clicks + 1 || (!trail.isCounted && count <= 1 && last.point !== undefined && pointer !== undefined)
  );
}

/** A double click told as one event, after two clicks were told that did not say that they were one. */
function isOfTwoClicks({ isCounted, drafts }: Trail, event: SessionEvent, params: ReduceParams): boolean {
  const [before, last] = drafts.slice(-2);
  if (!isCounted || before === undefined || last === undefined) return false;
  const isTwo = event.pointer?.clicks === 2 || nameOf(event) === "dblclick";
  if (!isTwo || ![before, last].every((draft) => isPointed(draft) && draft.clicks === 1)) return false;
  if (event.timeMs - before.clickedMs >= params.doubleClickMs) return false;
  return isSamePlace(before, event, params.doubleClickPx) && isSamePlace(last, event, params.doubleClickPx);
}

function joinTwo(trail: Trail, last: Draft, gesture: Gesture): void {
  trail.drafts.pop();
  const { last: first } = trail;
  if (first === undefined) return;
  trail.join(first, { event: last.lead, events: last.events, endMs: last.endMs, inferred: [...last.inferred] });
  trail.join(first, gesture, "page");
  first.clicks = 2;
  first.clickedMs = last.clickedMs;
  first.kind = "double_click";
}

/** What a press opened whose button was not told: a browser makes no click of another than the main one. */
function isMenuOfPress(last: Draft, event: SessionEvent, params: ReduceParams): boolean {
  const isMenu = event.pointer?.button === 2 || nameOf(event) === "contextmenu";
  if (!isMenu || last.kind !== "click" || (last.button ?? 0) !== 0) return false;
  if (last.events.some(({ type }) => type !== "custom")) return false;
  return event.timeMs - last.actedMs <= params.effectMs && isSamePlace(last, event, params.dragPx);
}

function joinMenu(trail: Trail, last: Draft, gesture: Gesture): void {
  trail.join(last, gesture, "page");
  last.button = 2;
}

/** A double click told as one event, after the two clicks it is made of were told. */
function isToldAgain(last: Draft, event: SessionEvent, params: ReduceParams): boolean {
  const isCount = event.pointer !== undefined && event.pointer.clicks > 1 && event.pointer.clicks === last.clicks;
  if (!isCount || !isPointed(last) || event.timeMs - last.clickedMs >= params.doubleClickMs) return false;
  return isSamePlace(last, event, params.doubleClickPx);
}

/** Closer together than that; the same element, where the places are not known. */
function isSamePlace({ lead, point }: Draft, { pointer, target }: SessionEvent, px: number): boolean {
  return point && pointer ? distance(point, pointer) < px : isSameElement(lead.target, target);
}

function joinClicks(trail: Trail, last: Draft, gesture: Gesture): void {
  trail.join(last, gesture);
  last.clicks += 1;
  last.clickedMs = gesture.event.timeMs;
  last.kind = last.clicks === 2 ? "double_click" : "triple_click";
}

/** A double click under the DOM's name for it. */
export function takeDoubleClick(trail: Trail, gesture: Gesture, params: ReduceParams): void {
  const { last } = trail;
  if (last !== undefined && isOfTwoClicks(trail, gesture.event, params)) joinTwo(trail, last, gesture);
  else takeClick(trail, asClick(gesture, { clicks: 2 }), params);
}

/** A click of the secondary button, told as what it opens; some browsers tell the press as well. */
export function takeContextMenu(trail: Trail, gesture: Gesture, params: ReduceParams): void {
  const { last } = trail;
  const soon = last !== undefined && gesture.event.timeMs - last.actedMs <= params.effectMs;
  if (soon && isClick(last) && last.button === 2) trail.join(last, gesture, "page");
  else if (last !== undefined && isMenuOfPress(last, gesture.event, params)) joinMenu(trail, last, gesture);
  else takeClick(trail, asClick(gesture, { button: 2, clicks: 1 }), params);
}

/** What another name than click tells of one. */
function asClick(gesture: Gesture, more: Partial<Pointer>): Gesture {
  const { event } = gesture;
  const { pointer } = event;
  return { ...gesture, event: retyped(event, "click", pointer && { pointer: { ...pointer, ...more } }) };
}

/** A drop ends the drag before it; told where the drag itself is told at its end, it comes right after. */
export function takeDrop(trail: Trail, gesture: Gesture, params: ReduceParams): void {
  const { last } = trail;
  const { pointer, timeMs } = gesture.event;
  const ends = last?.kind === "drag" && (last.to === undefined || timeMs - last.actedMs <= params.effectMs);
  if (!ends) {
    trail.begin(gesture);
    return;
  }
  trail.join(last, gesture);
  if (last.to === undefined && pointer !== undefined) last.to = { x: pointer.x, y: pointer.y };
}

/** A drag; the values a slider told while it was dragged are part of it. */
export function takeDrag(trail: Trail, gesture: Gesture): void {
  const { last } = trail;
  const draft = trail.begin(gesture);
  if (last?.lead.input?.kind !== "range" || !isSameElement(last.lead.target, gesture.event.target)) return;
  trail.absorbBeforeLast();
  draft.value = last.value;
}

/** The keys that change a checkbox, and those that walk through radio buttons. */
const TOGGLING = /^(Space|Enter|Arrow(Up|Down|Left|Right))$/;

/** The value of a field that can't be typed into tells what a click, a key or a drag just did. */
export function takeToggle(trail: Trail, gesture: Gesture, params: ReduceParams): void {
  const { last } = trail;
  const acted = last !== undefined && (isClick(last) || last.kind === "drag" || TOGGLING.test(last.value ?? ""));
  const soon = last !== undefined && gesture.event.timeMs - last.actedMs <= params.effectMs;
  if (acted && soon) joinField(trail, last, gesture);
  else trail.begin(gesture);
}

/** The field is what was clicked, where that is a label or a drawing that stands for it. */
function joinField(trail: Trail, last: Draft, gesture: Gesture): void {
  trail.join(last, gesture, "page");
  const { target } = gesture.event;
  const clicked = last.lead.target;
  if (!isClick(last) || target === undefined || isSameElement(clicked, target)) return;
  const stands = clicked === undefined || clicked.tag === "label" || (clicked.role ?? "") === "";
  if (stands && (last.field === undefined || isToggle(gesture.event))) last.field = target;
}
