import type { SessionEvent, SessionFacts } from "../recorded.ts";
import { type Draft, draftOf } from "./draft.ts";
import { nameOf, plainGesture, type Unused } from "./gesture.ts";
import { isHotkey, nameKeys } from "./keys.ts";

/**
 * Whether the session's events are actions already, without times: its times only tell the order,
 * and the label `times=order-only` says so (trajectories of computer-use data sets).
 */
export function tellsActions({ labels }: SessionFacts): boolean {
  return labels.some(({ name, value }) => name === "times" && value === "order-only");
}

/** Whether its collector knows double clicks from clicks in a row; the label `clicks=counted` says so. */
export function countsClicks({ labels }: SessionFacts): boolean {
  return labels.some(({ name, value }) => name === "clicks" && value === "counted");
}

/** Each event as one action, whatever stands beside it: it was reduced before. */
export function takeAsTold(events: readonly SessionEvent[]): { drafts: Draft[]; unused: Unused[] } {
  const drafts: Draft[] = [];
  const unused: Unused[] = [];
  for (const event of events) {
    if (event.type === "focus" || event.type === "blur") unused.push({ event, code: "FOCUS_NOISE" });
    else drafts.push(toldDraft(event));
  }
  return { drafts, unused };
}

function toldDraft(event: SessionEvent): Draft {
  const draft = draftOf(plainGesture(event));
  const { key } = event;
  const clicked = CLICKS.get(nameOf(event));
  if (clicked !== undefined) return { ...draft, ...clicked, name: undefined };
  if (event.type !== "key" || key === undefined) return draft;
  // A key that was told as pressed is not text that was typed, though it may come to the same.
  return { ...draft, kind: isHotkey(key) ? "hotkey" : "key", value: nameKeys(key), masked: false, inferred: new Set() };
}

/** Clicks that were told without a place, and so under the names of the DOM. */
const CLICKS: ReadonlyMap<string, Partial<Draft>> = new Map([
  ["dblclick", { kind: "double_click", clicks: 2 }],
  ["contextmenu", { kind: "click", button: 2 }],
  ["auxclick", { kind: "click", button: 1 }],
]);
