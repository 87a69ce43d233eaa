import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type AppendRequest as OpaqueAppendRequest,
  AppendRequestSchema as OpaqueAppendRequestSchema,
  type Events as OpaqueEvents,
  EventsSchema as OpaqueEventsSchema,
  type StoredEvent as OpaqueStoredEvent,
  type UploadRequest as OpaqueUploadRequest,
  UploadRequestSchema as OpaqueUploadRequestSchema,
} from "./gen/sluice/opaque/v1/opaque_pb.ts";
import { EventSchema } from "./gen/sluice/v1/event_pb.ts";
import type { AppendRequest, Events, UploadRequest } from "./gen/sluice/v1/ingest_pb.ts";
import { type StoredEvent, StoredEventSchema } from "./gen/sluice/v1/sessions_pb.ts";

// Between messages that hold events as objects, as JSON has them, and those that hold them as the
// bytes they are kept as. The same JSON gives the same bytes.

export async function* toOpaqueUpload(requests: AsyncIterable<UploadRequest>): AsyncGenerator<OpaqueUploadRequest> {
  for await (const { frame } of requests) {
    yield create(OpaqueUploadRequestSchema, {
      frame: frame.case === "events" ? { case: "events", value: toOpaqueEvents(frame.value) } : frame,
    });
  }
}

export function toOpaqueAppend(request: AppendRequest): OpaqueAppendRequest {
  const { stream, session, events } = request;
  return create(OpaqueAppendRequestSchema, {
    ...(stream === undefined ? {} : { stream }),
    ...(session === undefined ? {} : { session }),
    ...(events === undefined ? {} : { events: toOpaqueEvents(events) }),
  });
}

function toOpaqueEvents({ firstSeq, events }: Events): OpaqueEvents {
  return create(OpaqueEventsSchema, { firstSeq, events: events.map((event) => toBinary(EventSchema, event)) });
}

/** Stored events for a JSON response. */
export function fromOpaqueStored(
  stored: readonly Pick<OpaqueStoredEvent, "stream" | "seq" | "event">[],
): StoredEvent[] {
  return stored.map(({ stream, seq, event }) =>
    create(StoredEventSchema, { stream, seq, event: fromBinary(EventSchema, event) }),
  );
}
