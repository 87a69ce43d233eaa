import { createHash } from "node:crypto";
import { badCapture } from "../file-access.ts";
import { at, type JsonObject, number, text } from "../lenient.ts";
import type { TraceFiles } from "./files.ts";
import { readRecords, type TraceRecord } from "./records.ts";

/** What a trace says of itself. */
export interface TraceHead {
  /** sha256 of all its trace files, whatever holds them. Lower-case hexadecimal. */
  readonly hash: string;
  /** The files that tell of a browser, one a context, in order of their names. */
  readonly contexts: readonly ContextHead[];
  /** The file that tells what the test runner did, if there is one. */
  readonly runners: readonly string[];
}

export interface ContextHead {
  readonly file: string;
  readonly version: number;
  /** The first record, as it is in the file. */
  readonly options: JsonObject;
  readonly json: string;
  /** Where the page was first sent; "" when it was not. */
  readonly startUrl: string;
  /** Epoch milliseconds of time 0 of its records. */
  readonly originMs: number;
}

/** A page is opened at the beginning, or not by an address. */
const MAX_LINES_TO_GOTO = 1_000;
/** Versions whose records are known: Playwright 1.31 to 1.65. */
const OLDEST = 4;
const NEWEST = 10;

/**
 * Reads the trace's files. Refuses with BAD_CAPTURE a trace that says no version or one
 * that is not known, that has no time, or that tells of no browser.
 */
export async function readHead(files: TraceFiles, signal: AbortSignal): Promise<TraceHead> {
  const hash = createHash("sha256");
  const contexts: ContextHead[] = [];
  const runners: string[] = [];
  for (const file of traceFiles(files)) {
    hash.update(`${file}\n`);
    for await (const chunk of files.read(file, signal)) hash.update(chunk);
    const head = await readContext(files, file, signal);
    if (head === undefined) runners.push(file);
    else contexts.push(head);
  }
  if (contexts.length === 0) {
    const [file = ""] = runners;
    throw badCapture({
      path: files.where(file),
      problem: "it tells what a test runner did, and nothing of a browser",
      fix: "record with screenshots and snapshots",
    });
  }
  return { hash: hash.digest("hex"), contexts, runners };
}

/** The names of a trace's own files, among those at the top. */
export function traceFiles(files: TraceFiles): readonly string[] {
  return files.top.filter((name) => name.endsWith(".trace"));
}

/** undefined for a test runner's. */
async function readContext(files: TraceFiles, file: string, signal: AbortSignal): Promise<ContextHead | undefined> {
  let first: TraceRecord | undefined;
  let goto: JsonObject | undefined;
  let before: JsonObject | undefined;
  for await (const record of readRecords(files, file, signal)) {
    first ??= record;
    if (record.line > MAX_LINES_TO_GOTO) break;
    if (record.value?.type !== "before") continue;
    before ??= record.value;
    if (record.value.method !== "goto") continue;
    goto = record.value;
    break;
  }
  const options = first?.value;
  if (options === undefined) {
    throw badCapture({ path: files.where(file), problem: "there is nothing in it", fix: "restore the file" });
  }
  // Up to version 6 a test runner's file has no head; it names its own steps.
  if (options.origin === "testRunner" || (options.type !== "context-options" && options.class === "Test")) {
    return undefined;
  }
  const version = checkVersion(options, files.where(file));
  const originMs = originOf(options, before);
  if (originMs === undefined) {
    const fix = "restore the file; without it no event has a time";
    throw badCapture({ path: files.where(file), line: 1, field: "wallTime", problem: "not a valid value", fix });
  }
  const url = text(at(goto, "params", "url"));
  const startUrl = URL.parse(url, text(at(options, "options", "baseURL")) || undefined)?.href ?? url;
  return { file, version, options, json: first?.json ?? "", startUrl, originMs };
}

function checkVersion({ type, version }: JsonObject, path: string): number {
  const where = { path, line: 1, field: "version" };
  if (type !== "context-options" || typeof version !== "number" || !Number.isInteger(version)) {
    const fix = "a trace begins with its context-options, and those with its version; restore the file";
    throw badCapture({ ...where, problem: "it has no version", fix });
  }
  if (version > NEWEST) {
    const problem = `the trace is of version ${version}, newer than any that is known; the newest is ${NEWEST}`;
    throw badCapture({ ...where, problem, fix: "use a later release of Sluice" });
  }
  if (version < OLDEST) {
    const problem = `the trace is of version ${version}; those before ${OLDEST} are not read`;
    throw badCapture({ ...where, problem, fix: "record it with Playwright 1.31 or later" });
  }
  return version;
}

/** Up to version 6 each action has both times, and the head only one of them. */
function originOf({ wallTime, monotonicTime }: JsonObject, before: JsonObject | undefined): number | undefined {
  const wall = number(wallTime);
  const monotonic = number(monotonicTime);
  if (wall !== undefined && monotonic !== undefined) return wall - monotonic;
  const started = number(before?.startTime);
  const began = number(before?.wallTime) ?? wall;
  if (began !== undefined && started !== undefined) return began - started;
  return before === undefined ? wall : undefined;
}
