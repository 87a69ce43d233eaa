import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { AppError } from "../errors.ts";
import { badCapture, readChunks, readHead, statPath } from "./file-access.ts";
import { BRACE, BRACKET, JsonCursor } from "./json-cursor.ts";
import { isObject, type JsonObject, objectIn } from "./lenient.ts";

/** An item of a file of rrweb events: one event, or what should be one. */
export interface Item {
  /** From 0, in the order of the file. */
  readonly index: number;
  /** Exactly as it is in the file. */
  readonly json: string;
  /** Which tab it is of, where the file says; else "". */
  readonly pageId: string;
  /** undefined when it is no event's. */
  readonly event: JsonObject | undefined;
}

/**
 * The items of a file, in its order, one in memory at a time: of one list or of several one after
 * the other, of lines that are events or lists of them, each plain or wrapped as `{pageId, event}`;
 * as they are or in gzip. What is no JSON is refused with BAD_CAPTURE, which says where.
 */
export async function* readItems(path: string, signal: AbortSignal): AsyncGenerator<Item> {
  await using cursor = new JsonCursor(path, 0, signal, plainChunks(path, signal));
  let index = 0;
  for (let place = await cursor.next(); place !== undefined; place = await cursor.next()) {
    if (place.byte !== BRACKET) yield itemOf(index++, await cursor.readText(MAX_ITEM_BYTES));
    else for await (const _ of cursor.indices()) yield itemOf(index++, await cursor.readText(MAX_ITEM_BYTES));
  }
}

function itemOf(index: number, json: string): Item {
  const value = parse(json);
  if (!isObject(value)) return { index, json, pageId: "", event: undefined };
  if (!Object.hasOwn(value, "event")) return { index, json, pageId: "", event: value };
  const { pageId, event } = value;
  const id = typeof pageId === "string" || typeof pageId === "number" ? String(pageId) : "";
  return { index, json, pageId: id, event: isObject(event) ? event : objectIn(event) };
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // Brackets and strings are right and what is between them is not, as with NaN: the rest can be read.
    return undefined;
  }
}

/** Whether the file's first item is an rrweb event. */
export async function beginsWithEvent(path: string, signal: AbortSignal): Promise<boolean> {
  const head = (await readHead(path, SNIFF_BYTES, signal)).toString("latin1");
  if (!head.startsWith(GZIP) && !/^(\xef\xbb\xbf)?\s*[[{]/.test(head)) return false;
  try {
    await using cursor = new JsonCursor(path, 0, signal, plainChunks(path, signal));
    if ((await cursor.next())?.byte !== BRACKET) return await isEvent(cursor, true);
    for await (const _ of cursor.indices()) return await isEvent(cursor, true);
    return false;
  } catch (error) {
    // What is no JSON is none of this format.
    if (error instanceof AppError && error.code === "invalid_argument") return false;
    throw error;
  }
}

/** Looks at the keys, and steps over the values, which may be long. */
async function isEvent(cursor: JsonCursor, mayBeWrapped: boolean): Promise<boolean> {
  if ((await cursor.next())?.byte !== BRACE) return false;
  const seen = new Set<string>();
  for await (const key of cursor.keys()) {
    const byte = (await cursor.next())?.byte;
    if (key === "event" && mayBeWrapped && byte === BRACE) return await isEvent(cursor, false);
    if (!KEYS.has(key) || (key === "data" && byte !== BRACE)) return false;
    if (key !== "type") await cursor.skip();
    else if (!/^[0-6]$/.test(await cursor.readText(MAX_TYPE_BYTES))) return false;
    seen.add(key);
    if (seen.has("type") && seen.has("data")) return true;
  }
  return false;
}

const KEYS: ReadonlySet<string> = new Set([
  "data",
  "delay",
  "pageId",
  "sessionId",
  "timestamp",
  "type",
  "v",
  "windowId",
]);

/** The file's bytes without gzip and without a byte order mark. */
async function* plainChunks(path: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  const head = await readHead(path, GZIP.length, signal);
  const chunks = head.toString("latin1") === GZIP ? unzipped(path, signal) : readChunks(path, signal);
  let isFirst = true;
  for await (const chunk of chunks) {
    yield isFirst && chunk.subarray(0, 3).equals(BYTE_ORDER_MARK) ? chunk.subarray(3) : chunk;
    isFirst = false;
  }
}

async function* unzipped(path: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  const { size } = await statPath(path, signal);
  const gunzip = createGunzip({ chunkSize: 256 * 1024 });
  pipeline(Readable.from(readChunks(path, signal)), gunzip, () => {
    // What went wrong also ends the reading below, which tells it.
  });
  let bytes = 0;
  try {
    for await (const chunk of gunzip) {
      bytes += chunk.length;
      if (bytes > FREE_BYTES && bytes > size * MAX_RATIO) {
        const problem = `it unpacks to more than ${MAX_RATIO} times its size`;
        throw badCapture({ path, problem, fix: "unpack it, if that is what it should be" });
      }
      yield chunk;
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof Error && "code" in error && String(error.code).startsWith("Z_"))) throw error;
    const problem = `its gzip data is damaged or cut off, after ${bytes} unpacked bytes`;
    throw badCapture({ path, problem, fix: "restore the file", cause: error });
  } finally {
    gunzip.destroy();
  }
}

const GZIP = "\x1f\x8b";
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const SNIFF_BYTES = 4096;
const MAX_TYPE_BYTES = 64;
/** A snapshot of a page is one item; those with images in them have some megabytes. */
const MAX_ITEM_BYTES = 32 * 1024 * 1024;
/** As archives are bounded. Text that repeats itself packs to some hundredth. */
const MAX_RATIO = 200;
const FREE_BYTES = 64 * 1024 * 1024;
