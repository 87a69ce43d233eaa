import { type FileHandle, open, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { diskError, errorCode, syncDirectory, writeAll } from "./durable-file.ts";
import { ClientError } from "./errors.ts";
import type { SourceEvent } from "./source.ts";
import { decodeRecord, encodeRecords, recordBytesAt } from "./spool-record.ts";

const MAGIC = Buffer.from("SLSPOOL1");
const SUFFIX = ".seg";
const SEGMENT_NAME = /^\d{20}\.seg$/;
const READ_BYTES = 256 * 1024;

/**
 * The events of one stream on disk, in append-only segment files named after their first seq. A
 * segment goes up to where the next one begins; whatever it holds beyond (an append that failed)
 * does not count. Appends and trims must not overlap; reads may go on beside them.
 */
export class SpoolLog implements AsyncDisposable {
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #segments: Segment[];
  #file: FileHandle;
  #nextSeq: bigint;
  /** The last append failed: the next begins a segment of its own. */
  #dirty = false;
  /** Bytes of a record that a crash cut short, removed when the log was opened. */
  readonly cutBytes: number;

  private constructor(directory: string, segmentBytes: number, segments: Segment[], file: FileHandle, tail: Tail) {
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
    this.#segments = segments;
    this.#file = file;
    this.#nextSeq = tail.nextSeq;
    this.cutBytes = tail.cutBytes;
  }

  /** Opens the log, or begins one at seq 1; a torn end is cut. Fails with `data_loss` SPOOL_CORRUPT. */
  static async open(directory: string, segmentBytes: number): Promise<SpoolLog> {
    try {
      const segments = await listSegments(directory);
      if (segments.length === 0) {
        const first = await createSegment(directory, 1n);
        const tail = { nextSeq: 1n, cutBytes: 0 };
        return new SpoolLog(directory, segmentBytes, [first.segment], first.file, tail);
      }
      const last = lastOf(segments);
      const file = await open(last.path, "r+");
      return new SpoolLog(directory, segmentBytes, segments, file, await mendTail(file, last));
    } catch (error) {
      throw diskError(error, `${directory} could not be opened`);
    }
  }

  get nextSeq(): bigint {
    return this.#nextSeq;
  }

  /** The first seq that may still be here. */
  get firstSeq(): bigint {
    return this.#segments[0]?.firstSeq ?? this.#nextSeq;
  }

  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes - MAGIC.length, 0);
  }

  /** Bytes of the segment that is being written. */
  get activeBytes(): number {
    return this.#active.bytes - MAGIC.length;
  }

  /** Resolves with the seq of the first when all are on disk. When it fails, none of them is here. */
  async append(events: readonly Uint8Array[]): Promise<bigint> {
    try {
      if (this.#dirty || this.#active.bytes >= this.#segmentBytes) await this.rotate();
      const records = encodeRecords(this.#nextSeq, events);
      this.#dirty = true;
      await writeAll(this.#file, records, this.#active.bytes);
      await this.#file.datasync();
      this.#dirty = false;
      const firstSeq = this.#nextSeq;
      this.#active.bytes += records.length;
      this.#nextSeq += BigInt(events.length);
      return firstSeq;
    } catch (error) {
      // Gives the room back if it can; the next segment's name makes what is left here void.
      await this.#file.truncate(this.#active.bytes).catch(() => undefined);
      throw diskError(error, "the events were not kept");
    }
  }

  /** Begins a new segment, so that the one before can be trimmed. */
  async rotate(): Promise<void> {
    if (this.#active.firstSeq === this.#nextSeq) await this.#restart();
    else {
      const { segment, file } = await createSegment(this.#directory, this.#nextSeq);
      await this.#file.close();
      this.#file = file;
      this.#active.endSeq = segment.firstSeq;
      this.#segments.push(segment);
    }
    this.#dirty = false;
  }

  /** Removes the segments that hold nothing after `durableSeq`; gives the bytes freed. */
  async trim(durableSeq: bigint): Promise<number> {
    let freed = 0;
    for (
      let next = this.#segments[1];
      next !== undefined && next.firstSeq <= durableSeq + 1n;
      next = this.#segments[1]
    ) {
      const [first] = this.#segments;
      if (first === undefined) break;
      await unlink(first.path).catch((error: unknown) => {
        if (errorCode(error) !== "ENOENT") throw diskError(error, `${first.path} could not be removed`);
      });
      this.#segments.shift();
      freed += first.bytes - MAGIC.length;
    }
    return freed;
  }

  /**
   * Events from `fromSeq` on. At the end asks `more`, which resolves with false to end or, when
   * there may be more, with true. Fails with `data_loss` SPOOL_CORRUPT.
   */
  async *read(fromSeq: bigint, more: () => Promise<boolean>): AsyncGenerator<SourceEvent> {
    let seq = fromSeq;
    for (;;) {
      const segment = this.#segmentOf(seq);
      await using file = await open(segment.path, "r");
      let offset = MAGIC.length;
      let at = segment.firstSeq;
      while (at < this.#endOf(segment) || segment === this.#active) {
        if (at >= this.#endOf(segment)) {
          if (await more()) continue;
          return;
        }
        const buffer = await readRecords(file, offset, segment.bytes, segment.path);
        for (let from = 0; at < this.#endOf(segment); ) {
          const decoded = decodeRecord(buffer, from, at);
          if (decoded.kind === "bad" || (decoded.kind === "short" && from === 0)) throw corrupt(segment.path, at);
          if (decoded.kind === "short") break;
          from += decoded.needs;
          offset += decoded.needs;
          if (at >= seq) yield { seq: at, event: decoded.event };
          at += 1n;
        }
      }
      seq = at;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  get #active(): Segment {
    return lastOf(this.#segments);
  }

  #endOf(segment: Segment): bigint {
    return segment.endSeq ?? this.#nextSeq;
  }

  #segmentOf(seq: bigint): Segment {
    const segment = this.#segments.findLast(({ firstSeq }) => firstSeq <= seq);
    if (segment !== undefined) return segment;
    throw new ClientError("data_loss", `Event ${seq} is no longer in the spool; its first is ${this.firstSeq}.`, {
      reason: "WATERMARK_BEHIND",
      metadata: { seq: String(seq), first_seq: String(this.firstSeq) },
    });
  }

  /** The segment holds nothing that counts: the same file, from its beginning. */
  async #restart(): Promise<void> {
    await this.#file.truncate(MAGIC.length);
    await this.#file.datasync();
    this.#active.bytes = MAGIC.length;
  }
}

interface Segment {
  readonly path: string;
  readonly firstSeq: bigint;
  /** The seq after its last; undefined while it is the one that is written. */
  endSeq: bigint | undefined;
  /** Of the file, as far as it counts. */
  bytes: number;
}

interface Tail {
  readonly nextSeq: bigint;
  readonly cutBytes: number;
}

async function listSegments(directory: string): Promise<Segment[]> {
  const names = (await readdir(directory)).filter((name) => SEGMENT_NAME.test(name)).sort();
  const firstSeqs = names.map((name) => BigInt(name.slice(0, -SUFFIX.length)));
  const paths = names.map((name) => join(directory, name));
  const stats = await Promise.all(paths.map((path) => stat(path)));
  return paths.map((path, index) => ({
    path,
    firstSeq: firstSeqs[index] ?? 1n,
    endSeq: firstSeqs[index + 1],
    bytes: stats[index]?.size ?? 0,
  }));
}

async function createSegment(directory: string, firstSeq: bigint): Promise<{ segment: Segment; file: FileHandle }> {
  const path = join(directory, `${String(firstSeq).padStart(20, "0")}${SUFFIX}`);
  const file = await open(path, "w+", 0o600);
  try {
    await writeAll(file, MAGIC, 0);
    await file.sync();
    await syncDirectory(directory);
    return { segment: { path, firstSeq, endSeq: undefined, bytes: MAGIC.length }, file };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Finds the end of the last segment, record by record, and cuts what a crash left beyond it. */
async function mendTail(file: FileHandle, segment: Segment): Promise<Tail> {
  const fileBytes = segment.bytes;
  const magic = Buffer.alloc(MAGIC.length);
  await file.read(magic, 0, MAGIC.length, 0);
  // The header is on disk before the first record is written.
  if (fileBytes > MAGIC.length && !magic.equals(MAGIC)) throw corrupt(segment.path, segment.firstSeq);
  let offset = MAGIC.length;
  let seq = segment.firstSeq;
  for (let torn = false; !torn && offset < fileBytes; ) {
    const buffer = await readRecords(file, offset, fileBytes, segment.path);
    for (let from = 0; ; ) {
      const decoded = decodeRecord(buffer, from, seq);
      torn = decoded.kind === "bad" || (decoded.kind === "short" && from === 0);
      if (decoded.kind !== "record") break;
      from += decoded.needs;
      offset += decoded.needs;
      seq += 1n;
    }
  }
  segment.bytes = offset;
  if (fileBytes !== offset || !magic.equals(MAGIC)) {
    await writeAll(file, MAGIC, 0);
    await file.truncate(offset);
    await file.sync();
  }
  return { nextSeq: seq, cutBytes: Math.max(0, fileBytes - offset) };
}

/** A buffer that begins at `offset` and, unless the file ends before, holds the whole record there. */
async function readRecords(file: FileHandle, offset: number, end: number, path: string): Promise<Buffer> {
  const buffer = await readAt(file, offset, Math.min(READ_BYTES, end - offset), path);
  const needs = recordBytesAt(buffer, 0);
  return needs <= buffer.length || needs > end - offset ? buffer : await readAt(file, offset, needs, path);
}

async function readAt(file: FileHandle, offset: number, length: number, path: string): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  for (let read = 0; read < length; ) {
    const { bytesRead } = await file.read(buffer, read, length - read, offset + read);
    if (bytesRead === 0)
      throw new ClientError("data_loss", `${path} is shorter than it was.`, { reason: "SPOOL_CORRUPT" });
    read += bytesRead;
  }
  return buffer;
}

function lastOf(segments: readonly Segment[]): Segment {
  const last = segments.at(-1);
  if (last === undefined) throw new ClientError("internal", "The spool has no segment.", { reason: "INTERNAL" });
  return last;
}

function corrupt(path: string, seq: bigint): ClientError {
  return new ClientError("data_loss", `${path} is damaged at event ${seq}. Move the file away to go on without it.`, {
    reason: "SPOOL_CORRUPT",
    metadata: { path, seq: String(seq) },
  });
}
