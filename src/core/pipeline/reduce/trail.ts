import type { SessionEvent } from "../recorded.ts";
import { type Draft, draftOf } from "./draft.ts";
import type { Gesture, Unused } from "./gesture.ts";

/** What has been made of the events so far. */
export class Trail {
  readonly drafts: Draft[] = [];
  readonly unused: Unused[];
  /** Whether clicks say how many of them came in a row, one included: then quick ones are no double click. */
  readonly isCounted: boolean;
  /** The last navigation that opened a page: one that rewrote the address of the page that is there is none. */
  navigation: SessionEvent | undefined;
  /** When the page last scrolled by itself. */
  scrolledByPageMs = Number.NEGATIVE_INFINITY;

  constructor(unused: readonly Unused[], isCounted: boolean) {
    this.unused = [...unused];
    this.isCounted = isCounted;
  }

  get last(): Draft | undefined {
    return this.drafts.at(-1);
  }

  begin(gesture: Gesture): Draft {
    const draft = draftOf(gesture);
    this.drafts.push(draft);
    return draft;
  }

  drop(gesture: Gesture, code: string): void {
    for (const event of gesture.events) this.unused.push({ event, code });
  }

  /** `by` the hand, unless it is the page's answer to what was done. */
  join(draft: Draft, gesture: Gesture, by: "hand" | "page" = "hand"): void {
    for (const event of gesture.events) draft.events.push(event);
    draft.endMs = Math.max(draft.endMs, gesture.endMs);
    if (by === "hand") draft.actedMs = Math.max(draft.actedMs, gesture.endMs);
    for (const mark of gesture.inferred) draft.inferred.add(mark);
  }

  /** Makes the draft before the last one part of the last. */
  absorbBeforeLast(): void {
    const last = this.drafts.pop();
    const before = this.drafts.pop();
    if (last === undefined) return;
    this.drafts.push(last);
    if (before === undefined) return;
    last.events = [...before.events, ...last.events];
    last.startMs = before.startMs;
    last.endMs = Math.max(last.endMs, before.endMs);
    last.actedMs = Math.max(last.actedMs, before.actedMs);
    for (const mark of before.inferred) last.inferred.add(mark);
  }
}
