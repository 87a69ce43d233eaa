import { join } from "node:path";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { EventSchema, EventType } from "../../../wire/gen/sluice/v1/event_pb.ts";
import { DEFAULT_LIMITS } from "../../limits.ts";
import { nestsDeeper } from "../../session/json-depth.ts";
import { at, isObject, type JsonObject } from "../lenient.ts";
import { type InputFields, inputFields, placeOf } from "./input.ts";
import { type InputLine, readInput } from "./lines.ts";
import { type Row, Rows } from "./rows.ts";
import { elementsIn, targetAt } from "./trees.ts";

/** What the recorder writes beside the events, by the names of its files: elements pressed, trees of windows. */
export const SIDES = ["element", "html_element", "a11y", "top_window", "html"] as const;

type Side = (typeof SIDES)[number];

export interface RawFiles {
  readonly directory: string;
  readonly events: string;
  /** Those that are there. */
  readonly sides: readonly Side[];
}

interface RawEvent {
  readonly event: Uint8Array;
  /** Its line in the file, from 1. */
  readonly line: number;
}

/**
 * The recording's events, in the file's order. A row beside them goes with the first event at or
 * after its time that is no move of the pointer; what is left at the end with the last event.
 * `originMs` is when the recorder's clock stood at 0.
 */
export async function* readEvents(
  files: RawFiles,
  originMs: number,
  signal: AbortSignal,
): AsyncGenerator<RawEvent, void> {
  await using stack = new AsyncDisposableStack();
  const sides = files.sides.map((side) => ({
    side,
    rows: stack.use(new Rows(join(files.directory, `${side}.jsonl`), signal)),
  }));
  const counts = { items: 0, told: 0, context: 0, duplicate: 0 };
  for await (const line of readInput(files.events, counts, signal)) {
    const fields = (line.value && inputFields(line.value)) ?? { type: EventType.UNSPECIFIED };
    const besides = new Besides(line);
    for (const { side, rows } of sides) {
      if (side === "element" && isPress(fields)) besides.addPressed(await rows.at(line.time));
      const until = line.isLast ? Number.POSITIVE_INFINITY : line.time;
      if (!line.isLast && (side === "element" || isMove(fields))) continue;
      for await (const row of rows.until(until)) besides.add(side, row);
    }
    yield { event: encode(line, fields, besides, originMs), line: line.number };
  }
}

const isMove = ({ type, customType }: InputFields): boolean =>
  type === EventType.UNSPECIFIED || customType === "mousemove";
const isPress = ({ customType }: InputFields): boolean => customType === "mousedown";

function encode(line: InputLine, fields: InputFields, besides: Besides, originMs: number): Uint8Array {
  const { pressed, tree } = besides;
  const place = line.value && placeOf(line.value);
  const target = pressed && place && targetAt(pressed, place);
  const told: MessageInitShape<typeof EventSchema> = {
    ...fields,
    timeMs: timeOf(line, originMs),
    ...(target && { target }),
    elements: tree === undefined ? [] : elementsIn(tree),
    rawJson: besides.rawJson(),
  };
  return toBinary(EventSchema, create(EventSchema, told));
}

function timeOf({ time }: InputLine, originMs: number): bigint {
  const ms = originMs + Math.round(time * 1000);
  return Number.isSafeInteger(ms) ? BigInt(ms) : 0n;
}

/** What goes with one event besides its own line. */
class Besides {
  /** The tree of the element that was pressed. */
  pressed: JsonObject | undefined;
  /** The tree of the window as it was last. */
  tree: JsonObject | undefined;
  readonly #line: InputLine;
  readonly #parts = new Map<string, string[]>();
  readonly #leftOut = new Map<string, number>();
  #bytes: number;

  constructor(line: InputLine) {
    this.#line = line;
    this.#bytes = Buffer.byteLength(line.json);
    for (const note of line.notes) this.#keep("recorder", note);
  }

  addPressed({ own, rows }: { readonly own: Row | undefined; readonly rows: readonly Row[] }): void {
    this.pressed = objectAt(own?.value, "a11y_tree");
    for (const row of rows) this.add("element", row);
  }

  add(side: Side, { json, value }: Row): void {
    if (side === "a11y") this.tree = objectAt(value, "axtree") ?? this.tree;
    if (json === undefined) this.#leaveOut(side);
    else this.#keep(side, value === undefined ? JSON.stringify(json) : json);
  }

  /** The line as it is in the file; with what goes with it, an object of both. */
  rawJson(): string {
    const { json, value } = this.#line;
    if (this.#parts.size === 0 && this.#leftOut.size === 0) return json;
    const members = [`"event":${value === undefined ? JSON.stringify(json) : json}`];
    for (const [name, texts] of this.#parts) members.push(`"${name}":[${texts.join(",")}]`);
    if (this.#leftOut.size > 0) members.push(`"leftOut":${JSON.stringify(Object.fromEntries(this.#leftOut))}`);
    return `{${members.join(",")}}`;
  }

  #keep(name: string, json: string): void {
    const bytes = Buffer.from(json);
    const isTooMuch = this.#bytes + bytes.length > MAX_RAW_BYTES;
    if (isTooMuch || nestsDeeper(bytes, 0, bytes.length, MAX_DEPTH)) {
      this.#leaveOut(name);
      return;
    }
    this.#bytes += bytes.length;
    const texts = this.#parts.get(name) ?? [];
    this.#parts.set(name, texts);
    texts.push(json);
  }

  #leaveOut(name: string): void {
    this.#leftOut.set(name, (this.#leftOut.get(name) ?? 0) + 1);
  }
}

function objectAt(value: unknown, name: string): JsonObject | undefined {
  const found = at(value, name);
  return isObject(found) ? found : undefined;
}

/** Half of what the daemon takes of an event; the elements take a fifth. */
const MAX_RAW_BYTES = DEFAULT_LIMITS.eventBytes / 2;
/** A row stands in a list in an object. */
const MAX_DEPTH = DEFAULT_LIMITS.depth - 2;
