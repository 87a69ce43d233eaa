import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { EventSchema, EventType } from "../src/wire/gen/sluice/v1/event_pb.ts";

/** An encoded event: a click at second `n`, with what `more` changes. */
export function event(n: number, more: MessageInitShape<typeof EventSchema> = {}): Uint8Array {
  return toBinary(EventSchema, create(EventSchema, { timeMs: BigInt(n) * 1000n, type: EventType.CLICK, ...more }));
}

export function events(first: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => event(first + index));
}

/** A signal that never aborts. */
export const never: AbortSignal = new AbortController().signal;
