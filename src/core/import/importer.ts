import { AppError } from "../errors.ts";
import type { NewBlob, SessionInfo } from "../store/store.ts";
import type { Account } from "./account.ts";
import { AgentNetImporter } from "./agentnet.ts";
import { AgentNetRawImporter } from "./agentnet-raw.ts";
import { CaptureImporter } from "./capture.ts";
import { CodeSightImporter } from "./codesight.ts";
import { statPath } from "./file-access.ts";
import { PlaywrightImporter } from "./playwright.ts";
import { RecorderImporter } from "./recorder.ts";
import { RrwebImporter } from "./rrweb.ts";

/**
 * Reads one format of recorded sessions from local files, in constant memory however long the
 * recording. Failures are AppErrors: `invalid_argument` BAD_CAPTURE names the file, the line, the
 * field and what to do; nothing is skipped or mended in silence.
 */
export interface Importer {
  /** The format, as it is told to people. */
  readonly name: string;
  /** Whether `path` holds this format, judged by content. Fails only when it can't be read. */
  sniff(path: string, signal: AbortSignal): Promise<boolean>;
  /** Whether a directory is one recording in several files; formats of single files have no such thing. */
  holdsOne?(directory: string, signal: AbortSignal): Promise<boolean>;
  /** The recordings at `path`, in an order that depends on nothing but the input. */
  open(path: string, signal: AbortSignal): AsyncIterable<Recording>;
}

/** One stream of one recorded session. Can be read any number of times. */
export interface Recording {
  readonly session: string;
  readonly stream: string;
  readonly info: SessionInfo;
  /** Where an event is, as it is told to people: "captures/a/events.ndjson:3". */
  where(seq: bigint): string;
  /** undefined when it is not known without reading the recording. */
  readonly eventCount: number | undefined;
  /** What the format can't tell, for people: "screenshots", "boxes of elements". Never made up. */
  readonly absent: readonly string[];
  /** What became of the source's items, all of them. Reads the recording. */
  account(signal: AbortSignal): Promise<Account>;
  /** From `fromSeq` (1 is the first) to the end, in order and without holes. */
  events(fromSeq: bigint, signal: AbortSignal): AsyncIterable<RecordedEvent>;
  /**
   * Every blob the recording holds, each once. A blob's bytes are verified against its id before
   * it is told: what does not match is refused with BAD_CAPTURE.
   */
  blobs(signal: AbortSignal): AsyncIterable<RecordedBlob>;
}

export interface RecordedEvent {
  readonly seq: bigint;
  /** Encoded sluice.v1.Event. The same input gives the same bytes, always. */
  readonly event: Uint8Array;
  /** The blobs it names. */
  readonly blobs: readonly string[];
}

export interface RecordedBlob extends NewBlob {
  /** The file that holds the bytes, alone or among others. */
  readonly path: string;
  /** From byte `offset` to the end, in pieces of any size. */
  read(offset: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

const importers: readonly Importer[] = [
  new CaptureImporter(),
  new AgentNetImporter(),
  new AgentNetRawImporter(),
  new CodeSightImporter(),
  new RecorderImporter(),
  new PlaywrightImporter(),
  new RrwebImporter(),
];

/**
 * The recordings at `path`, in whichever known format it holds. Fails with `not_found`
 * NO_SUCH_FILE, or with `invalid_argument` UNKNOWN_FORMAT (metadata `tried`).
 */
export async function* openRecordings(path: string, signal: AbortSignal): AsyncIterable<Recording> {
  yield* (await openNamed(path, signal)).recordings;
}

/** As openRecordings, with the format's name. */
export async function openNamed(
  path: string,
  signal: AbortSignal,
): Promise<{ readonly format: string; readonly recordings: AsyncIterable<Recording> }> {
  await statPath(path, signal);
  for (const importer of importers) {
    if (await importer.sniff(path, signal)) return { format: importer.name, recordings: importer.open(path, signal) };
  }
  const tried = importers.map((importer) => importer.name).join(", ");
  throw new AppError("invalid_argument", `${path} is in no format Sluice reads; it tried: ${tried}.`, {
    reason: "UNKNOWN_FORMAT",
    metadata: { path, tried },
  });
}

/** Whether a directory is one recording in several files, and not a place where some lie. */
export async function holdsOne(directory: string, signal: AbortSignal): Promise<boolean> {
  for (const importer of importers) if (await importer.holdsOne?.(directory, signal)) return true;
  return false;
}
