import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Limits, QuarantinedEvent, Sealed, SessionInfoSchema } from "../wire/gen/sluice/v1/ingest_pb.ts";

/** One stream of one session. */
export interface StreamName {
  /** Left out: the key's own project. */
  readonly project?: string | undefined;
  readonly session: string;
  /** Left out: "main". */
  readonly stream?: string | undefined;
}

export type SessionInfoInit = MessageInitShape<typeof SessionInfoSchema>;

/** What is to be uploaded: a recording on disk, or a spool that still grows. */
export interface UploadSource {
  readonly ref: StreamName;
  readonly info: SessionInfoInit | undefined;

  /**
   * Events from `fromSeq` on, in order and without holes. Ends when there will be no more; waits
   * while there may be. Must end or throw soon after the signal aborts.
   */
  events(fromSeq: bigint, signal: AbortSignal): AsyncIterable<SourceEvent>;

  /** Blobs not yet known to be stored. Ends and waits as `events` does. */
  blobs(signal: AbortSignal): AsyncIterable<SourceBlob>;

  /**
   * Asked when events and blobs have ended and all are stored, `lastSeq` being the last event's;
   * undefined leaves the session open.
   */
  seal(lastSeq: bigint): SealIntent | undefined;
}

export interface SourceEvent {
  readonly seq: bigint;
  /** Encoded sluice.v1.Event. */
  readonly event: Uint8Array;
}

export interface SourceBlob {
  /** sha256 of the bytes, lower-case hexadecimal. */
  readonly id: string;
  readonly size: number;
  readonly mediaType: string;
  /** The bytes from `offset` to the end, in pieces of any size. */
  read(offset: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

export interface SealIntent {
  /** Seal although blobs that events name are missing. */
  readonly allowMissingBlobs?: boolean;
  /** The session's other streams with their last seq; this upload's own is added. */
  readonly streams?: readonly { readonly stream: string; readonly lastSeq: bigint }[];
}

/** Told what happens, in order. Must not throw, but for `opened`. */
export interface UploadObserver {
  /** The daemon answered. Throws to refuse to go on. */
  opened(opened: UploadOpened): void;
  /** So many events were given to the connection, resends among them. */
  sent(events: number, bytes: number): void;
  acked(durableSeq: bigint): void;
  quarantined(events: readonly QuarantinedEvent[]): void;
  /** The blob is on the daemon's disk: `sent` by this upload, or `known` there before. */
  blobStored(id: string, how: "sent" | "known"): void;
  sealed(sealed: Sealed): void;
}

export interface UploadOpened {
  readonly durableSeq: bigint;
  readonly sealed: boolean;
  readonly limits: Limits | undefined;
}
