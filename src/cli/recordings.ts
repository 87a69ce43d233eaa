import type { SourceBlob } from "../client/index.ts";
import { AppError } from "../core/errors.ts";
import { openRecordings, type RecordedBlob, type Recording } from "../core/import/importer.ts";

/** The streams of one session, which is sealed when all of them are stored. */
export interface SessionRecordings {
  readonly session: string;
  readonly streams: readonly Recording[];
}

export interface FoundRecordings {
  readonly sessions: readonly SessionRecordings[];
  /** Paths that could not be read to their end, with why. */
  readonly failed: readonly { readonly path: string; readonly error: AppError }[];
}

/**
 * Every recording at the paths, its streams put together: sealing a session needs to know all of
 * them. Holds a recording's description, never its events. Fails with `invalid_argument`
 * DUPLICATE_RECORDING when two are the same stream.
 */
export async function findRecordings(
  paths: readonly string[],
  stream: string | undefined,
  signal: AbortSignal,
): Promise<FoundRecordings> {
  const sessions = new Map<string, Map<string, Recording>>();
  const failed: { path: string; error: AppError }[] = [];
  for (const path of paths) {
    try {
      for await (const found of openRecordings(path, signal)) {
        const recording = stream === undefined ? found : { ...found, stream };
        const streams = sessions.get(recording.session) ?? new Map<string, Recording>();
        if (streams.has(recording.stream)) throw duplicate(recording);
        sessions.set(recording.session, streams.set(recording.stream, recording));
      }
    } catch (error) {
      const failure = AppError.from(error);
      if (signal.aborted || failure.reason === "DUPLICATE_RECORDING") throw failure;
      failed.push({ path, error: failure });
    }
  }
  return {
    sessions: [...sessions].map(([session, streams]) => ({ session, streams: [...streams.values()] })),
    failed,
  };
}

export function sourceBlob({ id, size, mediaType, read }: RecordedBlob): SourceBlob {
  return { id, size, mediaType, read };
}

function duplicate({ session, stream }: Recording): AppError {
  return new AppError(
    "invalid_argument",
    `Two of the recordings are both stream ${stream} of session ${session}; name each once, or push one with --stream.`,
    { reason: "DUPLICATE_RECORDING", metadata: { session, stream } },
  );
}
