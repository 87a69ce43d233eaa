import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { EventSchema, EventType } from "../../wire/gen/sluice/v1/event_pb.ts";
import { allTold } from "./account.ts";
import { interactionFields } from "./codesight-event.ts";
import { readSessions, type SessionSpan } from "./codesight-session.ts";
import { interactionTime } from "./codesight-time.ts";
import { badCapture, listDirectory, readHead, statIfThere } from "./file-access.ts";
import type { Importer, RecordedEvent, Recording } from "./importer.ts";
import { JsonCursor } from "./json-cursor.ts";
import { isObject, type JsonObject, text } from "./lenient.ts";

/**
 * Sessions exported from CodeSight, the system Sluice replaces: a JSON file with one session or a
 * list of them, or a directory of such files.
 */
export class CodeSightImporter implements Importer {
  readonly name = "CodeSight export";

  async sniff(path: string, signal: AbortSignal): Promise<boolean> {
    for (const file of await candidateFiles(path, signal)) {
      const head = (await readHead(file, SNIFF_BYTES, signal)).toString("utf8");
      if (/^\s*[[{]/.test(head) && /"enhancedInteractions"\s*:/.test(head)) return true;
    }
    return false;
  }

  async *open(path: string, signal: AbortSignal): AsyncIterable<Recording> {
    for (const file of await candidateFiles(path, signal)) {
      for await (const session of readSessions(file, signal)) yield recordingOf(session);
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

function recordingOf(session: SessionSpan): Recording {
  return {
    session: session.id,
    stream: "main",
    info: session.info,
    where: (seq) => `${session.path}: ${session.rows.field}[${seq - 1n}]`,
    eventCount: session.rows.count,
    absent: ["bytes of screenshots"],
    account: async () => allTold(session.rows.count),
    events: (fromSeq, signal) => readEvents(session, fromSeq, signal),
    // The rows of screenshots hold no bytes.
    blobs: async function* () {},
  };
}

/**
 * One event a row, in the file's order. A row that tells no time takes that of the row before it; if
 * none did, the session's own beginning. What that leaves at 0 the daemon sets aside.
 */
async function* readEvents(
  { path, rows, startMs }: SessionSpan,
  fromSeq: bigint,
  signal: AbortSignal,
): AsyncIterable<RecordedEvent> {
  if (rows.count === 0) return;
  await using cursor = new JsonCursor(path, rows.offset, signal);
  let timeMs = startMs ?? 0;
  for await (const index of cursor.indices()) {
    const json = await cursor.readText(MAX_ROW_BYTES);
    const record = parseRow(json, path, `${rows.field}[${index}]`);
    timeMs = interactionTime(record) ?? timeMs;
    const seq = BigInt(index + 1);
    if (seq >= fromSeq) yield { seq, event: encode(record, json, timeMs), blobs: [] };
  }
}

function parseRow(json: string, path: string, field: string): JsonObject {
  let row: unknown;
  try {
    row = JSON.parse(json);
  } catch (cause) {
    throw badCapture({ path, field, problem: "it is not JSON", fix: "restore the file", cause });
  }
  if (isObject(row)) return row;
  throw badCapture({
    path,
    field,
    problem: "it is no object",
    fix: "an interaction is an object; take out what is none",
  });
}

function encode(record: JsonObject, rawJson: string, timeMs: number): Uint8Array {
  const event = interactionFields(record);
  const type = text(record.type);
  const known = Object.entries(EventType).find(([name]) => name === type && name !== "UNSPECIFIED");
  event.id = text(record.id);
  event.timeMs = BigInt(timeMs);
  // A row without a type stays without one, and the daemon sets it aside.
  event.type = known?.[1] ?? (type === "" ? EventType.UNSPECIFIED : EventType.CUSTOM);
  if (event.type === EventType.CUSTOM) event.customType = type;
  event.rawJson = rawJson;
  return toBinary(EventSchema, event);
}

/** An event has at most 1 MiB unless the daemon is set up otherwise; here is only the bound on memory. */
const MAX_ROW_BYTES = 8 * 1024 * 1024;
const SNIFF_BYTES = 64 * 1024;
