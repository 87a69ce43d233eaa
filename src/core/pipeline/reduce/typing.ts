import type { SessionEvent } from "../recorded.ts";
import { type Draft, draftOf, isSelect, MASK } from "./draft.ts";
import type { Gesture } from "./gesture.ts";
import { isSameDocument, isSameElement } from "./identity.ts";
import { isEditing, isHotkey, isMultilineField, textOf } from "./keys.ts";
import type { ReduceParams } from "./params.ts";
import { AT_ONCE_MS, isClick } from "./pointing.ts";
import type { Trail } from "./trail.ts";

/**
 * The value of a field or a list. A visit to a field is one action: it lasts until something else
 * is done, and its value is the last one told. Keys that made the value are part of it; so is
 * the click that opened a list.
 */
export function takeInput(trail: Trail, gesture: Gesture, params: ReduceParams): void {
  const { last } = trail;
  const { event } = gesture;
  if (last !== undefined && isVisit(last, event)) {
    joinInput(trail, last, gesture);
  } else if (last !== undefined && isMoveOfSlider(last, event, params)) {
    trail.join(last, gesture, "page");
    last.value = event.input?.value ?? last.value;
  } else if (isEcho(trail, event)) {
    trail.drop(gesture, "VALUE_UNCHANGED");
  } else {
    beginInput(trail, gesture);
  }
}

function joinInput(trail: Trail, last: Draft, gesture: Gesture): void {
  const { value, masked } = draftOf(gesture);
  trail.join(last, gesture);
  last.masked ||= masked;
  if (value === undefined) return;
  last.value = value;
  last.inferred.delete("VALUE_UNKNOWN");
}

/** Takes in what stands right before it and was done to the same field for the sake of this value. */
function beginInput(trail: Trail, gesture: Gesture): void {
  const draft = trail.begin(gesture);
  const leadsHere = draft.kind === "select" ? opensList : makesText;
  for (let before = trail.drafts.at(-2); before !== undefined; before = trail.drafts.at(-2)) {
    if (before.navigatedTo !== undefined || !isSameDocument(before.lead, draft.lead)) return;
    if (!leadsHere(before, draft.lead)) return;
    trail.absorbBeforeLast();
    draft.inferred.delete("VALUE_FROM_KEYS");
  }
}

function isVisit(last: Draft, event: SessionEvent): boolean {
  if (last.kind !== (isSelect(event) ? "select" : "type") || !last.isToldValue) return false;
  // A choice that opens a page ends there; what is typed may rewrite the address as it goes.
  if (last.kind === "select" && last.navigatedTo !== undefined) return false;
  return isSameElement(last.lead.target, event.target) && isSameDocument(last.lead, event);
}

function makesText(before: Draft, { target }: SessionEvent): boolean {
  const isUnaimed = before.lead.type === "key" && before.lead.target === undefined;
  if (!isUnaimed && !isSameElement(before.lead.target, target)) return false;
  if (before.kind === "type") return true;
  if (before.kind !== "key" && before.kind !== "hotkey") return false;
  return isEditing(before.value ?? "", isMultilineField(target)) || typedBy(before) !== undefined;
}

function opensList(before: Draft, { target }: SessionEvent): boolean {
  const handled = isClick(before) || before.kind === "key" || before.kind === "select" || before.kind === "type";
  return handled && target !== undefined && isSameElement(before.lead.target, target);
}

function isMoveOfSlider(last: Draft, { input, target, timeMs }: SessionEvent, params: ReduceParams): boolean {
  if (input?.kind !== "range" || timeMs - last.actedMs > params.effectMs) return false;
  return (last.kind === "drag" || isClick(last)) && isSameElement(last.lead.target, target);
}

/** Told again as the field is left: a browser tells the change while the press that leaves it goes on. */
function isEcho(trail: Trail, { input, target, timeMs }: SessionEvent): boolean {
  const [told, since] = trail.drafts.slice(-2);
  if (told === undefined || since === undefined || !isClick(since) || timeMs - since.actedMs > AT_ONCE_MS) return false;
  return told.kind === "type" && told.value === input?.value && isSameElement(told.lead.target, target);
}

/** A key: one more of what is typed, or an act of its own. */
export function takeKey(trail: Trail, gesture: Gesture): void {
  if (takesBack(trail, gesture)) return;
  const { last } = trail;
  const draft = trail.begin(gesture);
  const text = typedBy(draft);
  if (last === undefined || text === undefined || !isSameVisit(last, draft)) return;
  const before = typedBy(last) ?? (last.kind === "type" ? last.value : undefined);
  if (before === undefined) return;
  trail.drafts.pop();
  trail.join(last, gesture);
  // A value that was told, the field's own word, is told again when a key has changed it.
  if (last.isToldValue) return;
  last.kind = "type";
  last.inferred.add("VALUE_FROM_KEYS");
  last.masked ||= draft.masked;
  last.value = last.masked ? MASK : before + text;
}

/** What the action's only key puts into a field; undefined when it is no key, or does something else. */
function typedBy({ kind, lead, events, value }: Draft): string | undefined {
  if (lead.type !== "key" || lead.key === undefined || events.length === 0) return undefined;
  if (kind === "type") return value;
  return kind === "key" ? textOf(lead.key) : undefined;
}

function isSameVisit(last: Draft, { lead }: Draft): boolean {
  if (last.navigatedTo !== undefined && !isSameDocument(last.lead, lead)) return false;
  return lead.target === undefined || isSameElement(last.lead.target, lead.target);
}

/** Backspace takes back what was typed by keys alone; the field's own value needs no such reckoning. */
function takesBack(trail: Trail, gesture: Gesture): boolean {
  const { last } = trail;
  const { key, target } = gesture.event;
  if (key?.key !== "Backspace" || isHotkey(key)) return false;
  if (last?.kind !== "type" || last.isToldValue) return false;
  if (target !== undefined && !isSameElement(last.lead.target, target)) return false;
  const { value = "" } = last;
  if (value === "") return false;
  trail.join(last, gesture);
  if (!last.masked) last.value = withoutLastLetter(value);
  return true;
}

function withoutLastLetter(text: string): string {
  const isPair = (text.codePointAt(text.length - 2) ?? 0) > 0xffff;
  return text.slice(0, isPair ? -2 : -1);
}
