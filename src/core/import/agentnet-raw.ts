import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { parseMoment } from "../clock.ts";
import type { SessionInfo } from "../store/store.ts";
import type { Account } from "./account.ts";
import { listDirectory, readHead, readText, statIfThere, subdirectories } from "./file-access.ts";
import type { Importer, RecordedEvent, Recording } from "./importer.ts";
import { type JsonObject, number, text } from "./lenient.ts";
import { countLines } from "./lines.ts";
import { Places } from "./places.ts";
import { type RawFiles, readEvents, SIDES } from "./raw-input/events.ts";
import { isInput, readInput } from "./raw-input/lines.ts";
import { parse } from "./raw-input/rows.ts";

/**
 * What the recorder of AgentNet and OpenCUA writes of a desktop: a directory with every move, press
 * and release in events.jsonl, and beside them the elements that were pressed, trees of windows, and
 * what the task was; or a directory of such.
 */
export class AgentNetRawImporter implements Importer {
  readonly name = "AgentNet raw recording";

  async sniff(path: string, signal: AbortSignal): Promise<boolean> {
    return (await recordingsAt(path, signal)).length > 0;
  }

  async holdsOne(directory: string, signal: AbortSignal): Promise<boolean> {
    return await beginsWithInput(join(directory, EVENTS), signal);
  }

  async *open(path: string, signal: AbortSignal): AsyncIterable<Recording> {
    for (const events of await recordingsAt(path, signal)) yield await openRecording(events, signal);
  }
}

const EVENTS = "events.jsonl";

/**
 * The files of raw input: the file itself, the one of a directory, or those of the directories in it,
 * if each of them has one: what else lies there would be passed over.
 */
async function recordingsAt(path: string, signal: AbortSignal): Promise<readonly string[]> {
  const stats = await statIfThere(path, signal);
  const own = stats?.isDirectory() === true ? join(path, EVENTS) : path;
  if (await beginsWithInput(own, signal)) return [own];
  const files = (await subdirectories(path, signal)).map((directory) => join(directory, EVENTS));
  for (const file of files) if (!(await beginsWithInput(file, signal))) return [];
  return files;
}

/** By its first lines: the very first may be damaged. */
async function beginsWithInput(file: string, signal: AbortSignal): Promise<boolean> {
  if ((await statIfThere(file, signal))?.isFile() !== true) return false;
  const head = (await readHead(file, SNIFF_BYTES, signal)).toString("utf8");
  return head
    .split("\n", SNIFF_LINES)
    .map(parse)
    .some((value) => isInput(value));
}

/** What is known of a recording before its events are read. */
interface Head {
  readonly id: string;
  /** Of the recorder's clock, in seconds. */
  readonly firstTime: number;
  readonly metadata: Described;
  readonly task: Described;
}

interface Described {
  readonly value: JsonObject | undefined;
  /** JSON; "" where there is no file. */
  readonly json: string;
}

async function openRecording(events: string, signal: AbortSignal): Promise<Recording> {
  const directory = dirname(events);
  const names = new Set((await listDirectory(directory, signal)).filter((e) => e.isFile()).map((e) => e.name));
  const sides = SIDES.filter((side) => names.has(`${side}.jsonl`));
  const head = await readHeadOf(events, signal);
  return recordingOf({ directory, events, sides }, head, [...names].filter(isBeside(basename(events))).toSorted());
}

/** Whether it is a file of the recording's with rows in it; what a tool made of the events is among them. */
const isBeside =
  (events: string) =>
  (name: string): boolean =>
    name.endsWith(".jsonl") && name !== events;

/** The first lines tell a recording from every other: their times have seven digits of a second. */
async function readHeadOf(events: string, signal: AbortSignal): Promise<Head> {
  const hash = createHash("sha256");
  let firstTime: number | undefined;
  let lines = 0;
  for await (const { json, value } of readInput(events, noCounts(), signal)) {
    hash.update(json).update("\n");
    firstTime ??= number(value?.time_stamp);
    lines += 1;
    if (lines >= HEAD_LINES) break;
  }
  const directory = dirname(events);
  return {
    id: `agentnet-${hash.digest("hex").slice(0, 32)}`,
    firstTime: firstTime ?? 0,
    metadata: await readDescribed(join(directory, "metadata.json"), signal),
    task: await readDescribed(join(directory, "task_name.json"), signal),
  };
}

async function readDescribed(path: string, signal: AbortSignal): Promise<Described> {
  if ((await statIfThere(path, signal))?.isFile() !== true) return { value: undefined, json: "" };
  const json = (await readText(path, MAX_DESCRIPTION_BYTES, signal)).trim();
  const value = parse(json);
  return { value, json: value === undefined ? JSON.stringify(json) : json };
}

function recordingOf(files: RawFiles, head: Head, besides: readonly string[]): Recording {
  const places = new Places();
  const { originMs, isKnown } = clockOf(head);
  return {
    session: head.id,
    stream: "main",
    info: infoOf(head, isKnown),
    eventCount: undefined,
    absent: [
      "screenshots: the screen is in a video",
      "pages",
      "selectors",
      "distances of scrolls but in notches of the wheel",
      ...(files.sides.includes("element") ? [] : ["elements"]),
      ...(head.task.value === undefined ? ["the task"] : []),
      isKnown ? "the time zone" : "when it was recorded",
    ],
    account: (signal) => accountOf(files, besides, signal),
    where: (seq) => `${files.events}:${places.of(seq) ?? "?"}`,
    events: (fromSeq, signal) => numbered(files, originMs, places, fromSeq, signal),
    blobs: async function* () {},
  };
}

async function* numbered(
  files: RawFiles,
  originMs: number,
  places: Places,
  fromSeq: bigint,
  signal: AbortSignal,
): AsyncIterable<RecordedEvent> {
  let seq = 0n;
  for await (const { event, line } of readEvents(files, originMs, signal)) {
    seq += 1n;
    places.set(seq, line);
    if (seq >= fromSeq) yield { seq, event, blobs: [] };
  }
}

/** Every line of the events is an item, and so is every row beside them: those are context. */
async function accountOf({ directory, events }: RawFiles, besides: readonly string[], signal: AbortSignal) {
  const counts = noCounts();
  for await (const _ of readInput(events, counts, signal));
  let rows = 0;
  for (const name of besides) rows += await countLines(join(directory, name), signal);
  return { ...counts, items: counts.items + rows, context: counts.context + rows } satisfies Account;
}

const noCounts = () => ({ items: 0, told: 0, context: 0, duplicate: 0 });

/** When the recorder's clock stood at 0, in epoch milliseconds, and whether it is known. */
function clockOf({ firstTime, metadata: { value } }: Head): { readonly originMs: number; readonly isKnown: boolean } {
  const video = number(value?.video_start_timestamp);
  const [, day, time] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)$/.exec(text(value?.start_time)) ?? [];
  // The wall clock's, read as UTC: its zone is not told.
  const startMs = day === undefined ? undefined : parseMoment(`${day}T${time}Z`, 0);
  // Without it only the distances of times are known: the first is that of the second day there is.
  if (startMs === undefined || video === undefined) {
    return { originMs: DAY_MS - Math.round(firstTime * 1000), isKnown: false };
  }
  return { originMs: startMs - Math.round(video * 1000), isKnown: true };
}

function infoOf({ metadata, task }: Head, isTimeKnown: boolean): SessionInfo {
  const { screen_width: width, screen_height: height, system } = metadata.value ?? {};
  const hasSize = number(width) !== undefined && number(height) !== undefined;
  const labels = [
    { name: "format", value: "agentnet-raw" },
    { name: "scroll_unit", value: "wheel" },
    { name: "times", value: isTimeKnown ? "local" : "relative" },
    { name: "platform", value: text(system) },
    { name: "screen", value: hasSize ? `${width}x${height}` : "" },
  ];
  return {
    task: text(task.value?.task_name),
    collector: "AgentNet",
    startUrl: "",
    userAgent: "",
    labels: labels.filter(({ value }) => value !== ""),
    rawJson: `{"metadata":${metadata.json || "null"},"task_name":${task.json || "null"}}`,
  };
}

const DAY_MS = 86_400_000;
const HEAD_LINES = 64;
const SNIFF_LINES = 16;
const SNIFF_BYTES = 16 * 1024;
/** The daemon takes 256 KiB for all that is told of a session. */
const MAX_DESCRIPTION_BYTES = 64 * 1024;
