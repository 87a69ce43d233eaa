import { createHash } from "node:crypto";
import { open, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { diskError, errorCode, makeDirectory, TEMPORARY, writeDurably } from "./durable-file.ts";
import { ClientError } from "./errors.ts";
import type { SourceBlob } from "./source.ts";

const NAME = /^(?<id>[0-9a-f]{64})\.(?<mediaType>[^.]+.*)$/;
/** IANA's restricted names, without parameters. */
const MEDIA_TYPE = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,62}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,62}$/;
const READ_BYTES = 256 * 1024;

/** The blobs of one session on disk: a file each, named by its sha256 and its media type. */
export class SpoolBlobs {
  readonly #directory: string;
  readonly #shelf: Map<string, SourceBlob>;

  private constructor(directory: string, shelf: Map<string, SourceBlob>) {
    this.#directory = directory;
    this.#shelf = shelf;
  }

  static async open(directory: string): Promise<SpoolBlobs> {
    try {
      await makeDirectory(directory);
      const shelf = new Map<string, SourceBlob>();
      for (const name of await readdir(directory)) {
        const path = join(directory, name);
        const { id, mediaType } = NAME.exec(name)?.groups ?? {};
        if (name.endsWith(TEMPORARY)) await unlink(path);
        else if (id !== undefined && mediaType !== undefined) {
          shelf.set(id, blobAt(path, id, (await stat(path)).size, decodeURIComponent(mediaType)));
        }
      }
      return new SpoolBlobs(directory, shelf);
    } catch (error) {
      throw diskError(error, `${directory} could not be opened`);
    }
  }

  get bytes(): number {
    return this.all.reduce((sum, { size }) => sum + size, 0);
  }

  get all(): SourceBlob[] {
    return [...this.#shelf.values()];
  }

  has(id: string): boolean {
    return this.#shelf.has(id);
  }

  /** Resolves when the bytes are on disk. */
  async put(id: string, bytes: Uint8Array, mediaType: string): Promise<void> {
    const path = join(this.#directory, `${id}.${encodeURIComponent(mediaType)}`);
    try {
      await writeDurably(path, bytes);
    } catch (error) {
      await unlink(`${path}${TEMPORARY}`).catch(() => undefined);
      throw diskError(error, `blob ${id} was not kept`);
    }
    this.#shelf.set(id, blobAt(path, id, bytes.length, mediaType));
  }

  /** Gives the bytes freed. */
  async remove(id: string): Promise<number> {
    const blob = this.#shelf.get(id);
    if (blob === undefined) return 0;
    this.#shelf.delete(id);
    const path = join(this.#directory, `${id}.${encodeURIComponent(blob.mediaType)}`);
    await unlink(path).catch((error: unknown) => {
      if (errorCode(error) !== "ENOENT") throw diskError(error, `${path} could not be removed`);
    });
    return blob.size;
  }
}

export function blobIdOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Fails with `invalid_argument` MEDIA_TYPE. */
export function checkMediaType(mediaType: string): void {
  if (MEDIA_TYPE.test(mediaType)) return;
  throw new ClientError("invalid_argument", "A media type has the form type/subtype, without parameters.", {
    reason: "MEDIA_TYPE",
  });
}

function blobAt(path: string, id: string, size: number, mediaType: string): SourceBlob {
  return {
    id,
    size,
    mediaType,
    async *read(offset) {
      await using file = await open(path, "r");
      for (let at = offset; at < size; ) {
        const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, size - at));
        const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
        if (bytesRead === 0) return;
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    },
  };
}
