import type { NewJob } from "./jobs.ts";
import type { Label } from "./store.ts";

/**
 * Resumable runs over many sessions. A campaign's cursor and the jobs it brings move in one commit,
 * so that it can be killed anywhere and the set it processed is exact. Times are epoch milliseconds.
 */
export interface CampaignStore {
  /** A name made once for this store, so that what belongs to another is told apart. */
  storeId(signal: AbortSignal): Promise<string>;

  /**
   * How many sealed sessions match, by the pipeline signature they are fresh under. Answered from an
   * index, in constant memory: ten million sessions take seconds.
   */
  countSessions(selection: Selection, signal: AbortSignal): Promise<SignatureCount[]>;
  /** A page of the sessions that match, oldest first by (created, id), after the cursor. */
  selectSessions(query: SelectionQuery, signal: AbortSignal): Promise<SelectedSession[]>;

  /** Keeps a plan so that it can be applied, and compared, by its hash. Idempotent. */
  keepPlan(hash: string, json: string, atMs: number, signal: AbortSignal): Promise<void>;
  readPlan(hash: string, signal: AbortSignal): Promise<string | undefined>;

  /** Fails with `conflict` CAMPAIGN_EXISTS when the plan has been applied (metadata `campaign`). */
  createCampaign(campaign: NewCampaign, signal: AbortSignal): Promise<Campaign>;
  readCampaign(id: string, signal: AbortSignal): Promise<Campaign | undefined>;
  /** Newest first, at most `limit`. */
  listCampaigns(limit: number, signal: AbortSignal): Promise<Campaign[]>;
  /** Compare-and-set on `version`: `aborted` VERSION_MOVED if it moved. */
  changeCampaign(
    id: string,
    version: number,
    change: CampaignChange,
    nowMs: number,
    signal: AbortSignal,
  ): Promise<Campaign>;
  /**
   * Moves the cursor on and enqueues what it passed, together. `aborted` CURSOR_MOVED when `from` is
   * not the cursor any more (another process drives it), or it is not running.
   */
  advanceCampaign(step: CampaignStep, nowMs: number, signal: AbortSignal): Promise<Campaign>;
}

/** Which sessions. All that are given must match. */
export interface Selection {
  readonly project: string;
  readonly ids?: readonly string[];
  readonly sinceMs?: number;
  readonly untilMs?: number;
  readonly collector?: string;
  readonly labels?: readonly Label[];
  readonly minScore?: number;
  readonly maxScore?: number;
  /** Sealed at or before. */
  readonly sealedByMs?: number;
  /** Only those fresh under one of these signatures; "" is none. */
  readonly signatures?: readonly string[];
}

export interface SignatureCount {
  /** "" for sessions with no artifact. */
  readonly signature: string;
  readonly sessions: number;
  readonly events: number;
}

export interface SelectionQuery extends Selection {
  readonly after: SessionCursor | undefined;
  readonly limit: number;
}

export interface SessionCursor {
  readonly createdAtMs: number;
  readonly id: string;
}

export interface SelectedSession extends SessionCursor {
  readonly signature: string;
}

/**
 * running: brings jobs. paused: brings none. done: the cursor is at the end and every job finished.
 * budget: stopped at its cost, time or both. cancelled.
 */
export const CAMPAIGN_STATES = ["running", "paused", "done", "budget", "cancelled"] as const;

export type CampaignState = (typeof CAMPAIGN_STATES)[number];

export interface NewCampaign {
  readonly id: string;
  readonly kind: "reprocess";
  readonly reason: string;
  /** The plan it applies. */
  readonly plan: string;
  readonly selection: Selection;
  /** The stages it may run. */
  readonly stages: readonly string[];
  readonly planned: number;
  readonly settings: CampaignSettings;
  readonly createdAtMs: number;
}

/** Can be changed while it runs. */
export interface CampaignSettings {
  /** Jobs that may exist ahead. */
  readonly window: number;
  /** Sessions a second; undefined is as fast as it goes. */
  readonly rate: number | undefined;
  /** Jobs of it that run at once; undefined is as many as the workers take. */
  readonly concurrency: number | undefined;
  readonly maxCost: number | undefined;
  /** When it stops bringing jobs. */
  readonly deadlineMs: number | undefined;
}

export interface Campaign extends NewCampaign {
  readonly state: CampaignState;
  /** Grows with every change. */
  readonly version: number;
  readonly cursor: SessionCursor | undefined;
  /** The cursor has passed every session. */
  readonly exhausted: boolean;
  /** Sessions passed by the cursor; those that had nothing to do among them. */
  readonly passed: number;
  /** Sessions that jobs were brought for. */
  readonly brought: number;
  /** Its jobs, over all stages, by how they are now. Counted from the ledger. */
  readonly jobs: { readonly open: number; readonly done: number; readonly dead: number; readonly cancelled: number };
  readonly updatedAtMs: number;
  readonly endedAtMs: number | undefined;
}

export interface CampaignChange {
  readonly state?: CampaignState;
  readonly settings?: Partial<CampaignSettings>;
}

export interface CampaignStep {
  readonly id: string;
  readonly from: SessionCursor | undefined;
  readonly to: SessionCursor | undefined;
  readonly exhausted: boolean;
  readonly passed: number;
  readonly jobs: readonly NewJob[];
}
