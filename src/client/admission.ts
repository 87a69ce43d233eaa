import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { EventSchema } from "../wire/gen/sluice/v1/event_pb.ts";
import type { Limits } from "../wire/gen/sluice/v1/ingest_pb.ts";
import { ClientError } from "./errors.ts";
import { tooLargeForSpool } from "./session-spool.ts";
import type { SpoolBudget } from "./spool-budget.ts";
import { recordBytes } from "./spool-record.ts";

export type EventInit = MessageInitShape<typeof EventSchema>;

/** What the daemon's defaults are, until it has told. */
const DEFAULT_EVENT_BYTES = 1024 * 1024;
const DEFAULT_BLOB_BYTES = 256 * 1024 * 1024;

/** The bytes of an event the daemon and the spool can take. Fails with `invalid_argument` INVALID. */
export function encodeEvent(
  event: EventInit | Uint8Array,
  { limits, budget }: { readonly limits: Limits | undefined; readonly budget: SpoolBudget },
): Uint8Array {
  const bytes = event instanceof Uint8Array ? event : toBinary(EventSchema, create(EventSchema, event));
  checkSize("event", bytes.length, Number(limits?.eventBytes ?? 0) || DEFAULT_EVENT_BYTES);
  if (recordBytes(bytes) > budget.maxBytes) throw tooLargeForSpool(bytes.length, budget);
  return bytes;
}

/** Fails with `invalid_argument` INVALID for a blob the daemon does not take. */
export function checkBlob(bytes: Uint8Array, limits: Limits | undefined): void {
  checkSize("blob", bytes.length, Number(limits?.blobBytes ?? 0) || DEFAULT_BLOB_BYTES);
}

function checkSize(what: string, bytes: number, limit: number): void {
  if (bytes >= 1 && bytes <= limit) return;
  throw new ClientError("invalid_argument", `The ${what} has ${bytes} bytes; the daemon takes from 1 to ${limit}.`, {
    reason: "INVALID",
    metadata: { bytes: String(bytes), limit: String(limit) },
  });
}
