import type { Point, SessionEvent } from "../recorded.ts";
import type { Draft } from "./draft.ts";
import type { Gesture } from "./gesture.ts";
import { isSameDocument, isSameElement } from "./identity.ts";
import type { ReduceParams } from "./params.ts";
import { isDocument } from "./targets.ts";
import type { Trail } from "./trail.ts";

/**
 * Scrolls that don't say how far: as far as the page is from where it was told to be before. Those of
 * an element within the page say nothing of that.
 */
export function measureScrolls(gestures: readonly Gesture[]): Gesture[] {
  let before: SessionEvent | undefined;
  return gestures.map((gesture) => {
    const { event } = gesture;
    const earlier = before;
    if (event.page !== undefined) before = event;
    const isUnmeasured = event.type === "scroll" && event.pointer?.delta === undefined;
    if (!isUnmeasured || earlier?.page === undefined || event.page === undefined) return gesture;
    if (!isSameDocument(earlier, event) || (event.target !== undefined && !isDocument(event.target))) return gesture;
    const [from, to] = [earlier.page.scroll, event.page.scroll];
    const delta = { x: add(to.x, -from.x), y: add(to.y, -from.y) };
    const pointer = { x: 0, y: 0, button: 0, clicks: 0, ...event.pointer, delta };
    return { ...gesture, event: { ...event, pointer }, inferred: [...gesture.inferred, "DISTANCE_FROM_PAGE"] };
  });
}

/** A scroll: more of the one before when it goes the same way soon after; none when the page did it. */
export function takeScroll(trail: Trail, gesture: Gesture, params: ReduceParams): void {
  const { event } = gesture;
  const { last } = trail;
  const { delta } = event.pointer ?? {};
  if (delta?.x === 0 && delta.y === 0) {
    trail.drop(gesture, "SCROLL_NO_MOVE");
  } else if (isByPage(trail, event, params)) {
    trail.scrolledByPageMs = event.timeMs;
    trail.drop(gesture, "SCROLL_BY_PAGE");
  } else if (last !== undefined && continues(last, event, params)) {
    trail.join(last, gesture);
    last.delta = last.delta && delta && sum(last.delta, delta);
  } else {
    trail.begin(gesture);
  }
}

/** A page that opens jumps to its fragment, or to where it was left; it may take a while to glide there. */
function isByPage(trail: Trail, { timeMs }: SessionEvent, params: ReduceParams): boolean {
  const since = Math.max(trail.navigation?.timeMs ?? Number.NEGATIVE_INFINITY, trail.scrolledByPageMs);
  return timeMs - since <= params.pageScrollMs;
}

function continues(last: Draft, event: SessionEvent, params: ReduceParams): boolean {
  if (last.kind !== "scroll" || event.timeMs - last.endMs > params.scrollPauseMs) return false;
  if (!isSameDocument(last.lead, event) || !isSameElement(last.lead.target, event.target)) return false;
  return directionOf(last.delta) === directionOf(event.pointer?.delta);
}

/** Along the axis that it goes farther on; trackpads never go quite straight. */
function directionOf(delta: Point | undefined): string {
  if (delta === undefined) return "";
  return Math.abs(delta.y) >= Math.abs(delta.x) ? `y${Math.sign(delta.y)}` : `x${Math.sign(delta.x)}`;
}

function sum(a: Point, b: Point): Point {
  return { x: add(a.x, b.x), y: add(a.y, b.y) };
}

/** What is too large for a number stays the largest there is, as JSON has no infinity. */
function add(a: number, b: number): number {
  return Math.min(Number.MAX_VALUE, Math.max(-Number.MAX_VALUE, a + b));
}
