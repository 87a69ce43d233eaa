import type { SessionInfo } from "../store/store.ts";
import { readTime } from "./codesight-time.ts";
import { badCapture } from "./file-access.ts";
import { BRACE, BRACKET, JsonCursor } from "./json-cursor.ts";
import { at, isObject, type JsonObject, objectIn, text } from "./lenient.ts";
import { sessionId } from "./session-id.ts";

/** A session of an export: what it says of itself, and where in the file its interactions are. */
export interface SessionSpan {
  readonly path: string;
  readonly id: string;
  readonly info: SessionInfo;
  readonly rows: Rows;
  /** When it began, if it says so. Epoch milliseconds. */
  readonly startMs: number | undefined;
}

interface Rows {
  /** Path of the list in the file. */
  readonly field: string;
  /** Where the list begins in the file. */
  readonly offset: number;
  readonly count: number;
}

/**
 * The sessions of a file, in order, their interactions stepped over. Older exports have them in
 * `interactions`, which stands beside `enhancedInteractions`, empty, in those of today.
 */
export async function* readSessions(path: string, signal: AbortSignal): AsyncGenerator<SessionSpan> {
  await using cursor = new JsonCursor(path, 0, signal);
  const first = await cursor.next();
  if (first?.byte !== BRACKET) yield await readSession(cursor, path, "");
  else for await (const index of cursor.indices()) yield await readSession(cursor, path, `[${index}].`);
  await cursor.end();
}

async function readSession(cursor: JsonCursor, path: string, prefix: string): Promise<SessionSpan> {
  const members: [key: string, value: unknown][] = [];
  const texts: string[] = [];
  const lists: Rows[] = [];
  let bytes = 0;
  if ((await cursor.next())?.byte !== BRACE) {
    const field = prefix.replace(/\.$/, "");
    throw badCapture({ path, field, problem: "it is no object", fix: "a CodeSight session is one" });
  }
  for await (const key of cursor.keys()) {
    const place = await cursor.next();
    if (ROW_LISTS.includes(key) && place?.byte === BRACKET) {
      lists.push({ field: `${prefix}${key}`, offset: place.offset, count: await countItems(cursor) });
      continue;
    }
    const json = await cursor.readText(MAX_MEMBER_BYTES);
    bytes += json.length;
    if (bytes > MAX_MEMBER_BYTES) throw tooLarge(path, prefix);
    members.push([key, parseMember(json, path, `${prefix}${key}`)]);
    texts.push(`${JSON.stringify(key)}:${json}`);
  }
  const session = Object.fromEntries(members);
  return {
    path,
    id: idOf(session, path, prefix),
    info: infoOf(session, `{${texts.join(",")}}`, path, prefix),
    rows: chooseRows(lists, path, prefix),
    startMs: readTime(session.startTime) ?? readTime(session.createdAt) ?? readTime(at(session, "config", "timestamp")),
  };
}

const ROW_LISTS: readonly string[] = ["enhancedInteractions", "interactions"];

async function countItems(cursor: JsonCursor): Promise<number> {
  let count = 0;
  for await (const _ of cursor.indices()) {
    await cursor.skip();
    count += 1;
  }
  return count;
}

function parseMember(json: string, path: string, field: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw badCapture({ path, field, problem: "it is not JSON", fix: "restore the file", cause });
  }
}

/** Of two lists with something in them neither can be left out, and nothing tells how they go together. */
function chooseRows(lists: readonly Rows[], path: string, prefix: string): Rows {
  const [rows, ...others] = lists.filter(({ count }) => count > 0);
  if (others[0] !== undefined) {
    throw badCapture({
      path,
      field: others[0].field,
      problem: "there are interactions in both of its lists",
      fix: `put them into one: ${ROW_LISTS.join(" or ")}`,
    });
  }
  if (rows !== undefined) return rows;
  if (lists[0] !== undefined) return lists[0];
  throw badCapture({
    path,
    field: `${prefix}enhancedInteractions`,
    problem: "it is missing, or is no list",
    fix: "a CodeSight session has it, even if there is nothing in it",
  });
}

function idOf(session: JsonObject, path: string, prefix: string): string {
  const id = text(session.id);
  if (id !== "") return sessionId(id);
  throw badCapture({ path, field: `${prefix}id`, problem: "not a valid value", fix: "a CodeSight session has an id" });
}

/** `rawJson` is the session as it is in the file, without its interactions. */
function infoOf(session: JsonObject, rawJson: string, path: string, prefix: string): SessionInfo {
  const config = isObject(session.config) ? session.config : objectIn(session.config);
  const task = at(config, "generatedTask");
  const labels = [
    { name: "format", value: "codesight" },
    { name: "task_title", value: text(at(task, "title")) },
    { name: "task_category", value: text(at(task, "category")) },
    { name: "task_difficulty", value: text(at(task, "difficulty")) },
  ];
  const info = {
    task: text(at(task, "description"), at(task, "title")),
    collector: "CodeSight",
    startUrl: text(at(config, "url")),
    userAgent: text(session.userAgent, at(config, "userAgent")),
    labels: labels.filter(({ value }) => value !== ""),
    rawJson,
  };
  if (JSON.stringify(info).length > MAX_INFO_BYTES) throw tooLarge(path, prefix);
  return info;
}

function tooLarge(path: string, prefix: string) {
  return badCapture({
    path,
    field: prefix.replace(/\.$/, ""),
    problem: `the session without its interactions is larger than a session's description may be, ${MAX_INFO_BYTES} bytes`,
    fix: "take out its screenshots: their rows are kept as they are, and hold no bytes that are read",
  });
}

/** What the daemon takes. */
const MAX_INFO_BYTES = 256 * 1024;
const MAX_MEMBER_BYTES = 4 * 1024 * 1024;
