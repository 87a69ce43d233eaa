import { AppError } from "../../errors.ts";
import { badCapture } from "../file-access.ts";
import { isObject, type JsonObject, text } from "../lenient.ts";
import { type Line, splitLines } from "../lines.ts";
import type { TraceFiles } from "./files.ts";

/** A line of a trace. */
export interface TraceRecord {
  /** From 1. */
  readonly line: number;
  /** Exactly as it is in the file. */
  readonly json: string;
  /** undefined of the last line of a trace, if its writing was cut off there. */
  readonly value: JsonObject | undefined;
}

/**
 * The lines of one trace file, one at a time. A line that is no object with a type is refused with
 * BAD_CAPTURE, but for a last one that was cut off.
 */
export async function* readRecords(
  files: TraceFiles,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<TraceRecord, void> {
  const path = files.where(name);
  for await (const line of splitLines(files.read(name, signal), path, MAX_LINE_BYTES)) {
    const json = line.ended ? line.text() : textIfWhole(line);
    const value = parse(json);
    if (value === undefined && line.ended) {
      const fix = "each line of a trace is a JSON object with a type; restore the file";
      throw badCapture({ path, line: line.number, problem: "it is not JSON, or no record of a trace", fix });
    }
    yield { line: line.number, json, value };
  }
}

/** What was cut off in the middle of a letter has no text. */
function textIfWhole(line: Line): string {
  try {
    return line.text();
  } catch (error) {
    if (error instanceof AppError) return "";
    throw error;
  }
}

/** undefined when it is no record. */
function parse(json: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isObject(value) && text(value.type) !== "" ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A page's whole snapshot is one line. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;
