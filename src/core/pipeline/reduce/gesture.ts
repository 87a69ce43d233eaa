import type { EventTypeName, Point, SessionEvent } from "../recorded.ts";

/** One thing a hand did: told by one event, or put together from presses, moves and releases. */
export interface Gesture {
  /** Says what was done, where and to what. */
  readonly event: SessionEvent;
  /** The recorded events it stands for; `event` itself when nothing was put together. */
  readonly events: readonly SessionEvent[];
  readonly endMs: number;
  /** How long the button was held, when presses and releases were recorded. */
  readonly heldMs?: number;
  readonly inferred: readonly string[];
}

/** An event that is in no action, with why. */
export interface Unused {
  readonly event: SessionEvent;
  readonly code: string;
}

export function plainGesture(event: SessionEvent): Gesture {
  return { event, events: [event], endMs: event.timeMs, inferred: [] };
}

/** The event as one of another type: what raw presses amount to. */
export function retyped(event: SessionEvent, type: EventTypeName, more: Partial<SessionEvent> = {}): SessionEvent {
  const { customType: _, ...rest } = event;
  return { ...rest, ...more, type };
}

/** A custom event's name without case and marks between words; "" of an event that is none. */
export function nameOf({ type, customType = "" }: SessionEvent): string {
  return type === "custom" ? customType.toLowerCase().replace(/[^a-z0-9]/g, "") : "";
}

export function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
