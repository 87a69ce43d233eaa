/** What is accepted. Sizes are bytes. The defaults serve recordings of 4.5 KB an event, 25 KB for a rich click. */
export interface Limits {
  /** One message of a call, after decompression. */
  readonly messageBytes: number;
  /** One event. A larger one that fits a message is quarantined. */
  readonly eventBytes: number;
  /** Nesting of an event's raw JSON. Text with fewer opening brackets need not be followed: rich clicks have up to 300. */
  readonly depth: number;
  /** Events in one batch. */
  readonly batchEvents: number;
  readonly blobBytes: number;
  /** One session's events before packing. */
  readonly sessionBytes: number;
  readonly streamsPerSession: number;
  readonly openSessionsPerProject: number;
}

export const DEFAULT_LIMITS: Limits = {
  messageBytes: 4 * 1024 * 1024,
  eventBytes: 1024 * 1024,
  depth: 256,
  batchEvents: 1000,
  blobBytes: 256 * 1024 * 1024,
  sessionBytes: 4 * 1024 * 1024 * 1024,
  streamsPerSession: 64,
  openSessionsPerProject: 100_000,
};
