import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import type { Recording } from "../../src/client/recording.ts";
import type { SourceBlob, SourceEvent } from "../../src/client/source.ts";
import { EventSchema, EventType } from "../../src/wire/gen/sluice/v1/event_pb.ts";

/** A generator of the same numbers for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function eventOf(index: number, bytes = 200): Uint8Array {
  return toBinary(
    EventSchema,
    create(EventSchema, {
      id: `event-${index}`,
      timeMs: BigInt(1_700_000_000_000 + index),
      type: EventType.CLICK,
      rawJson: JSON.stringify({ filler: "x".repeat(bytes) }),
    }),
  );
}

export function eventsOf(count: number, bytes?: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => eventOf(index + 1, bytes));
}

export function blobOf(data: Buffer, mediaType = "image/png"): SourceBlob {
  return {
    id: createHash("sha256").update(data).digest("hex"),
    size: data.length,
    mediaType,
    async *read(offset) {
      for (let at = offset; at < data.length; at += 100_000) yield data.subarray(at, at + 100_000);
    },
  };
}

export function recordingOf(session: string, events: readonly Uint8Array[], more: Partial<Recording> = {}): Recording {
  return {
    ref: { session },
    async *events(fromSeq): AsyncGenerator<SourceEvent> {
      for (let seq = fromSeq; ; seq += 1n) {
        const event = events[Number(seq) - 1];
        if (event === undefined) return;
        yield { seq, event };
      }
    },
    ...more,
  };
}
