import { createHash } from "node:crypto";
import { join } from "node:path";
import type { SessionInfo } from "../store/store.ts";
import { badCapture, listDirectory, readHead, readText, statIfThere } from "./file-access.ts";
import type { Importer, RecordedEvent, Recording } from "./importer.ts";
import { elementTexts } from "./json-spans.ts";
import { isObject, type JsonObject, text } from "./lenient.ts";
import { StepReader } from "./recorder-steps.ts";

/** Recordings of the Chrome DevTools Recorder: a JSON file, or a directory of such files. */
export class RecorderImporter implements Importer {
  readonly name = "Chrome DevTools recording";

  async sniff(path: string, signal: AbortSignal): Promise<boolean> {
    for (const file of await candidateFiles(path, signal)) {
      const head = (await readHead(file, SNIFF_BYTES, signal)).toString("utf8");
      if (/^\uFEFF?\s*\{/.test(head) && /"steps"\s*:\s*\[\s*(\]|\{)/.test(head) && SIGNS.test(head)) return true;
    }
    return false;
  }

  async *open(path: string, signal: AbortSignal): AsyncIterable<Recording> {
    for (const file of await candidateFiles(path, signal)) {
      yield recordingOf(file, await readText(file, MAX_FILE_BYTES, signal));
    }
  }
}

/** The file itself, or the JSON files of a directory. */
async function candidateFiles(path: string, signal: AbortSignal): Promise<readonly string[]> {
  const stats = await statIfThere(path, signal);
  if (stats?.isFile()) return [path];
  if (!stats?.isDirectory()) return [];
  const entries = await listDirectory(path, signal);
  return entries.filter((e) => e.isFile() && e.name.endsWith(".json")).map((e) => join(path, e.name));
}

interface Step {
  readonly value: JsonObject;
  /** Exactly as it is in the file. */
  readonly json: string;
}

function recordingOf(path: string, file: string): Recording {
  const { steps, rest } = parse(path, file);
  const events = [...readEvents(steps)];
  const besides = written(path, rest);
  const info = infoOf(steps, rest, besides);
  if (JSON.stringify(info).length > MAX_INFO_BYTES) {
    const problem = `what it says beside its steps is longer than ${MAX_INFO_BYTES} bytes`;
    throw badCapture({ path, problem, fix: "take out what is no step" });
  }
  return {
    session: sessionOf(steps, besides),
    stream: "main",
    info,
    eventCount: events.length,
    absent: ["times", "screenshots", "places of the pointer", "boxes of elements", "elements but for their selectors"],
    account: async () => ({
      items: steps.length,
      told: events.length,
      context: steps.length - events.length,
      duplicate: 0,
    }),
    where: (seq) => `${path}: steps.${events[Number(seq) - 1]?.step ?? "?"}`,
    events: async function* (fromSeq) {
      yield* events.slice(Number(fromSeq) - 1);
    },
    blobs: async function* () {},
  };
}

function parse(path: string, file: string): { readonly steps: readonly Step[]; readonly rest: JsonObject } {
  const fix = "a recording of the DevTools Recorder has steps, each an object with a type";
  let recording: unknown;
  try {
    recording = JSON.parse(file);
  } catch (cause) {
    throw badCapture({ path, problem: "it is not JSON, or was cut off", fix: "export it again", cause });
  }
  if (!isObject(recording) || !Array.isArray(recording.steps)) {
    throw badCapture({ path, field: "steps", problem: "not a valid value", fix });
  }
  const { steps: values, ...rest } = recording;
  const texts = elementTexts(file, "steps");
  const steps = recording.steps.map((value: unknown, index) => {
    if (isObject(value)) return { value, json: texts[index] ?? "" };
    throw badCapture({ path, field: `steps.${index}`, problem: "it is no object", fix });
  });
  return { steps, rest };
}

/** What can be read can be nested too deep to be written. */
function written(path: string, rest: JsonObject): string {
  try {
    return JSON.stringify(rest);
  } catch (cause) {
    const problem = "what it says beside its steps is nested too deep";
    throw badCapture({ path, problem, fix: "take out what is no step", cause });
  }
}

function* readEvents(steps: readonly Step[]): Iterable<RecordedEvent & { readonly step: number }> {
  const reader = new StepReader();
  let seq = 1n;
  for (const [step, { value, json }] of steps.entries()) {
    const event = reader.read(value, json, seq);
    if (event === undefined) continue;
    yield { seq, event, blobs: [], step };
    seq += 1n;
  }
}

/** The format has no id, and its title is no name: what was recorded is what makes it this recording. */
function sessionOf(steps: readonly Step[], besides: string): string {
  const hash = createHash("sha256").update(besides);
  for (const { json } of steps) hash.update("\n").update(json);
  return `recorder-${hash.digest("hex").slice(0, 32)}`;
}

function infoOf(steps: readonly Step[], rest: JsonObject, rawJson: string): SessionInfo {
  return {
    task: text(rest.title),
    collector: "Chrome DevTools Recorder",
    startUrl: text(steps.find(({ value }) => value.type === "navigate")?.value.url),
    userAgent: "",
    labels: [
      { name: "format", value: "devtools-recorder" },
      { name: "times", value: "order-only" },
    ],
    rawJson,
  };
}

/** What only a recording has beside its steps, whichever stand first. */
const SIGNS = /"title"\s*:|"type"\s*:\s*"(navigate|setViewport|click|doubleClick|change|keyDown|scroll|hover)"/;
/** What the daemon takes. */
const MAX_INFO_BYTES = 256 * 1024;
const SNIFF_BYTES = 64 * 1024;
/** A recording is held in memory whole; those of hours have some 100 KB. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;
