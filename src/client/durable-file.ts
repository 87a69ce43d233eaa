import { type FileHandle, mkdir, open, rename, stat } from "node:fs/promises";
import { constants } from "node:os";
import { dirname } from "node:path";
import { ClientError } from "./errors.ts";

/** Puts `bytes` at `path`, whole or not at all, and on disk when it resolves. */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}${TEMPORARY}`;
  {
    await using file = await open(temporary, "w", 0o600);
    await file.writeFile(bytes);
    await file.sync();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** The end of the name of a file that is being written; one found later is left over from a crash. */
export const TEMPORARY = ".part";

/** Makes what was created, renamed or removed in the directory last. */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, "r");
  await directory.sync();
}

/**
 * Creates the directory, and those above it, so that they last. Asks for one at a time: Node's
 * recursive mkdir does not end where a file system answers ENOENT whatever is asked for, as /proc does.
 */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (await isDirectory(path)) return;
    if (errorCode(error) !== "ENOENT" || dirname(path) === path) throw error;
    await makeDirectory(dirname(path));
    // Another process may have made it meanwhile.
    await mkdir(path, { mode: 0o700 }).catch(async (again: unknown) => {
      if (!(await isDirectory(path))) throw again;
    });
  }
  await syncDirectory(dirname(path));
}

async function isDirectory(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** Writes all of `bytes` at `position`. */
export async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, position + written);
    written += bytesWritten;
  }
}

/** A failure of the disk under the spool. */
export function diskError(error: unknown, what: string): ClientError {
  if (error instanceof ClientError) return error;
  const full = errorCode(error) === "ENOSPC" || isOverQuota(error);
  return full
    ? new ClientError("resource_exhausted", `The disk is full: ${what}. Make room and push again.`, {
        reason: "DISK_FULL",
        retryable: true,
        cause: error,
      })
    : new ClientError("internal", `The spool's disk failed: ${what}.`, { reason: "SPOOL_IO", cause: error });
}

/** EDQUOT, for which Node has no name. */
function isOverQuota(error: unknown): boolean {
  return error instanceof Error && "errno" in error && error.errno === -constants.errno.EDQUOT;
}

export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
