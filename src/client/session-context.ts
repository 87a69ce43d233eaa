import type { Limits, QuarantinedEvent } from "../wire/gen/sluice/v1/ingest_pb.ts";
import type { ClientClock } from "./clock.ts";
import type { ClientError } from "./errors.ts";
import type { ResumeOptions } from "./resume.ts";
import type { Slots } from "./slots.ts";
import type { SpoolBudget } from "./spool-budget.ts";
import type { Link } from "./transport.ts";

/**
 * idle: all that was pushed is stored. connecting, open: as it says. waiting: between two attempts.
 * stopped: the daemon or the disk refuses, and only what `error` says helps. sealed, ended: done.
 */
export type SessionPhase = "idle" | "connecting" | "open" | "waiting" | "stopped" | "sealed" | "ended";

export interface SessionStatus {
  readonly session: string;
  readonly stream: string;
  readonly phase: SessionPhase;
  /** The seq the next event pushed gets. */
  readonly nextSeq: bigint;
  /** The last seq known to be on the daemon's disk. */
  readonly durableSeq: bigint;
  /** Blobs in the spool. */
  readonly blobs: number;
  readonly quarantined: number;
  /** Bytes of a half-written event that were cut when the spool was opened. */
  readonly cutBytes: number;
  /** Why it waits or is stopped. */
  readonly error: ClientError | undefined;
  /** When the next attempt comes, epoch milliseconds. */
  readonly retryAtMs: number | undefined;
}

/** What all sessions of a collector share. */
export interface SessionContext {
  readonly link: Link;
  readonly budget: SpoolBudget;
  readonly clock: ClientClock;
  readonly random: () => number;
  readonly resume: ResumeOptions;
  /** Bounds the sessions that nobody here holds: what earlier processes left. */
  readonly slots: Slots;
  /** A connection with nothing to send is closed after this. */
  readonly lingerMs: number;
  /** As the daemon said last. */
  limits: Limits | undefined;
  readonly onState: (status: SessionStatus) => void;
  readonly onQuarantined: (session: string, stream: string, events: readonly QuarantinedEvent[]) => void;
}
