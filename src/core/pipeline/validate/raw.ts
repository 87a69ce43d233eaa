import { create } from "@bufbuild/protobuf";
import { type Event, EventSchema } from "../../../wire/gen/sluice/v1/event_pb.ts";
import { GROUPS, interactionFields, isInteraction } from "../../import/codesight-event.ts";
import { interactionTime } from "../../import/codesight-time.ts";
import { isObject, type JsonObject, objectIn } from "../../import/lenient.ts";
import type { Report } from "./findings.ts";

/** An event with what its raw record says besides. */
export interface Read {
  readonly sent: Event;
  /** The collector's own count, as far as it has one. Restarts at each page load in some recordings. */
  readonly sequence: number | undefined;
}

/**
 * Reads the raw record that came with an event; anything can be in it. Fields that the collector left
 * empty are filled from a record in a shape that is known: CodeSight's. The other formats' importers
 * set every field there is.
 */
export function readRaw(sent: Event, report: Report): Read {
  const record = parseRecord(sent.rawJson, report);
  if (record === undefined) return { sent, sequence: undefined };
  if (typeof record.timestamp === "string") report("RAW_TIME_STRING", "raw_json.timestamp");
  return { sent: isInteraction(record) ? filled(sent, record, report) : sent, sequence: wholeNumber(record.sequence) };
}

/** undefined for what is no object, however often it was encoded. */
function parseRecord(json: string, report: Report): JsonObject | undefined {
  if (json === "") return undefined;
  let value = parseJson(json);
  if (value === undefined) report("RAW_NOT_JSON", "raw_json");
  for (let layer = 0; typeof value === "string" && layer < MAX_LAYERS; layer += 1) {
    value = parseJson(value);
    if (isObject(value)) report("RAW_DOUBLE_ENCODED", "raw_json");
  }
  return isObject(value) ? value : undefined;
}

/** undefined when it is no JSON, which has no such value. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * What the importer reads goes into the event's own fields, so there is little to do but for a
 * collector that streams such records as they are, and for groups that were encoded twice.
 */
function filled(sent: Event, record: JsonObject, report: Report): Event {
  if (interactionTime(record) === undefined) report("RAW_TIME_MISSING", "raw_json.timestamp");
  const decoded = decodeGroups(record, report);
  if (decoded === record && sent.page !== undefined && sent.target !== undefined) return sent;
  const fields = interactionFields(decoded);
  for (const part of PARTS) {
    if (sent[part] === undefined && fields[part] !== undefined) report("RAW_FIELDS_READ", part);
  }
  const elements = sent.elements.length === 0 ? fields.elements : sent.elements;
  if (elements.length !== sent.elements.length) report("RAW_FIELDS_READ", "elements");
  const { seq, id, timeMs, type, customType, screenshots, rawJson } = sent;
  return create(EventSchema, {
    seq,
    id,
    timeMs,
    type,
    customType,
    page: sent.page ?? fields.page,
    target: sent.target ?? fields.target,
    input: sent.input ?? fields.input,
    pointer: sent.pointer ?? fields.pointer,
    key: sent.key ?? fields.key,
    before: sent.before ?? fields.before,
    after: sent.after ?? fields.after,
    screenshots,
    rawJson,
    elements,
  });
}

const PARTS = ["page", "target", "input", "pointer", "key", "before", "after"] as const;

/** The same record when no group of it is a string. */
function decodeGroups(record: JsonObject, report: Report): JsonObject {
  const groups = GROUPS.flatMap((group): [string, JsonObject][] => {
    const inner = objectIn(record[group]);
    if (inner !== undefined) report("RAW_DOUBLE_ENCODED", `raw_json.${group}`);
    return inner === undefined ? [] : [[group, inner]];
  });
  return groups.length === 0 ? record : { ...record, ...Object.fromEntries(groups) };
}

function wholeNumber(value: unknown): number | undefined {
  const number = typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value;
  return typeof number === "number" && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

/** Each layer is at least two characters shorter, so that a hostile one could be peeled for very long. */
const MAX_LAYERS = 8;
