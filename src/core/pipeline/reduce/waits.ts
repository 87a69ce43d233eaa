import type { ElementState, SessionEvent } from "../recorded.ts";
import { type Draft, draftOf } from "./draft.ts";
import { plainGesture } from "./gesture.ts";
import { isSameElement } from "./identity.ts";

/**
 * Puts a wait between two actions when nothing was done for longer than `waitMs`, and the element
 * of the second was seen to change in that time: it was enabled, shown, opened, or its text or its
 * value became another. That alone tells waiting from thinking. `events` and `drafts` are in order.
 */
export function insertWaits(drafts: readonly Draft[], events: readonly SessionEvent[], waitMs: number): Draft[] {
  const out: Draft[] = [];
  let from = 0;
  for (const [index, draft] of drafts.entries()) {
    const before = drafts[index - 1];
    const isIdle = before !== undefined && draft.startMs - before.endMs > waitMs;
    if (isIdle && before.kind !== "wait" && draft.kind !== "wait") {
      while (from < events.length && (events[from]?.timeMs ?? 0) < before.startMs) from += 1;
      const told = lastTold(events, from, draft, draft.startMs - waitMs);
      if (told !== undefined && differs(told, draft.lead.before)) out.push(waitOf(before, draft));
    }
    out.push(draft);
  }
  return out;
}

/** What was last told of the action's element, from the event at `from` on and before `untilMs`. */
function lastTold(events: readonly SessionEvent[], from: number, { lead }: Draft, untilMs: number) {
  let found: ElementState | undefined;
  for (let index = from; index < events.length; index += 1) {
    const event = events[index];
    if (event === undefined || event.timeMs >= untilMs) break;
    if (lead.target === undefined || event.page?.url !== lead.page?.url) continue;
    if (isSameElement(event.target, lead.target)) found = event.after;
  }
  return found;
}

function differs(a: ElementState, b: ElementState | undefined): boolean {
  if (b === undefined) return false;
  if (a.disabled !== b.disabled || a.visible !== b.visible || a.expanded !== b.expanded) return true;
  return isOther(a.text, b.text) || isOther(a.value, b.value);
}

function isOther(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b;
}

function waitOf(before: Draft, next: Draft): Draft {
  const lead = next.events[0] ?? next.lead;
  const wait = draftOf(
    plainGesture({ ref: lead.ref, timeMs: before.endMs, type: "custom", customType: "wait", screenshots: [] }),
  );
  return { ...wait, lead, events: [], endMs: next.startMs };
}

/** A wait that was told lasts until the next action begins. */
export function endWaits(drafts: readonly Draft[]): void {
  for (const [index, draft] of drafts.entries()) {
    if (draft.kind === "wait") draft.endMs = Math.max(draft.endMs, drafts[index + 1]?.startMs ?? draft.endMs);
  }
}
