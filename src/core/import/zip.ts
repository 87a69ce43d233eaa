import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { pipeline, Readable } from "node:stream";
import { crc32, createInflateRaw } from "node:zlib";
import { Entry, getFileNameLowLevel, openPromise, validateFileName, type ZipFile } from "yauzl";
import { AppError } from "../errors.ts";
import { badCapture, fileError, readHead, statPath } from "./file-access.ts";

/** A file in a zip archive. */
export interface ZipEntry {
  /** Relative, with `/` between its parts, none of which is `..`. */
  readonly name: string;
  /** Uncompressed, as the archive says; reading fails if it is not so. */
  readonly size: number;
  readonly compressedSize: number;
  readonly method: number;
  readonly offset: number;
  readonly crc: number;
}

/** What a zip archive may hold. */
export interface ZipLimits {
  readonly entries: number;
  /** How often larger the files may be than the archive, once they are more than `freeBytes`. */
  readonly ratio: number;
  readonly freeBytes: number;
}

/** A run of an hour has some 10,000 screenshots; JSON of traces is compressed up to 1 : 40. */
export const ZIP_LIMITS: ZipLimits = { entries: 100_000, ratio: 200, freeBytes: 64 * 1024 * 1024 };

/** Whether the file begins as a zip archive does. */
export async function isZip(path: string, signal: AbortSignal): Promise<boolean> {
  const head = await readHead(path, 4, signal);
  return head.length === 4 && [LOCAL_HEADER, END_OF_DIRECTORY].includes(head.readUInt32LE(0));
}

/**
 * The files in a zip archive by name, in the archive's order, without reading any. Refuses with
 * BAD_CAPTURE an archive that is damaged, cut off or split, or that holds an entry which is
 * encrypted, a link or device, twice there, stored over another, or named so that it would lie
 * outside; and one beyond `limits`.
 */
export async function readZipEntries(
  path: string,
  signal: AbortSignal,
  limits = ZIP_LIMITS,
): Promise<ReadonlyMap<string, ZipEntry>> {
  const { size } = await statPath(path, signal);
  const zip = await openZip(path, signal);
  try {
    if (zip.entryCount > limits.entries) {
      const problem = `it holds more than ${limits.entries} files`;
      throw badCapture({ path, problem, fix: "unpack it if you trust it, and name the directory" });
    }
    const entries = new Map<string, ZipEntry>();
    let bytes = 0;
    for await (const raw of zip.eachEntry()) {
      signal.throwIfAborted();
      const entry = checkEntry(path, raw);
      if (entry.name.endsWith("/")) continue;
      if (entries.has(entry.name)) throw refuse(path, entry.name, "there are two of this name");
      entries.set(entry.name, entry);
      bytes += entry.size;
      if (bytes > limits.freeBytes && bytes > size * limits.ratio) {
        const problem = `its files are more than ${limits.ratio} times as large as it is`;
        throw badCapture({ path, problem, fix: "unpack it if you trust it, and name the directory" });
      }
    }
    await checkEnd(path, Number(zip.readEntryCursor), signal);
    checkOverlaps(path, [...entries.values()]);
    return entries;
  } catch (error) {
    throw translate(path, error, signal);
  } finally {
    zip.close();
  }
}

/**
 * The entry's bytes from `start` on. Fails with BAD_CAPTURE as soon as they are not those that were
 * stored: of another size, damaged, or at the end with another checksum.
 */
export async function* readZipEntry(
  path: string,
  entry: ZipEntry,
  signal: AbortSignal,
  start = 0,
): AsyncIterable<Buffer> {
  const stream = await openEntry(path, entry, signal);
  const changed = () => refuse(path, entry.name, "its bytes are not those that were stored");
  try {
    let end = 0;
    let crc = 0;
    for await (const chunk of stream) {
      signal.throwIfAborted();
      const bytes = Buffer.from(chunk);
      end += bytes.length;
      crc = crc32(bytes, crc);
      if (end > entry.size) throw changed();
      if (end > start) yield bytes.subarray(Math.max(0, bytes.length - (end - start)));
    }
    if (end !== entry.size || crc !== entry.crc) throw changed();
  } catch (error) {
    throw translate(path, error, signal, entry.name);
  } finally {
    stream.destroy();
  }
}

async function openEntry(path: string, entry: ZipEntry, signal: AbortSignal): Promise<Readable> {
  const start = await dataStart(path, entry, signal);
  const end = start + entry.compressedSize - 1;
  const stored = entry.compressedSize === 0 ? Readable.from([]) : createReadStream(path, { start, end, signal });
  if (entry.method === STORED) return stored;
  // The pipeline's error is the last stream's, which is read.
  return pipeline(stored, createInflateRaw({ chunkSize: CHUNK_BYTES }), () => undefined);
}

/** Past the entry's own header, which can be longer than the directory tells. */
async function dataStart(path: string, { offset, compressedSize }: ZipEntry, signal: AbortSignal): Promise<number> {
  const zip = await openZip(path, signal);
  try {
    const raw = Object.assign(new Entry(), { relativeOffsetOfLocalHeader: offset, compressedSize });
    return (await zip.readLocalFileHeaderPromise(raw, { minimal: true })).fileDataStart;
  } catch (error) {
    throw translate(path, error, signal);
  } finally {
    zip.close();
  }
}

async function openZip(path: string, signal: AbortSignal): Promise<ZipFile> {
  signal.throwIfAborted();
  try {
    return await openPromise(path, { autoClose: false, decodeStrings: false });
  } catch (error) {
    throw translate(path, error, signal);
  }
}

function checkEntry(path: string, raw: Entry): ZipEntry {
  const name = getFileNameLowLevel(raw.generalPurposeBitFlag, raw.fileNameRaw, raw.extraFields, false);
  if (name === "" || name.includes("\0") || validateFileName(name) !== null) {
    throw refuse(path, name, "its name leads out of the archive, or is none");
  }
  if (raw.isEncrypted()) throw refuse(path, name, "it is encrypted", "decrypt the archive");
  if (raw.compressionMethod !== STORED && raw.compressionMethod !== DEFLATED) {
    throw refuse(path, name, `it is compressed by method ${raw.compressionMethod}`, "compress it by deflate");
  }
  const kind = (raw.externalFileAttributes >>> 16) & FILE_KIND;
  if (kind !== 0 && kind !== REGULAR_FILE && kind !== DIRECTORY) {
    throw refuse(path, name, "it is a link or a device", "put the file itself there");
  }
  return {
    name,
    size: raw.uncompressedSize,
    compressedSize: raw.compressedSize,
    method: raw.compressionMethod,
    offset: raw.relativeOffsetOfLocalHeader,
    crc: raw.crc32,
  };
}

/** Some that write more than 65,535 entries let their number overflow: the rest would be lost. */
async function checkEnd(path: string, end: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await using file = await open(path);
  const { bytesRead, buffer } = await file.read(Buffer.alloc(4), 0, 4, end);
  if (bytesRead < 4 || buffer.readUInt32LE(0) !== DIRECTORY_HEADER) return;
  throw badCapture({ path, problem: "it holds more entries than it says", fix: "write the archive anew" });
}

/** Bytes that are the contents of many entries are how small archives become huge. */
function checkOverlaps(path: string, entries: readonly ZipEntry[]): void {
  let end = 0;
  for (const entry of entries.toSorted((a, b) => a.offset - b.offset)) {
    if (entry.offset < end) throw refuse(path, entry.name, "its bytes are another's too");
    end = entry.offset + LOCAL_HEADER_BYTES + entry.compressedSize;
  }
}

function refuse(path: string, entry: string, problem: string, fix = "write the archive anew"): AppError {
  return badCapture({ path, field: entry, problem, fix });
}

/** What the library says holds names of entries, and nothing that an operator could act on. */
function translate(path: string, error: unknown, signal: AbortSignal, entry?: string): AppError {
  signal.throwIfAborted();
  if (error instanceof AppError) return error;
  if (error instanceof Error && "syscall" in error) return fileError(path, error);
  const problem = "it is no zip archive that can be read: damaged, cut off, or of several parts";
  const fix = "copy or write the archive anew";
  return badCapture({ path, ...(entry === undefined ? {} : { field: entry }), problem, fix, cause: error });
}

const STORED = 0;
const DEFLATED = 8;
const LOCAL_HEADER = 0x04034b50;
const LOCAL_HEADER_BYTES = 30;
const DIRECTORY_HEADER = 0x02014b50;
const END_OF_DIRECTORY = 0x06054b50;
/** As in a file's mode. */
const FILE_KIND = 0o170000;
const REGULAR_FILE = 0o100000;
const DIRECTORY = 0o040000;
const CHUNK_BYTES = 64 * 1024;
