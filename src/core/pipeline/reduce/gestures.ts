import type { SessionEvent } from "../recorded.ts";
import { type Gesture, plainGesture, type Unused } from "./gesture.ts";
import { KeyPresses } from "./key-presses.ts";
import { PointerPresses } from "./pointer-presses.ts";

/**
 * Puts presses, moves and releases together to clicks, drags and keys; every other event is a
 * gesture of its own. Raw input has no types in sluice.v1: it comes as custom events with the DOM's
 * names (pointerdown, mousedown, pointermove, mousemove, pointerup, mouseup, keydown, keyup).
 * Gestures stand in the order of their first events. Each event is in one gesture or in `unused`.
 */
export function readGestures(
  events: readonly SessionEvent[],
  limits: { readonly dragPx: number; readonly duplicateMs: number },
): { readonly gestures: readonly Gesture[]; readonly unused: readonly Unused[] } {
  const pointer = new PointerPresses(events, limits);
  const keys = new KeyPresses(events);
  const plain: Gesture[] = [];
  for (const event of events) {
    if (!pointer.take(event) && !keys.take(event)) plain.push(plainGesture(event));
  }
  const place = new Map(events.map((event, index) => [event, index]));
  const first = ({ events: [event] }: Gesture): number => (event === undefined ? -1 : (place.get(event) ?? -1));
  const gestures = [...plain, ...pointer.end(), ...keys.end()].toSorted((a, b) => first(a) - first(b));
  return { gestures, unused: [...pointer.unused, ...keys.unused] };
}
