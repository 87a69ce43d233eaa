import { isUtf8 } from "node:buffer";
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { EventSchema, EventType, EventTypeSchema } from "../../wire/gen/sluice/v1/event_pb.ts";
import type { Limits } from "../limits.ts";
import { nestsDeeper } from "./json-depth.ts";

/** What the ingest path needs to know of an event, read without decoding it. */
export interface EventFacts {
  readonly timeMs: number;
  /** Name of the type in lower case: "click". */
  readonly type: string;
  readonly url: string;
  readonly title: string;
  readonly blobs: readonly string[];
}

/** Why an event is invalid. `path` is empty for the event as a whole. Never holds a value of the event. */
interface Flaw {
  readonly path: string;
  readonly reason: string;
}

export type CheckResult = { readonly facts: EventFacts } | { readonly flaw: Flaw };

/**
 * Checks an encoded sluice.v1.Event: that it is well-formed against its descriptor (wire types,
 * lengths, UTF-8, finite numbers), and that it says when and what. Walks the bytes once and
 * decodes only the few fields it hands out: about a tenth of the cost of decoding the message.
 * Fields the descriptor does not know are kept and only checked for shape.
 *
 * `bytes` must be a view into a buffer whose content does not change during the call.
 */
export function checkEvent(bytes: Uint8Array, seq: bigint, limits: Limits): CheckResult {
  if (bytes.length > limits.eventBytes) {
    return flaw("", `is ${bytes.length} bytes long; the limit is ${limits.eventBytes}`);
  }
  const walk = new Walk(bytes);
  if (!walk.message(EVENT, 0, bytes.length)) {
    return flaw(walk.path(), walk.reason);
  }
  return judge(walk, seq, limits);
}

function judge(walk: Walk, seq: bigint, limits: Limits): CheckResult {
  const sent = walk.varints.get("seq") ?? 0n;
  if (sent !== 0n && sent !== seq) return flaw("seq", `is ${sent}, but the event stands at ${seq}`);
  const timeMs = Number(BigInt.asIntN(64, walk.varints.get("time_ms") ?? 0n));
  if (timeMs <= 0 || timeMs > MAX_TIME_MS) {
    return flaw("time_ms", "must be milliseconds since 1970, above 0 and before the year 10000");
  }
  const type = TYPE_NAMES.get(Number(walk.varints.get("type") ?? 0n));
  if (type === undefined) {
    return flaw("type", "is not in the vocabulary; use EVENT_TYPE_CUSTOM with custom_type for your own");
  }
  const custom = walk.text("custom_type");
  if ((type === "custom") !== (custom !== "")) {
    return flaw(
      "custom_type",
      type === "custom" ? "is required with EVENT_TYPE_CUSTOM" : "goes with EVENT_TYPE_CUSTOM only",
    );
  }
  if (walk.length("id") > MAX_ID_BYTES) return flaw("id", `is longer than ${MAX_ID_BYTES} bytes`);
  const blobs: string[] = [];
  for (const [start, end] of walk.screenshots) {
    const id = walk.slice(start, end);
    if (!BLOB_ID.test(id))
      return flaw(`screenshots[${blobs.length}].blob_id`, "must be 64 lower-case hexadecimal digits");
    blobs.push(id);
  }
  if (blobs.length > MAX_SCREENSHOTS) return flaw("screenshots", `are more than ${MAX_SCREENSHOTS}`);
  if (walk.tooDeep("raw_json", limits.depth)) return flaw("raw_json", `is nested deeper than ${limits.depth} levels`);
  return { facts: { timeMs, type, url: walk.text("url"), title: walk.text("title"), blobs } };
}

const MAX_TIME_MS = 253_402_300_799_999;
const MAX_ID_BYTES = 256;
const MAX_SCREENSHOTS = 64;
export const BLOB_ID: RegExp = /^[0-9a-f]{64}$/;

const TYPE_NAMES: ReadonlyMap<number, string> = new Map(
  EventTypeSchema.values
    .filter((value) => value.number !== EventType.UNSPECIFIED)
    .map((value) => [value.number, value.localName.toLowerCase()]),
);

function flaw(path: string, reason: string): CheckResult {
  return { flaw: { path, reason } };
}

/** One message type as the walk needs it: fields by number. */
interface Plan {
  readonly fields: readonly (FieldPlan | undefined)[];
}

interface FieldPlan {
  readonly name: string;
  readonly wire: number;
  readonly kind: "varint" | "double" | "string" | "bytes" | "message" | "fixed";
  readonly child: Plan | undefined;
  readonly repeated: boolean;
  /** Remember where the value is. Only for names that occur once among the captured messages. */
  readonly capture: "no" | "varint" | "range" | "screenshot" | "blob";
}

const CAPTURED: ReadonlyMap<string, FieldPlan["capture"]> = new Map([
  ["Event.seq", "varint"],
  ["Event.time_ms", "varint"],
  ["Event.type", "varint"],
  ["Event.id", "range"],
  ["Event.custom_type", "range"],
  ["Event.raw_json", "range"],
  ["Page.url", "range"],
  ["Page.title", "range"],
  ["Event.screenshots", "screenshot"],
  ["Screenshot.blob_id", "blob"],
]);

function compile(message: DescMessage): Plan {
  const fields: (FieldPlan | undefined)[] = [];
  for (const field of message.fields) {
    fields[field.number] = {
      name: field.name,
      ...shape(field),
      child: field.message === undefined ? undefined : compile(field.message),
      repeated: field.fieldKind === "list",
      capture: CAPTURED.get(`${message.name}.${field.name}`) ?? "no",
    };
  }
  return { fields };
}

function shape(field: DescField): Pick<FieldPlan, "wire" | "kind"> {
  if (field.message !== undefined) return { wire: 2, kind: "message" };
  if (field.scalar === undefined) return { wire: 0, kind: "varint" };
  switch (field.scalar) {
    case ScalarType.STRING:
      return { wire: 2, kind: "string" };
    case ScalarType.BYTES:
      return { wire: 2, kind: "bytes" };
    case ScalarType.DOUBLE:
      return { wire: 1, kind: "double" };
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return { wire: 1, kind: "fixed" };
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return { wire: 5, kind: "fixed" };
    default:
      return { wire: 0, kind: "varint" };
  }
}

const EVENT = compile(EventSchema);

class Walk {
  reason = "";
  readonly varints = new Map<string, bigint>();
  /** Where each screenshot's blob id is; empty in one that names none. */
  readonly screenshots: [number, number][] = [];
  readonly #ranges = new Map<string, [number, number]>();
  readonly #bytes: Uint8Array;
  readonly #trail: string[] = [];
  #at = 0;
  #low = 0;
  #high = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  path(): string {
    return this.#trail.join(".");
  }

  length(name: string): number {
    const range = this.#ranges.get(name);
    return range === undefined ? 0 : range[1] - range[0];
  }

  text(name: string): string {
    const range = this.#ranges.get(name);
    return range === undefined ? "" : this.slice(range[0], range[1]);
  }

  slice(start: number, end: number): string {
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + start, end - start).toString("utf8");
  }

  tooDeep(name: string, limit: number): boolean {
    const range = this.#ranges.get(name);
    return range !== undefined && nestsDeeper(this.#bytes, range[0], range[1], limit);
  }

  /** Walks the fields between `start` and `end`; false with `reason` and a path when something is wrong. */
  message(plan: Plan, start: number, end: number): boolean {
    this.#at = start;
    let counts: number[] | undefined;
    while (this.#at < end) {
      if (!this.#varint(end)) return this.#fail("ends in the middle of a field");
      const number = this.#low >>> 3;
      const wire = this.#low & 7;
      if (number === 0 || this.#high !== 0) return this.#fail("has a field with an impossible number");
      const field = plan.fields[number];
      if (field === undefined) {
        if (!this.#skip(wire, end)) return this.#fail(`has an unknown field ${number} that is malformed`);
        continue;
      }
      if (field.repeated) {
        counts ??= [];
        const index = counts[number] ?? 0;
        counts[number] = index + 1;
        this.#trail.push(`${field.name}[${index}]`);
      } else {
        this.#trail.push(field.name);
      }
      if (wire !== field.wire) return this.#fail(`has wire type ${wire} where ${field.wire} is expected`);
      if (!this.#value(field, end)) return false;
      this.#trail.pop();
    }
    return true;
  }

  #value(field: FieldPlan, end: number): boolean {
    if (field.wire === 0) {
      if (!this.#varint(end)) return this.#fail("is cut short");
      if (field.capture === "varint") {
        this.varints.set(field.name, (BigInt(this.#high >>> 0) << 32n) | BigInt(this.#low >>> 0));
      }
      return true;
    }
    if (field.wire === 1 || field.wire === 5) {
      const size = field.wire === 1 ? 8 : 4;
      if (end - this.#at < size) return this.#fail("is cut short");
      this.#at += size;
      if (field.kind === "double" && this.#notFinite()) return this.#fail("is not a finite number");
      return true;
    }
    if (!this.#varint(end)) return this.#fail("is cut short");
    const length = this.#low >>> 0;
    if (this.#high !== 0 || length > end - this.#at) return this.#fail("is longer than what is left of the event");
    const start = this.#at;
    const stop = start + length;
    if (field.capture === "screenshot") this.screenshots.push([start, start]);
    if (field.child !== undefined) {
      if (!this.message(field.child, start, stop)) return false;
    } else if (field.kind === "string" && !this.#utf8(start, stop)) {
      return this.#fail("is not valid UTF-8");
    }
    if (field.capture === "range") this.#ranges.set(field.name, [start, stop]);
    else if (field.capture === "blob") this.screenshots.splice(-1, 1, [start, stop]);
    this.#at = stop;
    return true;
  }

  #skip(wire: number, end: number): boolean {
    if (wire === 0) return this.#varint(end);
    if (wire === 2) {
      if (!this.#varint(end) || this.#high !== 0) return false;
      this.#at += this.#low >>> 0;
    } else if (wire === 1) this.#at += 8;
    else if (wire === 5) this.#at += 4;
    else return false;
    return this.#at <= end;
  }

  /** Reads up to ten bytes into low and high 32 bits. */
  #varint(end: number): boolean {
    const bytes = this.#bytes;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#at >= end) return false;
      const byte = bytes[this.#at++] ?? 0;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high |= bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.#low = low;
        this.#high = high;
        return true;
      }
    }
    return false;
  }

  /** Whether the double that ends at the cursor is an infinity or not a number. */
  #notFinite(): boolean {
    const top = this.#bytes[this.#at - 1] ?? 0;
    const next = this.#bytes[this.#at - 2] ?? 0;
    return (top & 0x7f) === 0x7f && next >= 0xf0;
  }

  /** Short strings are looked at here: the call into native code costs more than they do. */
  #utf8(start: number, end: number): boolean {
    if (end - start < 64) {
      let index = start;
      while (index < end && (this.#bytes[index] ?? 0) < 0x80) index++;
      if (index === end) return true;
    }
    return isUtf8(this.#bytes.subarray(start, end));
  }

  #fail(reason: string): false {
    this.reason = reason;
    return false;
  }
}
