export {
  EventSchema,
  EventType,
  ScreenshotPhase,
  SelectorKind,
} from "../wire/gen/sluice/v1/event_pb.ts";
export type { EventInit } from "./admission.ts";
export type { BackoffOptions } from "./backoff.ts";
export type { ClientClock } from "./clock.ts";
export {
  Collector,
  type CollectorOptions,
  type CollectorStatus,
  type SessionRequest,
} from "./collector.ts";
export type { CollectorSession } from "./collector-session.ts";
export { ClientError, type ClientErrorCode } from "./errors.ts";
export {
  type Recording,
  type UploadProgress,
  type UploadRecordingOptions,
  type UploadSummary,
  uploadRecording,
} from "./recording.ts";
export type { ResumeOptions } from "./resume.ts";
export type { SessionPhase, SessionStatus } from "./session-context.ts";
export type { SealIntent, SessionInfoInit, SourceBlob, SourceEvent, StreamName } from "./source.ts";
export { createLink, type Link, type LinkOptions, type TlsOptions } from "./transport.ts";
