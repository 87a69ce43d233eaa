import type { Pointer, SessionEvent } from "../recorded.ts";
import { StreamNames } from "./event-names.ts";
import { substanceOf } from "./shell.ts";

/** The names of one stream's types. An event that says nothing else is left out of it, and will be out of the stream. */
export function namesOf(events: readonly SessionEvent[]): StreamNames {
  const names = new StreamNames();
  for (const event of events) {
    const { customType: _, ...rest } = event;
    if (substanceOf(rest) !== "nothing") names.note(event);
  }
  return names;
}

/** A custom event whose name is a known one in another spelling as the known one; the same object when it is none. */
export function respell(event: SessionEvent, names: StreamNames): SessionEvent {
  if (event.customType === undefined) return event;
  const meaning = names.meaningOf(event.customType);
  if (meaning === undefined) return event;
  const { type, clicks, button } = meaning;
  const { customType: _, pointer, ...rest } = event;
  if (clicks === undefined && button === undefined) return { ...rest, type, ...(pointer && { pointer }) };
  // A double click that could not be told from a single one is worse than one under its own name.
  return pointer === undefined ? event : { ...rest, type, pointer: pointerSaying(pointer, clicks, button) };
}

function pointerSaying(pointer: Pointer, clicks = 0, button = 0): Pointer {
  return {
    ...pointer,
    clicks: Math.max(pointer.clicks, clicks),
    button: pointer.button === 0 ? button : pointer.button,
  };
}
