export { ClientError, type ClientErrorCode } from "./errors.ts";
export {
  type Recording,
  type UploadProgress,
  type UploadRecordingOptions,
  type UploadSummary,
  uploadRecording,
} from "./recording.ts";
export type { SealIntent, SessionInfoInit, SourceBlob, SourceEvent, StreamName } from "./source.ts";
export { createLink, type Link, type LinkOptions, type TlsOptions } from "./transport.ts";
