// What the package `sluice` exports: the library that the daemon and the command line are edges of.
export { type App, type AppOptions, migrateUp, migrationStatus, openApp } from "./app.ts";
export type { BlobProgress, BlobStore, BlobWrite } from "./blobs/blobs.ts";
export { type Config, type LoadedConfig, loadConfig } from "./config.ts";
export { AppError, type ErrorCode } from "./errors.ts";
export { openRecordings, type Recording } from "./import/importer.ts";
export { DEFAULT_LIMITS, type Limits } from "./limits.ts";
export type { SessionState } from "./session/state.ts";
export type * from "./store/store.ts";
