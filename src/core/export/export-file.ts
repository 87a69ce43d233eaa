import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { fsyncDirectory, makeDurableDirectory } from "../durable-directory.ts";
import { AppError } from "../errors.ts";

/** Writes a whole file so that it is there whole or not at all, and on disk. */
export async function writeWhole(path: string, data: string | Uint8Array): Promise<void> {
  await onDisk(path, async () => {
    await makeDurableDirectory(dirname(path));
    const temporary = `${path}.tmp`;
    await using handle = await open(temporary, "w", 0o644);
    await handle.writeFile(data);
    await handle.sync();
    await rename(temporary, path);
  });
  await fsyncDirectory(dirname(path));
}

/** A file that is appended to, cut to where it was known to be good. */
export class AppendedFile implements AsyncDisposable {
  readonly path: string;
  readonly #handle: FileHandle;
  #bytes: number;

  private constructor(path: string, handle: FileHandle, bytes: number) {
    this.path = path;
    this.#handle = handle;
    this.#bytes = bytes;
  }

  static async open(path: string, bytes: number): Promise<AppendedFile> {
    return await onDisk(path, async () => {
      await makeDurableDirectory(dirname(path));
      const handle = await open(path, bytes === 0 ? "w" : "r+", 0o644);
      await handle.truncate(bytes);
      return new AppendedFile(path, handle, bytes);
    });
  }

  get bytes(): number {
    return this.#bytes;
  }

  async append(data: Uint8Array): Promise<void> {
    await onDisk(this.path, async () => {
      for (let written = 0; written < data.length; ) {
        const { bytesWritten } = await this.#handle.write(data, written, data.length - written, this.#bytes);
        written += bytesWritten;
        this.#bytes += bytesWritten;
      }
    });
  }

  async sync(): Promise<void> {
    await onDisk(this.path, () => this.#handle.sync());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

/** Removes a file that may not be there. */
export async function removeFile(path: string): Promise<void> {
  await onDisk(path, () => rm(path, { force: true, recursive: true }));
}

/** Failures of the file system as AppErrors. */
export async function onDisk<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw diskError(path, error);
  }
}

function diskError(path: string, error: unknown): AppError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const full =
    code === "ENOSPC" || code === "EDQUOT" || (error instanceof Error && "errno" in error && error.errno === -122);
  if (full) {
    return new AppError(
      "resource_exhausted",
      `There is no room left on the disk for ${path}. What is finished stays; make room and run the same command again.`,
      { reason: "DISK_FULL", metadata: { path }, cause: error },
    );
  }
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new AppError("permission_denied", `${path} may not be written (${code}); check its permissions.`, {
      reason: "OUTPUT_NOT_WRITABLE",
      metadata: { path },
      cause: error,
    });
  }
  return new AppError("unavailable", `${path} can't be written (${code || "unknown error"}).`, {
    reason: "OUTPUT_NOT_WRITABLE",
    metadata: { path },
    cause: error,
  });
}
