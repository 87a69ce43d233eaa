import { type DescField, type DescMessage, fromBinary, ScalarType, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { toOpaqueAppend } from "../../src/wire/convert.ts";
import {
  file_sluice_opaque_v1_opaque,
  AppendRequestSchema as OpaqueAppendRequestSchema,
} from "../../src/wire/gen/sluice/opaque/v1/opaque_pb.ts";
import { EventSchema } from "../../src/wire/gen/sluice/v1/event_pb.ts";
import { AppendRequestSchema, file_sluice_v1_ingest, IngestService } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { file_sluice_v1_sessions, SessionsService } from "../../src/wire/gen/sluice/v1/sessions_pb.ts";
import { opaqueAppend, opaqueReadEvents, opaqueTail, opaqueUpload } from "../../src/wire/opaque.ts";
import { event } from "../fixtures.ts";

const PUBLIC = new Map(
  [...file_sluice_v1_ingest.messages, ...file_sluice_v1_sessions.messages].map((message) => [message.name, message]),
);

describe("the opaque messages", () => {
  it.each(file_sluice_opaque_v1_opaque.messages.map((message) => [message.name, message] as const))(
    "%s is the public message, but that an event is bytes",
    (name, opaque) => {
      const counterpart = PUBLIC.get(name);
      expect(shape(opaque)).toEqual(counterpart === undefined ? undefined : shape(counterpart));
    },
  );

  it("belong to methods of the same path and kind", () => {
    const { upload, append } = IngestService.method;
    const { readEvents, tail } = SessionsService.method;
    for (const [opaque, own] of [
      [opaqueUpload, upload],
      [opaqueAppend, append],
      [opaqueReadEvents, readEvents],
      [opaqueTail, tail],
    ] as const) {
      expect([opaque.parent.typeName, opaque.name, opaque.methodKind]).toEqual([
        own.parent.typeName,
        own.name,
        own.methodKind,
      ]);
      expect(opaque.input.name).toBe(own.input.name);
      expect(opaque.output.name).toBe(own.output.name);
    }
  });

  it("are the same bytes on the wire", () => {
    const sent = event(1, { page: { url: "https://shop.test/" }, rawJson: "{}" });
    const bytes = toBinary(
      AppendRequestSchema,
      fromBinary(
        AppendRequestSchema,
        toBinary(OpaqueAppendRequestSchema, fromBinary(OpaqueAppendRequestSchema, request(sent))),
      ),
    );
    expect(Buffer.from(bytes)).toEqual(Buffer.from(request(sent)));
    const opaque = toOpaqueAppend(fromBinary(AppendRequestSchema, bytes));
    expect(opaque.events?.events.map((each) => Buffer.from(each))).toEqual([Buffer.from(sent)]);
  });
});

function request(sent: Uint8Array): Uint8Array {
  const message = fromBinary(AppendRequestSchema, new Uint8Array());
  const events = fromBinary(EventSchema, sent);
  return toBinary(AppendRequestSchema, {
    ...message,
    stream: { $typeName: "sluice.v1.StreamRef", project: "", session: "s", stream: "main" },
    events: { $typeName: "sluice.v1.Events", firstSeq: 1n, events: [events] },
  });
}

/** Fields by number: name, whether it repeats or is one of several, and what its bytes are. */
function shape(message: DescMessage): unknown {
  return Object.fromEntries(
    message.fields.map((field) => [
      field.number,
      { name: field.name, kind: field.fieldKind === "list", oneof: field.oneof?.name, value: valueShape(field) },
    ]),
  );
}

function valueShape(field: DescField): unknown {
  if (field.message?.typeName === "sluice.v1.Event" || field.scalar === ScalarType.BYTES) return "an event";
  if (field.message !== undefined) return field.message.name;
  return field.enum?.name ?? ScalarType[field.scalar ?? 0];
}
