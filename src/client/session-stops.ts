import { ClientError } from "./errors.ts";

const STOPS_PUSHING: ReadonlySet<string> = new Set([
  "CONFLICT",
  "FENCED",
  "SEALED",
  "WATERMARK_AHEAD",
  "WATERMARK_BEHIND",
  "EVENT_TOO_LARGE",
  "SOURCE_GAP",
  "SPOOL_CORRUPT",
  "SPOOL_IO",
]);

const STOPS_UNTIL_CHANGED: ReadonlySet<string> = new Set([
  "MISSING_BLOBS",
  "STREAMS_DIFFER",
  "VERSION_MOVED",
  "BLOB_REFUSED",
  "BLOB_TOO_LARGE",
  "BLOB_EMPTY",
  "BLOB_SIZE",
]);

/** Nothing that is sent from here can be accepted any more. */
export function stopsPushing(error: ClientError): boolean {
  return STOPS_PUSHING.has(error.reason) || (error.code === "resource_exhausted" && !error.retryable);
}

/** Another blob, event or end may change it; nothing else does. */
export function stopsUntilChanged(error: ClientError): boolean {
  return STOPS_UNTIL_CHANGED.has(error.reason);
}

export function watermarkBehind(durableSeq: bigint, firstSeq: bigint): ClientError {
  return new ClientError(
    "data_loss",
    `The daemon holds only ${durableSeq} events, but acknowledged all before ${firstSeq}: its store was put back to an earlier state.`,
    { reason: "WATERMARK_BEHIND", metadata: { durable_seq: String(durableSeq), first_seq: String(firstSeq) } },
  );
}
