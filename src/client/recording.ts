import type { QuarantinedEvent, Sealed } from "../wire/gen/sluice/v1/ingest_pb.ts";
import { compareStored } from "./compare.ts";
import { ClientError } from "./errors.ts";
import { type ResumeOptions, uploadResuming } from "./resume.ts";
import type {
  SealIntent,
  SessionInfoInit,
  SourceBlob,
  SourceEvent,
  StreamName,
  UploadObserver,
  UploadSource,
} from "./source.ts";
import { createLink, type Link, type LinkOptions } from "./transport.ts";

/** A complete recording, read from wherever it is. */
export interface Recording {
  readonly ref: StreamName;
  readonly info?: SessionInfoInit | undefined;
  /** Events from `fromSeq` on, the first of the recording being 1. Called again after every break. */
  events(fromSeq: bigint, signal: AbortSignal): AsyncIterable<SourceEvent>;
  /** Iterated again after every break. */
  readonly blobs?: Iterable<SourceBlob> | AsyncIterable<SourceBlob>;
  /** Seal the session at the end. */
  readonly seal?: boolean | SealIntent;
}

export interface UploadRecordingOptions extends ResumeOptions {
  /** The daemon: an address with what it takes to talk to it, or a link to use and leave open. */
  readonly to: LinkOptions | Link;
  /**
   * First send again what the daemon holds already, so that it compares: without this the upload
   * goes on after the watermark, and does not notice that an event before it has changed.
   */
  readonly verify?: boolean;
  readonly onProgress?: (progress: UploadProgress) => void;
  /** A connection broke or was refused; the next comes after `waitMs`. */
  readonly onRetry?: (error: ClientError, waitMs: number) => void;
}

export interface UploadProgress {
  /** Events on the daemon's disk. */
  readonly durableSeq: bigint;
  /** Events given to connections, resends among them. */
  readonly eventsSent: number;
  /** Bytes of the frames with events. */
  readonly eventBytesSent: number;
  readonly blobsSent: number;
  /** Blobs the daemon had before. */
  readonly blobsKnown: number;
  readonly quarantined: number;
  /** Events the daemon held before and has compared; 0 unless asked to `verify`. */
  readonly compared: number;
  /** Connections after the first. */
  readonly reconnects: number;
}

export interface UploadSummary extends UploadProgress {
  /** Where the daemon was before. */
  readonly resumedFrom: bigint;
  /** The first thousand invalid events; `quarantined` counts them all. */
  readonly problems: readonly QuarantinedEvent[];
  /** undefined when the recording was not to be sealed. */
  readonly sealed: Sealed | undefined;
}

const PROBLEMS_KEPT = 1000;

/**
 * Uploads a recording whole: resumes from the daemon's watermark, goes on after every break, and
 * resolves when all of it is on the daemon's disk and sealed if asked for.
 *
 * Fails with a ClientError that no retry changes: `conflict` CONFLICT (the daemon holds other
 * bytes), `conflict` WATERMARK_AHEAD (the daemon holds more than the recording has), `aborted`
 * FENCED (another collector took the stream), `failed_precondition` SEALED, MISSING_BLOBS or
 * STREAMS_DIFFER, `data_loss` BLOB_REFUSED, `unauthenticated`, `permission_denied`, what the
 * recording itself throws, `cancelled`, or the last error after `giveUpAfterMs`.
 */
export async function uploadRecording(
  recording: Recording,
  options: UploadRecordingOptions,
  signal: AbortSignal,
): Promise<UploadSummary> {
  using owned = "url" in options.to ? createLink(options.to) : undefined;
  const link = owned ?? ("transport" in options.to ? options.to : undefined);
  if (link === undefined) throw new ClientError("invalid_argument", "No daemon was named.", { reason: "BAD_URL" });
  const tally = new Tally();
  const report = () => options.onProgress?.(tally.progress());
  const waiting = (error: ClientError, waitMs: number) => options.onRetry?.(error, waitMs);
  if (options.verify === true) {
    const compared = (events: number) => tally.compared(events);
    await compareStored(link, recording, { compared, waiting }, options, signal);
  }
  await uploadResuming(
    link,
    sourceOf(recording, tally),
    {
      ...tally.observer(report),
      connecting: () => tally.connected(),
      waiting,
    },
    options,
    signal,
  );
  return tally.summary();
}

function sourceOf(recording: Recording, tally: Tally): UploadSource {
  const { ref, info, seal = false } = recording;
  return {
    ref,
    info,
    events: (fromSeq, signal) => joined(recording, fromSeq, signal),
    async *blobs(signal) {
      for await (const blob of recording.blobs ?? []) {
        if (signal.aborted) return;
        if (!tally.stored.has(blob.id)) yield blob;
      }
    },
    seal: () => (seal === false ? undefined : seal === true ? {} : seal),
  };
}

/**
 * The recording's events from `fromSeq` on. Reads from the one before, which the daemon says it
 * holds: a recording that does not have it is not the one that was uploaded.
 */
async function* joined(recording: Recording, fromSeq: bigint, signal: AbortSignal): AsyncIterable<SourceEvent> {
  if (fromSeq === 1n) return yield* recording.events(fromSeq, signal);
  let found = false;
  for await (const event of recording.events(fromSeq - 1n, signal)) {
    if (found) yield event;
    found = true;
  }
  if (!found && !signal.aborted) throw watermarkAhead(recording.ref, fromSeq - 1n);
}

/** The daemon holds events that whoever sends does not have. */
export function watermarkAhead(ref: StreamName, durableSeq: bigint): ClientError {
  return new ClientError(
    "conflict",
    `The daemon already holds ${durableSeq} events of session ${ref.session}, more than there are here. It was recorded elsewhere; send this one under another id.`,
    { reason: "WATERMARK_AHEAD", metadata: { durable_seq: String(durableSeq) } },
  );
}

class Tally {
  readonly stored = new Set<string>();
  readonly #quarantined = new Set<bigint>();
  readonly #problems: QuarantinedEvent[] = [];
  #resumedFrom: bigint | undefined;
  #durableSeq = 0n;
  #eventsSent = 0;
  #eventBytesSent = 0;
  #blobsSent = 0;
  #blobsKnown = 0;
  #compared = 0;
  #connections = 0;
  #sealed: Sealed | undefined;

  compared(events: number): void {
    this.#compared += events;
  }

  connected(): void {
    this.#connections += 1;
  }

  observer(report: () => void): UploadObserver {
    return {
      opened: ({ durableSeq }) => {
        this.#resumedFrom ??= durableSeq;
        this.#durableSeq = durableSeq;
        report();
      },
      sent: (events, bytes) => {
        this.#eventsSent += events;
        this.#eventBytesSent += bytes;
      },
      acked: (durableSeq) => {
        this.#durableSeq = durableSeq;
        report();
      },
      quarantined: (events) => {
        for (const event of events) this.#quarantine(event);
      },
      blobStored: (id, how) => {
        this.stored.add(id);
        if (how === "sent") this.#blobsSent += 1;
        else this.#blobsKnown += 1;
        report();
      },
      sealed: (sealed) => {
        this.#sealed = sealed;
      },
    };
  }

  progress(): UploadProgress {
    return {
      durableSeq: this.#durableSeq,
      eventsSent: this.#eventsSent,
      eventBytesSent: this.#eventBytesSent,
      blobsSent: this.#blobsSent,
      blobsKnown: this.#blobsKnown,
      quarantined: this.#quarantined.size,
      compared: this.#compared,
      reconnects: Math.max(0, this.#connections - 1),
    };
  }

  summary(): UploadSummary {
    return {
      ...this.progress(),
      resumedFrom: this.#resumedFrom ?? 0n,
      problems: this.#problems,
      sealed: this.#sealed,
    };
  }

  /** An event that is sent again is reported again. */
  #quarantine(event: QuarantinedEvent): void {
    if (this.#quarantined.has(event.seq)) return;
    this.#quarantined.add(event.seq);
    if (this.#problems.length < PROBLEMS_KEPT) this.#problems.push(event);
  }
}
