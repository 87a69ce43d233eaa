import { badCapture } from "../file-access.ts";
import { type JsonObject, number } from "../lenient.ts";
import { readLines } from "../lines.ts";
import { Recent } from "../recent.ts";
import { parse } from "./rows.ts";

/** A line of raw input that is told as an event. */
export interface InputLine {
  /** From 1. */
  readonly number: number;
  /** Exactly as it is in the file. */
  readonly json: string;
  /** undefined when it is no JSON object: damaged, or cut off. */
  readonly value: JsonObject | undefined;
  /** Seconds of the recorder's clock; of a line that says none, those of the line before. */
  readonly time: number;
  /** What the recorder says of itself before it, and after the last one: that it paused, that it went on. */
  readonly notes: readonly string[];
  readonly isLast: boolean;
}

export interface LineCounts {
  items: number;
  told: number;
  context: number;
  duplicate: number;
}

/**
 * The lines of a file of raw input, each counted in `counts`. Empty ones are none. A second recording
 * behind the first is refused with BAD_CAPTURE: its acts are none of the first's.
 */
export async function* readInput(
  path: string,
  counts: LineCounts,
  signal: AbortSignal,
): AsyncGenerator<InputLine, void> {
  const recent = new Recent();
  let held: (InputLine & { readonly notes: string[] }) | undefined;
  let notes: string[] = [];
  let time = 0;
  for await (const line of readLines(path, MAX_LINE_BYTES, signal)) {
    const json = line.text().trim();
    if (json === "") continue;
    const value = parse(json);
    const kind = recent.isAgain(json) ? "duplicate" : isNote(value) ? "context" : "told";
    if (kind === "told" && value?.event_idx === 0 && (number(held?.value?.event_idx) ?? 0) > 0) {
      const problem = "it counts from 0 again: another recording begins here";
      const fix = "put each into a directory of its own";
      throw badCapture({ path, line: line.number, field: "event_idx", problem, fix });
    }
    counts.items += 1;
    counts[kind] += 1;
    if (kind === "context" && notes.length < MAX_NOTES) notes.push(json);
    if (kind !== "told") continue;
    if (held !== undefined) yield held;
    time = number(value?.time_stamp) ?? time;
    held = { number: line.number, json, value, time, notes, isLast: false };
    notes = [];
  }
  if (held !== undefined) yield { ...held, notes: [...held.notes, ...notes], isLast: true };
}

/** Nobody does anything in what is recorded: the recorder itself is stopped for a while. */
function isNote(value: JsonObject | undefined): boolean {
  return value?.action === "pause" || value?.action === "resume";
}

/** Whether it is a line of raw input: what tools make of one has more in it. */
export function isInput(value: JsonObject | undefined): boolean {
  if (value === undefined || typeof value.action !== "string" || number(value.time_stamp) === undefined) return false;
  return ACTIONS.has(value.action) && !("start_time" in value);
}

const ACTIONS: ReadonlySet<string> = new Set(["move", "click", "scroll", "press", "release", "pause", "resume"]);
const MAX_NOTES = 64;
/** The longest ones have some 150 bytes. An event of the default limit holds as much. */
const MAX_LINE_BYTES = 1024 * 1024;
