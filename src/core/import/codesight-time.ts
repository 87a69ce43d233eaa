import { parseMoment } from "../clock.ts";
import { at, type JsonObject } from "./lenient.ts";

/**
 * When an interaction happened, in whatever form and unit it is given; undefined when nothing in it
 * tells. A click has two times: `action` says when it happened, `timestamp` when all of it was gathered.
 */
export function interactionTime(record: JsonObject): number | undefined {
  return readTime(at(record, "action", "timestamp")) ?? readTime(record.timestamp);
}

/** A number, digits in a string (a BigInt's among them), or ISO 8601 with a zone. Whole and above 0. */
export function readTime(value: unknown): number | undefined {
  const number = typeof value === "string" ? parseTime(value) : value;
  if (typeof number !== "number") return undefined;
  const whole = Math.trunc(number);
  return Number.isSafeInteger(whole) && whole > 0 ? whole : undefined;
}

function parseTime(text: string): number | undefined {
  if (/^\d{1,16}n?$/.test(text)) return Number.parseInt(text, 10);
  // Without a zone it would be another time on every machine.
  return /^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(text) ? parseMoment(text, 0) : undefined;
}
