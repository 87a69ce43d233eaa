import { createHash } from "node:crypto";
import { createReadStream, type Dirent, readFileSync, type Stats, statSync } from "node:fs";
import { open, opendir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "../errors.ts";

/** Fails with `not_found` NO_SUCH_FILE. */
export async function statPath(path: string, signal: AbortSignal): Promise<Stats> {
  signal.throwIfAborted();
  return await translated(path, stat(path));
}

/** undefined when there is nothing at `path`. */
export async function statIfThere(path: string, signal: AbortSignal): Promise<Stats | undefined> {
  signal.throwIfAborted();
  try {
    return await stat(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw fileError(path, error);
  }
}

/** What a directory holds, by name. */
export async function listDirectory(path: string, signal: AbortSignal): Promise<Dirent[]> {
  signal.throwIfAborted();
  const entries = await translated(path, readdir(path, { withFileTypes: true }));
  return entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** Those of a directory, by name; hidden ones are left out. */
export async function subdirectories(path: string, signal: AbortSignal): Promise<string[]> {
  if (!(await statIfThere(path, signal))?.isDirectory()) return [];
  const entries = await listDirectory(path, signal);
  return entries.filter((e) => e.isDirectory() && !e.name.startsWith(".")).map((e) => join(path, e.name));
}

/** What a directory holds, in no order, without holding all of it. */
export async function* walkDirectory(path: string, signal: AbortSignal): AsyncIterable<Dirent> {
  for await (const entry of await translated(path, opendir(path))) {
    signal.throwIfAborted();
    yield entry;
  }
}

/** At most the first `length` bytes. */
export async function readHead(path: string, length: number, signal: AbortSignal): Promise<Buffer> {
  signal.throwIfAborted();
  await using file = await translated(path, open(path, "r"));
  const { bytesRead, buffer } = await translated(path, file.read(Buffer.alloc(length), 0, length, 0));
  return buffer.subarray(0, bytesRead);
}

/** The whole file as UTF-8. Refuses one over `maxBytes`, and one that is not UTF-8, with BAD_CAPTURE. */
export async function readText(path: string, maxBytes: number, signal: AbortSignal): Promise<string> {
  const { size } = await statPath(path, signal);
  if (size > maxBytes) {
    throw badCapture({ path, problem: `it is larger than ${maxBytes} bytes`, fix: "split it into smaller files" });
  }
  const chunks: Buffer[] = [];
  for await (const chunk of readChunks(path, signal)) chunks.push(chunk);
  return decodeUtf8(Buffer.concat(chunks), { path });
}

/** The file's sha256 in lower-case hexadecimal, and its size. */
export async function hashFile(
  path: string,
  signal: AbortSignal,
): Promise<{ readonly id: string; readonly size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of readChunks(path, signal)) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { id: hash.digest("hex"), size };
}

/** Reads the file from a byte on, as RecordedBlob has it. */
export function fileReader(path: string): (offset: number, signal: AbortSignal) => AsyncIterable<Buffer> {
  return (offset, signal) => readChunks(path, signal, offset);
}

const CHUNK_BYTES = 64 * 1024;
/** What is smaller is read at once: a stream's turns of the event loop take ten times as long as the reading. */
const SMALL_BYTES = 256 * 1024;

/** From byte `start` on. */
export async function* readChunks(path: string, signal: AbortSignal, start = 0): AsyncIterable<Buffer> {
  signal.throwIfAborted();
  const small = readSmall(path, start);
  if (small !== undefined) {
    if (small.length > 0) yield small;
    return;
  }
  const stream = createReadStream(path, { signal, start, highWaterMark: CHUNK_BYTES });
  try {
    for await (const chunk of stream) yield chunk;
  } catch (error) {
    signal.throwIfAborted();
    throw fileError(path, error);
  } finally {
    stream.destroy();
  }
}

/** undefined for whatever is large, no plain file, or can't be read: the stream tells what is wrong. */
function readSmall(path: string, start: number): Buffer | undefined {
  try {
    const stats = statSync(path);
    return stats.isFile() && stats.size <= SMALL_BYTES ? readFileSync(path).subarray(start) : undefined;
  } catch {
    return undefined;
  }
}

export function decodeUtf8(bytes: Uint8Array, where: { readonly path: string; readonly line?: number }): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw badCapture({ ...where, problem: "it is not UTF-8", fix: "write it as UTF-8", cause: error });
  }
}

/** What is wrong with a recording, where, and what to do about it. Never holds a recorded value. */
export interface Defect {
  readonly path: string;
  /** From 1. */
  readonly line?: number;
  /** Path of the field, as the file spells it. */
  readonly field?: string;
  readonly problem: string;
  readonly fix: string;
  readonly cause?: unknown;
}

export function badCapture(defect: Defect): AppError {
  const where = defect.line === undefined ? defect.path : `${defect.path}:${defect.line}`;
  const field = defect.field ? `field ${defect.field}: ` : "";
  const metadata = {
    path: defect.path,
    ...(defect.line === undefined ? {} : { line: String(defect.line) }),
    ...(defect.field ? { field: defect.field } : {}),
  };
  return new AppError("invalid_argument", `${where}: ${field}${defect.problem}; ${defect.fix}.`, {
    reason: "BAD_CAPTURE",
    metadata,
    cause: defect.cause,
  });
}

async function translated<T>(path: string, promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    throw fileError(path, error);
  }
}

/** What a failed call of node:fs tells, as an error of ours. */
export function fileError(path: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (isMissing(error)) {
    return new AppError("not_found", `There is no ${path}; check the path.`, {
      reason: "NO_SUCH_FILE",
      metadata: { path },
      cause: error,
    });
  }
  const code = errnoOf(error);
  if (code === "EACCES" || code === "EPERM") {
    return new AppError("permission_denied", `${path} may not be read; check its permissions.`, {
      reason: "FILE_NOT_READABLE",
      metadata: { path },
      cause: error,
    });
  }
  return new AppError("unavailable", `${path} can't be read (${code ?? "unknown error"}).`, {
    reason: "FILE_NOT_READABLE",
    metadata: { path },
    cause: error,
  });
}

function isMissing(error: unknown): boolean {
  const code = errnoOf(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
