import type { MessageInitShape } from "@bufbuild/protobuf";
import { type EventSchema, EventType, type KeySchema } from "../../../wire/gen/sluice/v1/event_pb.ts";
import { domKey } from "../desktop-keys.ts";
import { type JsonObject, number, text } from "../lenient.ts";

/** What a line of raw input says that has a field of its own, but for its time. */
export type InputFields = Pick<MessageInitShape<typeof EventSchema>, "type" | "customType" | "pointer" | "key" | "id">;

/**
 * Raw input has the DOM's names, as `reduce` puts it together: mousemove, mousedown, mouseup, keyup.
 * undefined for a line that is none, or says no more of itself than that: the daemon sets it aside.
 */
export function inputFields(line: JsonObject): InputFields | undefined {
  const told = fieldsOf(line);
  const index = number(line.event_idx);
  return told && { ...told, ...(index !== undefined && { id: String(index) }) };
}

function fieldsOf(line: JsonObject): InputFields | undefined {
  const place = placeOf(line);
  switch (line.action) {
    case "move":
      return place && { type: EventType.CUSTOM, customType: "mousemove", pointer: place };
    case "click":
      return place && button(line, place);
    case "scroll":
      return place && scroll(line, place);
    case "press":
      return { type: EventType.KEY, key: keyOf(line) };
    case "release":
      return { type: EventType.CUSTOM, customType: "keyup", key: keyOf(line) };
    default: {
      const customType = short(line.action);
      if (customType === "") return undefined;
      return { type: EventType.CUSTOM, customType, ...(place && { pointer: place }) };
    }
  }
}

interface Place {
  readonly x: number;
  readonly y: number;
}

/** Pixels of the screen, as the system counts them for programs. */
export function placeOf(line: JsonObject): Place | undefined {
  const x = number(line.x);
  const y = number(line.y);
  return x === undefined || y === undefined ? undefined : { x, y };
}

/** A press or a release. A button that the DOM has no number for is told under its own name. */
function button(line: JsonObject, place: Place): InputFields | undefined {
  if (typeof line.pressed !== "boolean") return undefined;
  const name = short(line.button);
  if (name === "") return undefined;
  const known = BUTTONS.get(name);
  const way = line.pressed ? "down" : "up";
  if (known === undefined) return { type: EventType.CUSTOM, customType: `${name}_${way}`, pointer: place };
  return { type: EventType.CUSTOM, customType: `mouse${way}`, pointer: { ...place, button: known } };
}

/** As MouseEvent.button counts them; X11 numbers the last two. */
const BUTTONS: ReadonlyMap<string, number> = new Map([
  ["left", 0],
  ["middle", 1],
  ["right", 2],
  ["x1", 3],
  ["button8", 3],
  ["x2", 4],
  ["button9", 4],
]);

/** In notches of the wheel; away from the hand, which is up, is positive. */
function scroll({ dx, dy }: JsonObject, place: Place): InputFields | undefined {
  const [right, up] = [number(dx), number(dy)];
  if (right === undefined || up === undefined) return undefined;
  return { type: EventType.SCROLL, pointer: { ...place, deltaX: right, deltaY: 0 - up } };
}

/** Which modifiers are held is told by their own presses and releases. */
function keyOf(line: JsonObject): MessageInitShape<typeof KeySchema> {
  const name = short(line.name);
  const [, side] = /^[a-z]+_([lr])$/.exec(name) ?? [];
  if (side !== undefined) {
    const key = domKey(name.slice(0, -2));
    return { key, code: `${key}${side === "l" ? "Left" : "Right"}` };
  }
  // A key that put in no character is told by its number and the letter on it, which is a capital.
  const number = /^<(\d+)>$/.exec(text(line.pynput_key))?.[1];
  if (number !== undefined && number === String(name.charCodeAt(0)) && /^[A-Z0-9]$/.test(name)) {
    return { key: name.toLowerCase(), code: /\d/.test(name) ? `Digit${name}` : `Key${name}` };
  }
  if ([...name].length > 1) return { key: name === UNKNOWN ? "" : domKey(name.replace(/[ _]/g, "")) };
  // With Ctrl held a letter is told as the control character that terminals make of the two.
  const control = name.charCodeAt(0);
  return { key: control >= 1 && control <= 26 ? String.fromCharCode(control + 96) : name };
}

/** A name is short; one that is not is cut. */
function short(value: unknown): string {
  return text(value).slice(0, MAX_NAME).toWellFormed();
}

const UNKNOWN = "$Unknown$";
const MAX_NAME = 200;
