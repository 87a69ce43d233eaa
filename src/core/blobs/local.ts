import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { access, type FileHandle, open, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "../clock.ts";
import { makeDurableDirectory } from "../durable-directory.ts";
import { DEFAULT_LIMITS } from "../limits.ts";
import { Arriving } from "./arriving.ts";
import type { BlobProgress, BlobStore, BlobWrite } from "./blobs.ts";
import { Directories } from "./directories.ts";
import { blobNotFound, closed, corrupt, invalid, mismatch, translated, unusable, wrongOffset } from "./failures.ts";
import { leftovers, untouchedSince } from "./leftovers.ts";
import { errno, Partial, removeIfPresent } from "./partial.ts";
import { Turns } from "./turns.ts";

export interface LocalBlobOptions {
  readonly dir: string;
  /** The largest blob accepted. */
  readonly maxBytes?: number;
  /** Arriving blobs whose hash and position are kept in memory; more are only slower. */
  readonly maxPartials?: number;
  /** Arriving blobs whose file is kept open. */
  readonly maxOpen?: number;
  /** The file of an arriving blob that gets nothing for this long is closed. */
  readonly idleMs?: number;
  readonly clock?: Clock;
}

/**
 * Blobs as files: `<dir>/<project>/<first two digits>/<id>` once published, and
 * `<dir>/<project>/partial/<id>` while arriving.
 *
 * A blob arrives by appending to its partial. With the last byte the hash is compared, the file
 * fsynced, renamed to its place, and the directory fsynced. A file with its final name is therefore
 * whole, however the process or the power died. One process writes a directory; any number read it,
 * and any number put whole blobs into it, each by way of a file of its own beside the partials.
 */
export class LocalBlobStore implements BlobStore {
  readonly #dir: string;
  readonly #maxBytes: number;
  readonly #directories = new Directories();
  readonly #turns = new Turns();
  readonly #arriving: Arriving;
  #closed = false;

  private constructor(options: LocalBlobOptions) {
    this.#dir = options.dir;
    this.#maxBytes = options.maxBytes ?? DEFAULT_LIMITS.blobBytes;
    this.#arriving = new Arriving({
      maxPartials: options.maxPartials ?? 4096,
      maxOpen: options.maxOpen ?? 256,
      idleMs: options.idleMs ?? 60_000,
      clock: options.clock ?? systemClock,
      busy: (path) => this.#turns.busy(path),
    });
  }

  /** Creates the directory if it is absent. */
  static async open(options: LocalBlobOptions): Promise<LocalBlobStore> {
    try {
      await makeDurableDirectory(options.dir);
      await access(options.dir, constants.R_OK | constants.W_OK | constants.X_OK);
    } catch (error) {
      throw unusable(options.dir, error);
    }
    return new LocalBlobStore(options);
  }

  async write(project: string, chunk: BlobWrite, signal: AbortSignal): Promise<BlobProgress> {
    const place = placeOf(this.#dir, project, chunk.id);
    checkChunk(chunk, this.#maxBytes);
    return this.#alone(place, signal, async () => {
      const known = this.#arriving.get(place.path);
      if (known === undefined && (await this.#publishedSize(place)) !== undefined) return stored(chunk.size);
      return this.#receive(place, chunk, signal);
    });
  }

  async put(project: string, data: Uint8Array, signal: AbortSignal): Promise<string> {
    const id = createHash("sha256").update(data).digest("hex");
    const place = placeOf(this.#dir, project, id);
    checkChunk({ id, size: data.length, offset: 0, data }, this.#maxBytes);
    await this.#alone(place, signal, async () => {
      try {
        await this.#putWhole(place, data);
      } catch (error) {
        if (errno(error) === "ENOENT") this.#lookAnew(place);
        throw error;
      }
    });
    return id;
  }

  async remove(project: string, id: string, sure: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
    const place = placeOf(this.#dir, project, id);
    await this.#alone(place, signal, async () => {
      if ((await fileSize(place.path)) === undefined || !(await sure())) return;
      await removeIfPresent(place.path);
      await this.#directories.sync(place.dir);
    });
  }

  async progress(project: string, id: string, signal: AbortSignal): Promise<BlobProgress> {
    const place = placeOf(this.#dir, project, id);
    return this.#alone(place, signal, async () => {
      const known = this.#arriving.get(place.path);
      if (known !== undefined) return { received: known.received, stored: false };
      const size = await this.#publishedSize(place);
      if (size !== undefined) return stored(size);
      return { received: await Partial.measure(place.partial), stored: false };
    });
  }

  async *read(project: string, id: string, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    const place = placeOf(this.#dir, project, id);
    await using handle = await translated(signal, () => this.#openPublished(place, signal));
    const hash = createHash("sha256");
    for (;;) {
      const chunk = await translated(signal, () => readChunk(handle, signal));
      if (chunk.length === 0) break;
      hash.update(chunk);
      yield chunk;
    }
    if (hash.digest("hex") !== id) throw corrupt(id);
  }

  async ping(signal: AbortSignal): Promise<void> {
    await translated(signal, async () => {
      this.#checkOpen(signal);
      const path = join(this.#dir, `.ping-${crypto.randomUUID()}`);
      try {
        await writeFile(path, "ping", { flag: "wx", mode: 0o600 });
      } finally {
        await removeIfPresent(path);
      }
    });
  }

  async sweep(beforeMs: number, signal: AbortSignal): Promise<number> {
    return await translated(signal, async () => {
      let removed = 0;
      for await (const { project, id, path } of leftovers(this.#dir, beforeMs)) {
        const place = placeOf(this.#dir, project, id);
        if (await this.#alone(place, signal, () => this.#removeLeftover(place, path, beforeMs))) removed += 1;
      }
      return removed;
    });
  }

  /** What is being written is finished first. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#turns.idle();
    await this.#arriving[Symbol.asyncDispose]();
  }

  #alone<T>(place: Place, signal: AbortSignal, run: () => Promise<T>): Promise<T> {
    return translated(signal, () =>
      this.#turns.take(place.path, signal, () => {
        this.#checkOpen(signal);
        return run();
      }),
    );
  }

  #checkOpen(signal: AbortSignal): void {
    signal.throwIfAborted();
    if (this.#closed) throw closed();
  }

  async #receive(place: Place, chunk: BlobWrite, signal: AbortSignal): Promise<BlobProgress> {
    const partial = await this.#partial(place, chunk, signal);
    if (partial === undefined) throw wrongOffset(chunk, 0);
    this.#arriving.keep(place.path, partial);
    try {
      if (chunk.offset !== partial.received) throw wrongOffset(chunk, partial.received);
      await partial.append(chunk.data);
      if (partial.received < chunk.size) return { received: partial.received, stored: false };
      this.#arriving.forget(place.path);
      return await this.#publish(place, partial, chunk);
    } catch (error) {
      if (errno(error) === "ENOENT") this.#lookAnew(place);
      throw error;
    } finally {
      await this.#arriving.trim();
    }
  }

  /** What has arrived; undefined when nothing has and the chunk is not the beginning. */
  async #partial(place: Place, chunk: BlobWrite, signal: AbortSignal): Promise<Partial | undefined> {
    const known = this.#arriving.get(place.path) ?? (await this.#begin(place, chunk, signal));
    if (known === undefined || known.received <= chunk.size) return known;
    // More than the blob has can't be this blob.
    this.#arriving.forget(place.path);
    await known.remove();
    return this.#begin(place, chunk, signal);
  }

  async #begin(place: Place, chunk: BlobWrite, signal: AbortSignal): Promise<Partial | undefined> {
    if (chunk.offset === 0 && (chunk.data.length > 0 || chunk.size === 0)) {
      await this.#directories.ensure(place.projectDir);
      await this.#directories.ensure(place.partialDir);
      const created = await Partial.create(place.partial);
      if (created !== undefined) return created;
    }
    return Partial.resume(place.partial, signal);
  }

  async #publish(place: Place, partial: Partial, chunk: BlobWrite): Promise<BlobProgress> {
    if (partial.digest() !== chunk.id) {
      await partial.remove();
      throw mismatch(chunk);
    }
    try {
      await partial.sync();
    } catch (error) {
      // What a failed fsync did not write the kernel may have dropped.
      await partial.remove();
      throw error;
    }
    try {
      await this.#directories.ensure(place.dir);
      await rename(place.partial, place.path);
      // The directory the name left is not fsynced: a name that a power cut brings back is not looked
      // at while the blob is published.
      await Promise.all([this.#directories.sync(place.dir), partial.close()]);
    } finally {
      await partial.close();
    }
    return stored(chunk.size);
  }

  async #putWhole(place: Place, data: Uint8Array): Promise<void> {
    for (const dir of [place.projectDir, place.partialDir, place.dir]) await this.#directories.ensure(dir);
    if ((await fileSize(place.path)) === undefined) {
      const path = `${place.partial}.${crypto.randomUUID()}`;
      try {
        await writeFile(path, data, { flag: "wx", mode: 0o600, flush: true });
        await rename(path, place.path);
      } catch (error) {
        await removeIfPresent(path);
        throw error;
      }
    }
    // Another process that put it there may not have lived to do this.
    await this.#directories.sync(place.dir);
  }

  /** Whether it was given up indeed: a chunk may have come since it was found. */
  async #removeLeftover(place: Place, path: string, beforeMs: number): Promise<boolean> {
    if (this.#arriving.get(place.path)?.open === true || !(await untouchedSince(path, beforeMs))) return false;
    if (path === place.partial) this.#arriving.forget(place.path);
    await removeIfPresent(path);
    return true;
  }

  /** Somebody removed files beneath: nothing remembered about them holds. */
  #lookAnew(place: Place): void {
    this.#arriving.forget(place.path);
    this.#directories.forget();
  }

  /** Undefined when it is not there. When it is, its name is on disk. */
  async #publishedSize(place: Place): Promise<number | undefined> {
    const size = await fileSize(place.path);
    if (size !== undefined) await this.#directories.ensure(place.dir);
    return size;
  }

  async #openPublished(place: Place, signal: AbortSignal): Promise<FileHandle> {
    this.#checkOpen(signal);
    try {
      return await open(place.path, "r");
    } catch (error) {
      if (errno(error) !== "ENOENT") throw error;
      throw blobNotFound(place.project, place.id, error);
    }
  }
}

interface Place {
  readonly project: string;
  readonly id: string;
  readonly projectDir: string;
  readonly partialDir: string;
  /** The directory the blob is published in. */
  readonly dir: string;
  /** The blob published. */
  readonly path: string;
  /** The blob arriving. */
  readonly partial: string;
}

const PROJECT = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
const BLOB_ID = /^[0-9a-f]{64}$/;

function placeOf(root: string, project: string, id: string): Place {
  if (!PROJECT.test(project))
    throw invalid("PROJECT", "A project is 1 to 128 characters of [A-Za-z0-9._:-] beginning with a letter or digit.");
  if (!BLOB_ID.test(id))
    throw invalid("BLOB_ID", "A blob id is the sha256 of its bytes: 64 lower-case hexadecimal digits.");
  const projectDir = join(root, project);
  const partialDir = join(projectDir, "partial");
  const dir = join(projectDir, id.slice(0, 2));
  return { project, id, projectDir, partialDir, dir, path: join(dir, id), partial: join(partialDir, id) };
}

function checkChunk({ size, offset, data }: BlobWrite, maxBytes: number): void {
  if (!Number.isSafeInteger(size) || size < 0) throw invalid("BLOB_SIZE", "A blob's size is a whole number of bytes.");
  if (size > maxBytes) {
    throw invalid("BLOB_TOO_LARGE", `A blob has at most ${maxBytes} bytes; this one has ${size}.`, {
      max_bytes: String(maxBytes),
    });
  }
  if (!Number.isSafeInteger(offset) || offset < 0 || offset + data.length > size) {
    throw invalid("BLOB_SIZE", `A chunk of ${data.length} bytes at ${offset} does not fit a blob of ${size} bytes.`);
  }
}

const READ_BYTES = 256 * 1024;

async function readChunk(handle: FileHandle, signal: AbortSignal): Promise<Uint8Array> {
  signal.throwIfAborted();
  const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, null);
  return buffer.subarray(0, bytesRead);
}

async function fileSize(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errno(error) === "ENOENT") return undefined;
    throw error;
  }
}

function stored(size: number): BlobProgress {
  return { received: size, stored: true };
}
