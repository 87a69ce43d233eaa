import type { Report } from "./findings.ts";

/** What is read of a collector's raw record. */
export interface Raw {
  /** Its own count, as far as it has one. Restarts at each page load in some recordings. */
  readonly sequence?: number;
}

/** Reads the raw record that came with an event; anything can be in it. */
export function readRaw(json: string, report: Report): Raw {
  const record = parseRecord(json, report);
  if (record === undefined) return {};
  if (typeof record.timestamp === "string") report("RAW_TIME_STRING", "raw_json.timestamp");
  const sequence = wholeNumber(record.sequence);
  return sequence === undefined ? {} : { sequence };
}

type RawRecord = Readonly<Record<string, unknown>>;

/** undefined for what is no object, however often it was encoded. */
function parseRecord(json: string, report: Report): RawRecord | undefined {
  if (json === "") return undefined;
  let value = parseJson(json);
  if (value === undefined) report("RAW_NOT_JSON", "raw_json");
  for (let layer = 0; typeof value === "string" && layer < MAX_LAYERS; layer += 1) {
    value = parseJson(value);
    if (isRecord(value)) report("RAW_DOUBLE_ENCODED", "raw_json");
  }
  return isRecord(value) ? value : undefined;
}

/** undefined when it is no JSON, which has no such value. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is RawRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wholeNumber(value: unknown): number | undefined {
  const number = typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value;
  return typeof number === "number" && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

/** Each layer is at least two characters shorter, so that a hostile one could be peeled for very long. */
const MAX_LAYERS = 8;
