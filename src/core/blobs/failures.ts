import { formatMoment } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { BlobWrite } from "./blobs.ts";
import { errno } from "./partial.ts";

/** Runs it; whatever it throws leaves as an AppError, the signal's reason as a cancellation. */
export async function translated<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw signal.aborted && error === signal.reason ? cancelled(error) : translate(error);
  }
}

/** A caller may abort with anything. */
function cancelled(reason: unknown): AppError {
  const known = AppError.from(reason);
  if (known.code !== "internal") return known;
  return new AppError("cancelled", "The call was cancelled.", { reason: "CANCELLED", cause: reason });
}

const RETRY_MS = 1000;

function translate(error: unknown): AppError {
  switch (errno(error)) {
    case "ENOSPC":
    case "EDQUOT":
      return failed(
        "resource_exhausted",
        "DISK_FULL",
        "The disk with the blobs is full; make room and it goes on.",
        error,
      );
    case "EMFILE":
    case "ENFILE":
      return failed(
        "resource_exhausted",
        "OPEN_FILES",
        "Too many files are open; raise the limit of open files.",
        error,
      );
    case "ENOENT":
    case "EIO":
    case "EROFS":
    case "EACCES":
    case "EPERM":
    case "ESTALE":
    case "ENOTDIR":
      return failed("unavailable", "BLOB_DISK", "The disk with the blobs can't be used; the log has the cause.", error);
    default:
      return AppError.from(error);
  }
}

function failed(code: "resource_exhausted" | "unavailable", reason: string, message: string, cause: unknown): AppError {
  return new AppError(code, message, { reason, retryAfterMs: RETRY_MS, cause });
}

export function invalid(reason: string, message: string, metadata: Record<string, string> = {}): AppError {
  return new AppError("invalid_argument", message, { reason, metadata });
}

export function unusable(dir: string, cause: unknown): AppError {
  return new AppError("no_store", `The blob directory ${dir} can't be used; make it writable or name another.`, {
    reason: "BLOB_DIRECTORY",
    cause,
  });
}

export function wrongOffset({ id, offset }: BlobWrite, received: number): AppError {
  return new AppError(
    "out_of_range",
    `Blob ${id} has arrived up to ${received}, and the chunk begins at ${offset}; send from ${received}.`,
    {
      reason: "BLOB_OFFSET",
      metadata: { received: String(received) },
    },
  );
}

export function mismatch({ id }: BlobWrite): AppError {
  return new AppError("data_loss", `The bytes sent as blob ${id} do not hash to its id; send it again from 0.`, {
    reason: "BLOB_MISMATCH",
    metadata: { blob: id, received: "0" },
  });
}

export function corrupt(id: string): AppError {
  return new AppError("data_loss", `The stored bytes of blob ${id} do not hash to its id any more.`, {
    reason: "BLOB_CORRUPT",
    metadata: { blob: id },
  });
}

export function closed(): AppError {
  return new AppError("unavailable", "The blob store is closed.", { reason: "CLOSED" });
}

/** What reading a blob comes to that was removed for its age. */
export function blobExpired(id: string, removedAtMs: number): AppError {
  const when = formatMoment(removedAtMs);
  return new AppError("not_found", `Blob ${id} was removed at ${when}, as the setting retention.originals says.`, {
    reason: "BLOB_EXPIRED",
    metadata: { blob: id, removed_at_ms: String(removedAtMs) },
  });
}

export function blobNotFound(project: string, id: string, cause: unknown): AppError {
  return new AppError("not_found", `There is no blob ${id} in project ${project}.`, {
    reason: "BLOB_NOT_FOUND",
    cause,
  });
}
