import type { Label } from "./store.ts";

/** Recordings brought in from files, and what became of each. Times are epoch milliseconds. */
export interface BackfillStore {
  createBackfill(backfill: NewBackfill, signal: AbortSignal): Promise<Backfill>;
  readBackfill(id: string, signal: AbortSignal): Promise<Backfill | undefined>;
  /** Newest first, at most `limit`. */
  listBackfills(limit: number, signal: AbortSignal): Promise<Backfill[]>;
  /** Fails with `not_found` BACKFILL_NOT_FOUND, or `failed_precondition` BACKFILL_ENDED when it is done or cancelled. */
  changeBackfill(id: string, change: BackfillChange, nowMs: number, signal: AbortSignal): Promise<Backfill>;
  /** Those of `paths` that have ended in this backfill, which need not be looked at again. */
  endedPaths(id: string, paths: readonly string[], signal: AbortSignal): Promise<string[]>;
  /**
   * Notes that these are being brought in, before anything of them is stored. Tells of each what is
   * known: `ended` here already, with its outcome; `begun` here before; a `duplicate` of what was
   * imported by content, as which it ends with this; or nothing: `fresh`.
   */
  beginItems(id: string, items: readonly NewItem[], signal: AbortSignal): Promise<ItemStanding[]>;
  /** What became of them. Names their sessions for sealing, in the same commit. */
  endItems(id: string, items: readonly EndedItem[], signal: AbortSignal): Promise<void>;
  /** Forgets the items that were refused, so that they are brought in again. Returns how many. */
  retryItems(id: string, signal: AbortSignal): Promise<number>;
  /** Items that ended so, by path after `after`; at most `limit`. */
  listItems(query: ItemQuery, signal: AbortSignal): Promise<BackfillItem[]>;
  /** Counts over all items, by format and outcome. */
  countItems(id: string, signal: AbortSignal): Promise<ItemCount[]>;
  /** Sessions that were brought in, by id after `after`; at most `limit`. */
  listBackfilled(id: string, after: string | undefined, limit: number, signal: AbortSignal): Promise<string[]>;
}

/** running: by some process, or left by one that was killed. The last two are final. */
export type BackfillState = "running" | "paused" | "done" | "cancelled";

export interface NewBackfill {
  readonly id: string;
  readonly project: string;
  /** Absolute paths. */
  readonly sources: readonly string[];
  readonly settings: BackfillSettings;
  readonly createdAtMs: number;
}

interface BackfillSettings {
  /** Only recordings of this format; undefined is any. */
  readonly format?: string;
  /** Added to each session's own. */
  readonly labels: readonly Label[];
  /** Items a second; undefined is as fast as it goes. */
  readonly rate?: number;
  readonly concurrency: number;
}

export interface Backfill extends NewBackfill {
  readonly state: BackfillState;
  readonly version: number;
  readonly updatedAtMs: number;
}

export interface BackfillChange {
  readonly state?: BackfillState;
  readonly settings?: Partial<BackfillSettings>;
}

export interface NewItem {
  readonly path: string;
  /** sha256 of its content, hexadecimal. */
  readonly digest: string;
  readonly bytes: number;
}

export type ItemStanding = "fresh" | "begun" | "ended" | "duplicate";

type ItemOutcome = "imported" | "duplicate" | "refused" | "passed_over";

export interface EndedItem {
  readonly path: string;
  readonly outcome: ItemOutcome;
  readonly format: string;
  /** Ids of its sessions. */
  readonly sessions: readonly string[];
  readonly events: number;
  readonly quarantined: number;
  readonly blobs: number;
  readonly bytes: number;
  readonly reason: string;
  readonly message: string;
}

export interface BackfillItem extends Omit<EndedItem, "sessions"> {
  readonly sessions: number;
}

export interface ItemQuery {
  readonly id: string;
  readonly outcome: ItemOutcome;
  readonly after: string | undefined;
  readonly limit: number;
}

export interface ItemCount {
  readonly format: string;
  readonly outcome: ItemOutcome | "begun";
  /** Of refused ones. */
  readonly reason: string;
  readonly items: number;
  readonly sessions: number;
  readonly events: number;
  readonly quarantined: number;
  readonly blobs: number;
  readonly bytes: number;
}
