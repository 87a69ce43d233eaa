import { join } from "node:path";
import { fromJsonString, toBinary } from "@bufbuild/protobuf";
import { z } from "zod";
import { type Event, EventSchema } from "../../wire/gen/sluice/v1/event_pb.ts";
import type { SessionInfo } from "../store/store.ts";
import { allTold } from "./account.ts";
import {
  badCapture,
  fileReader,
  hashFile,
  readText,
  statIfThere,
  subdirectories,
  walkDirectory,
} from "./file-access.ts";
import type { Importer, RecordedBlob, RecordedEvent, Recording } from "./importer.ts";
import { findDefect } from "./json-defect.ts";
import { countLines, type Line, readLines } from "./lines.ts";

/** The native capture: a directory as docs/capture.md describes it, or a directory of such. */
export class CaptureImporter implements Importer {
  readonly name = "native capture";

  async sniff(path: string, signal: AbortSignal): Promise<boolean> {
    if (await isCapture(path, signal)) return true;
    for (const inner of await subdirectories(path, signal)) if (await isCapture(inner, signal)) return true;
    return false;
  }

  holdsOne(directory: string, signal: AbortSignal): Promise<boolean> {
    return isCapture(directory, signal);
  }

  async *open(path: string, signal: AbortSignal): AsyncIterable<Recording> {
    if (await isCapture(path, signal)) return yield await openCapture(path, signal);
    for (const inner of await subdirectories(path, signal)) yield await openCapture(inner, signal);
  }
}

/** Either file is enough: a capture that lost the other is to be refused by name, not passed over. */
async function isCapture(path: string, signal: AbortSignal): Promise<boolean> {
  for (const name of ["session.json", "events.ndjson"]) {
    if ((await statIfThere(join(path, name), signal))?.isFile()) return true;
  }
  return false;
}

async function openCapture(directory: string, signal: AbortSignal): Promise<Recording> {
  const session = join(directory, "session.json");
  const events = join(directory, "events.ndjson");
  for (const path of [session, events]) {
    if ((await statIfThere(path, signal)) !== undefined) continue;
    throw badCapture({ path, problem: "the file is missing", fix: "a capture has session.json and events.ndjson" });
  }
  const header = await readHeader(session, signal);
  const count = await countLines(events, signal);
  return {
    session: header.id,
    stream: header.stream,
    info: header.info,
    eventCount: count,
    absent: [],
    account: async () => allTold(count),
    where: (seq) => `${events}:${seq}`,
    events: (fromSeq, reading) => readEvents(events, fromSeq, reading),
    blobs: (reading) => readBlobs(join(directory, "blobs"), reading),
  };
}

async function* readEvents(path: string, fromSeq: bigint, signal: AbortSignal): AsyncIterable<RecordedEvent> {
  for await (const line of readLines(path, MAX_LINE_BYTES, signal)) {
    const seq = BigInt(line.number);
    if (seq < fromSeq) continue;
    const event = parseEvent(path, line);
    if (event.seq !== 0n && event.seq !== seq) {
      throw badCapture({
        path,
        line: line.number,
        field: "seq",
        problem: "it is not the line's number",
        fix: "put the event on its line, or leave seq out",
      });
    }
    yield { seq, event: toBinary(EventSchema, event), blobs: event.screenshots.map((shot) => shot.blobId) };
  }
}

function parseEvent(path: string, line: Line): Event {
  const text = line.text();
  try {
    return fromJsonString(EventSchema, text);
  } catch (error) {
    const defect = defectOf(text);
    throw badCapture({
      path,
      line: line.number,
      field: defect.path,
      problem: defect.problem,
      fix: "make the line one sluice.v1.Event in proto3 JSON",
      cause: error,
    });
  }
}

function defectOf(text: string): { readonly path: string; readonly problem: string } {
  if (text.trim() === "") return { path: "", problem: "the line is empty" };
  try {
    return findDefect(EventSchema, JSON.parse(text));
  } catch {
    return { path: "", problem: "it is not JSON, or was cut off" };
  }
}

async function* readBlobs(directory: string, signal: AbortSignal): AsyncIterable<RecordedBlob> {
  if ((await statIfThere(directory, signal)) === undefined) return;
  for await (const entry of walkDirectory(directory, signal)) {
    const path = join(directory, entry.name);
    const [, id, extension = ""] = /^([0-9a-f]{64})\.([a-z]+)$/.exec(entry.name) ?? [];
    const mediaType = MEDIA_TYPES[extension];
    if (id === undefined || mediaType === undefined || !entry.isFile()) {
      const extensions = Object.keys(MEDIA_TYPES).join(", ");
      throw badCapture({
        path,
        problem: "it is not a blob's name",
        fix: `name blobs <sha256>.<extension> (${extensions}), and keep nothing else here`,
      });
    }
    const found = await hashFile(path, signal);
    if (found.id !== id) {
      throw badCapture({
        path,
        problem: "the bytes do not hash to the file's name",
        fix: "restore the file; it was changed or cut off",
      });
    }
    yield { id, size: found.size, mediaType, path, read: fileReader(path) };
  }
}

interface Header {
  readonly id: string;
  readonly stream: string;
  readonly info: SessionInfo;
}

async function readHeader(path: string, signal: AbortSignal): Promise<Header> {
  const text = await readText(path, MAX_HEADER_BYTES, signal);
  const fix = "see the native capture format in docs/capture.md";
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw badCapture({ path, problem: "it is not JSON", fix, cause: error });
  }
  const parsed = HEADER.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const unknown = issue?.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : [];
  const field = [...(issue?.path ?? []), ...unknown].join(".");
  throw badCapture({ path, field, problem: unknown.length > 0 ? "there is no such field" : "not a valid value", fix });
}

/** Ids as the protocol has them: see StreamRef in ingest.proto. */
const ID = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/);
/** Half a surrogate pair has no UTF-8, and would be changed on its way. */
const TEXT = z
  .string()
  .refine((text) => text.isWellFormed())
  .default("");

/** sluice.v1.SessionInfo in proto3 JSON. Written out because core reads no message but the event. */
const INFO = z
  .strictObject({
    task: TEXT,
    collector: TEXT,
    startUrl: TEXT,
    userAgent: TEXT,
    labels: z.array(z.strictObject({ name: TEXT, value: TEXT })).default([]),
    rawJson: TEXT,
  })
  .readonly();

const HEADER = z.strictObject({
  id: ID,
  stream: ID.default("main"),
  info: INFO.prefault({}),
});

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  webp: "image/webp",
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
};

const MAX_HEADER_BYTES = 4 * 1024 * 1024;
/** An event of the default limit (1 MiB) takes at most six times that as JSON. */
const MAX_LINE_BYTES = 8 * 1024 * 1024;
