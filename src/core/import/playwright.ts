import type { SessionInfo } from "../store/store.ts";
import type { Account } from "./account.ts";
import { badCapture } from "./file-access.ts";
import type { Importer, RecordedBlob, Recording } from "./importer.ts";
import { at, text } from "./lenient.ts";
import { splitLines } from "./lines.ts";
import { sessionId } from "./session-id.ts";
import { readEvents } from "./trace/events.ts";
import { openTraceFiles, type TraceFiles } from "./trace/files.ts";
import { type ContextHead, readHead, type TraceHead, traceFiles } from "./trace/heads.ts";
import { isZip } from "./zip.ts";

/**
 * Traces of Playwright: a zip archive, a directory with what is in one, or a trace file in it. Its
 * other recordings, reports and HARs, tell of no one who does something: they are refused as such.
 */
export class PlaywrightImporter implements Importer {
  readonly name = "Playwright trace";

  async sniff(path: string, signal: AbortSignal): Promise<boolean> {
    const files = await openTraceFiles(path, signal);
    if (files === undefined) return false;
    return (await holdsTrace(files, signal)) || (await otherKind(path, files, signal)) !== undefined;
  }

  holdsOne(directory: string, signal: AbortSignal): Promise<boolean> {
    return this.sniff(directory, signal);
  }

  async *open(path: string, signal: AbortSignal): AsyncIterable<Recording> {
    const files = await openTraceFiles(path, signal);
    if (files === undefined) return;
    if (!(await holdsTrace(files, signal))) throw notTrace(path, (await otherKind(path, files, signal)) ?? "");
    const head = await readHead(files, signal);
    for (const [index, context] of head.contexts.entries()) {
      yield recordingOf(files, head, context, index === 0 ? othersIn(files, head) : []);
    }
  }
}

async function holdsTrace(files: TraceFiles, signal: AbortSignal): Promise<boolean> {
  for (const name of traceFiles(files)) {
    if (/^\s*\{.*"type"\s*:\s*"[\w-]+"/.test(await startOf(files, name, signal))) return true;
  }
  return false;
}

async function startOf(files: TraceFiles, name: string, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of files.read(name, signal)) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= SNIFF_BYTES) break;
  }
  return Buffer.concat(chunks).toString("utf8", 0, SNIFF_BYTES);
}

/** What it is, if it is something else that Playwright writes. */
async function otherKind(path: string, files: TraceFiles, signal: AbortSignal): Promise<string | undefined> {
  const [only] = files.top;
  if (files.top.includes("report.jsonl")) return "a blob report: it holds the results of tests";
  if (only === undefined || files.top.length !== 1) return undefined;
  const isHar = /^\s*\{\s*"log"\s*:\s*\{/.test(await startOf(files, only, signal));
  const isPlain = files.pathOf(only) === path && !(await isZip(path, signal));
  return isHar && (isPlain || only.endsWith(".har")) ? "a HAR: it holds what was sent over the network" : undefined;
}

function notTrace(path: string, problem: string) {
  return badCapture({
    path,
    problem: `it is ${problem}, and no recording of what someone did`,
    fix: "push the trace of the same run",
  });
}

/** The files of a trace that tell nothing that happened on a page, but of it. */
function othersIn(files: TraceFiles, { runners }: TraceHead): readonly string[] {
  return [...runners, ...files.top.filter((name) => /\.(network|stacks)$/.test(name))];
}

function recordingOf(files: TraceFiles, head: TraceHead, context: ContextHead, others: readonly string[]): Recording {
  const lines: number[] = [];
  return {
    session: `playwright-${head.hash.slice(0, 32)}`,
    stream: sessionId(context.file.replace(/\.trace$/, "")),
    info: infoOf(context),
    eventCount: undefined,
    absent: [
      "boxes of elements other than those acted on",
      "elements under the mouse",
      "presses and releases within an action",
      ...(context.version < BOXES ? ["boxes of elements"] : []),
    ],
    account: (signal) => accountOf(files, context, others, signal),
    where: (seq) => `${files.where(context.file)}:${lines[Number(seq) - 1] ?? "?"}`,
    async *events(fromSeq, signal) {
      for await (const { seq, event, blobs, line } of readEvents(files, context, signal)) {
        lines[Number(seq) - 1] = line;
        if (seq >= fromSeq) yield { seq, event, blobs };
      }
    },
    blobs: (signal) => readBlobs(files, context, signal),
  };
}

async function* readBlobs(files: TraceFiles, context: ContextHead, reading: AbortSignal): AsyncIterable<RecordedBlob> {
  const told = new Set<string>();
  for await (const { shot } of readEvents(files, context, reading)) {
    if (shot === undefined || told.has(shot.id)) continue;
    told.add(shot.id);
    const { id, size, mediaType, file } = shot;
    const path = files.pathOf(file);
    yield { id, size, mediaType, path, read: (offset, signal) => files.read(file, signal, offset) };
  }
}

/** Every line of the trace is an item; those that an event is made of are told, and all others are context. */
async function accountOf(
  files: TraceFiles,
  context: ContextHead,
  others: readonly string[],
  signal: AbortSignal,
): Promise<Account> {
  let items = 0;
  for (const name of [context.file, ...others]) {
    for await (const _ of splitLines(files.read(name, signal), files.where(name), MAX_LINE_BYTES)) items += 1;
  }
  let told = 0;
  for await (const { records } of readEvents(files, context, signal)) told += records;
  return { items, told, context: items - told, duplicate: 0 };
}

function infoOf({ version, options, json, startUrl }: ContextHead): SessionInfo {
  const labels = [
    { name: "format", value: "playwright-trace" },
    // Each call says how many clicks it makes; two quick calls are no double click.
    { name: "clicks", value: "counted" },
    { name: "trace_version", value: String(version) },
    { name: "browser", value: text(options.browserName) },
    { name: "platform", value: text(options.platform) },
  ];
  return {
    task: text(options.title),
    collector: `Playwright ${text(options.playwrightVersion)}`.trim(),
    startUrl,
    userAgent: text(at(options, "options", "userAgent")),
    labels: labels.filter(({ value }) => value !== ""),
    rawJson: json.length <= MAX_HEAD_CHARACTERS ? json : JSON.stringify({ version, leftOut: "it is too long" }),
  };
}

/** From this version on a call's input says where the element was. */
const BOXES = 10;
/** The daemon takes 256 KiB for all that is told of a session. */
const MAX_HEAD_CHARACTERS = 64 * 1024;
const MAX_LINE_BYTES = 64 * 1024 * 1024;
const SNIFF_BYTES = 64 * 1024;
