import type { DescMethodBiDiStreaming, DescMethodServerStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import {
  AppendRequestSchema,
  ReadEventsResponseSchema,
  TailResponseSchema,
  UploadRequestSchema,
} from "./gen/sluice/opaque/v1/opaque_pb.ts";
import { type AppendResponseSchema, IngestService, type UploadResponseSchema } from "./gen/sluice/v1/ingest_pb.ts";
import { type ReadEventsRequestSchema, SessionsService, type TailRequestSchema } from "./gen/sluice/v1/sessions_pb.ts";

/**
 * The methods that carry events, with each event as the bytes it is on the wire. Same paths and
 * same bytes as the public ones in the binary encoding; not for JSON, where events are objects.
 */
export const opaqueUpload: DescMethodBiDiStreaming<typeof UploadRequestSchema, typeof UploadResponseSchema> = {
  ...IngestService.method.upload,
  input: UploadRequestSchema,
};

export const opaqueAppend: DescMethodUnary<typeof AppendRequestSchema, typeof AppendResponseSchema> = {
  ...IngestService.method.append,
  input: AppendRequestSchema,
};

export const opaqueReadEvents: DescMethodServerStreaming<
  typeof ReadEventsRequestSchema,
  typeof ReadEventsResponseSchema
> = {
  ...SessionsService.method.readEvents,
  output: ReadEventsResponseSchema,
};

export const opaqueTail: DescMethodServerStreaming<typeof TailRequestSchema, typeof TailResponseSchema> = {
  ...SessionsService.method.tail,
  output: TailResponseSchema,
};
