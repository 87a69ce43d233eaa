import { createHash } from "node:crypto";
import { join } from "node:path";
import type { SessionInfo } from "../store/store.ts";
import { listDirectory, statIfThere } from "./file-access.ts";
import type { Importer, RecordedEvent, Recording } from "./importer.ts";
import { at, number, text } from "./lenient.ts";
import { Places } from "./places.ts";
import { beginsWithEvent, readItems } from "./rrweb-items.ts";
import { EVENT_KINDS } from "./rrweb-page.ts";
import { RrwebReader } from "./rrweb-reader.ts";

/** Recordings of rrweb: a file of events, in a list or in lines, also in gzip, or a directory of such files. */
export class RrwebImporter implements Importer {
  readonly name = "rrweb recording";

  async sniff(path: string, signal: AbortSignal): Promise<boolean> {
    for await (const _ of recordedFiles(path, signal)) return true;
    return false;
  }

  async *open(path: string, signal: AbortSignal): AsyncIterable<Recording> {
    for await (const file of recordedFiles(path, signal)) yield recordingOf(file, await readHead(file, signal));
  }
}

/** The file itself, or those of a directory, by name. */
async function* recordedFiles(path: string, signal: AbortSignal): AsyncGenerator<string> {
  const stats = await statIfThere(path, signal);
  if (stats?.isFile() && (await beginsWithEvent(path, signal))) yield path;
  if (!stats?.isDirectory()) return;
  for (const entry of await listDirectory(path, signal)) {
    const file = join(path, entry.name);
    if (entry.isFile() && (await beginsWithEvent(file, signal))) yield file;
  }
}

/** What a recording's beginning says of all of it. */
interface Head {
  readonly id: string;
  readonly hasTimes: boolean;
  readonly hasSnapshot: boolean;
  readonly startUrl: string;
  /** The recording system's own name of the session, which it may have cut into several files. */
  readonly ownId: string;
}

/**
 * Reads as far as the first snapshot, which with its times is no other recording's; where there are
 * no times, all of it.
 */
async function readHead(path: string, signal: AbortSignal): Promise<Head> {
  const hash = createHash("sha256");
  let hasTimes = false;
  let hasSnapshot = false;
  let startUrl = "";
  let ownId = "";
  for await (const { index, json, event } of readItems(path, signal)) {
    hash.update(json).update("\n");
    const kind = EVENT_KINDS.get(event?.type);
    if (index < HEAD_ITEMS) {
      hasTimes ||= number(event?.timestamp) !== undefined;
      hasSnapshot ||= kind === "full-snapshot";
      startUrl ||= kind === "meta" ? text(at(event?.data, "href")) : "";
      ownId ||= text(event?.sessionId);
    }
    if (hasTimes && (hasSnapshot || index >= HEAD_ITEMS)) break;
  }
  return { id: `rrweb-${hash.digest("hex").slice(0, 32)}`, hasTimes, hasSnapshot, startUrl, ownId };
}

function recordingOf(path: string, head: Head): Recording {
  const places = new Places();
  return {
    session: head.id,
    stream: "main",
    info: infoOf(head),
    where: (seq) => `${path}: event ${places.of(seq) ?? `told as ${seq}`}`,
    eventCount: undefined,
    absent: [
      "screenshots",
      "boxes of elements",
      "keys",
      "buttons of the pointer",
      ...(head.hasTimes ? [] : ["times"]),
      ...(head.hasSnapshot ? [] : ["elements: there is no snapshot of the page at the beginning"]),
    ],
    account: async (signal) => {
      const reader = new RrwebReader(head.hasTimes, false);
      for await (const item of readItems(path, signal)) reader.read(item);
      return reader.account;
    },
    events: (fromSeq, signal) => readEvents(path, head, places, fromSeq, signal),
    blobs: async function* () {},
  };
}

async function* readEvents(
  path: string,
  { hasTimes }: Head,
  places: Places,
  fromSeq: bigint,
  signal: AbortSignal,
): AsyncIterable<RecordedEvent> {
  const reader = new RrwebReader(hasTimes);
  let seq = 0n;
  for await (const item of readItems(path, signal)) {
    const event = reader.read(item);
    if (event === undefined) continue;
    seq += 1n;
    places.set(seq, item.index);
    if (seq >= fromSeq) yield { seq, event, blobs: [] };
  }
}

function infoOf({ hasTimes, startUrl, ownId }: Head): SessionInfo {
  return {
    task: "",
    collector: "rrweb",
    startUrl,
    userAgent: "",
    labels: [
      { name: "format", value: "rrweb" },
      { name: "clicks", value: "counted" },
      ...(hasTimes ? [] : [{ name: "times", value: "none" }]),
      ...(ownId === "" ? [] : [{ name: "recorder_session", value: ownId }]),
    ],
    rawJson: "",
  };
}

const HEAD_ITEMS = 64;
