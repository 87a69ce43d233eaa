import { fromBinary, toJson } from "@bufbuild/protobuf";
import { AppError } from "../core/errors.ts";
import type { Session, StoredEvent } from "../core/store/store.ts";
import { type Event, EventSchema } from "../wire/gen/sluice/v1/event_pb.ts";
import type { Fields } from "./output.ts";

/** A session as `--json` has it. */
export function sessionFields(session: Session): Fields {
  const { info, state, seal } = session;
  return {
    project: session.project,
    id: session.id,
    status: seal === undefined ? "open" : "sealed",
    version: session.version,
    created_at_ms: session.createdAtMs,
    updated_at_ms: session.updatedAtMs,
    sealed_at_ms: seal?.sealedAtMs,
    task: info?.task,
    collector: info?.collector,
    start_url: info?.startUrl,
    user_agent: info?.userAgent,
    labels: info?.labels,
    streams: session.streams.map(({ stream, lastSeq }) => ({ stream, durable_seq: lastSeq })),
    events: state.events,
    quarantined: state.quarantined,
    event_bytes: state.bytes,
    types: state.types,
    first_event_ms: state.firstMs,
    last_event_ms: state.lastMs,
    last_url: state.page?.url,
    last_title: state.page?.title,
    blobs: session.blobs,
    missing_blobs: session.missingBlobs,
    missing_blob_ids: seal?.missingBlobs,
  };
}

/** An event as `--json` has it: proto3 JSON under the names of event.proto. */
export function eventFields(stored: StoredEvent): Fields {
  const event = toJson(EventSchema, decodeEvent(stored), { useProtoFieldName: true });
  return { stream: stored.stream, seq: stored.seq, event };
}

export function decodeEvent({ stream, seq, event }: StoredEvent): Event {
  try {
    return fromBinary(EventSchema, event);
  } catch (error) {
    throw new AppError(
      "data_loss",
      `Event ${seq} of stream ${stream} can't be decoded although it was checked when it came.`,
      {
        reason: "EVENT_CORRUPT",
        cause: error,
      },
    );
  }
}

export function noSession(project: string, id: string): AppError {
  return new AppError(
    "not_found",
    `Project ${project} has no session ${JSON.stringify(id)}; sluice sessions list has those there are.`,
    { reason: "SESSION_NOT_FOUND" },
  );
}
