import type { NewJob } from "./jobs.ts";
import type { Label } from "./store.ts";

/**
 * Resumable runs over many sessions. A campaign's cursor and the jobs it brings move in one commit,
 * so that it can be killed anywhere and the set it passes is exact. Times are epoch milliseconds.
 */
export interface CampaignStore {
  /** A name made once for this store: what belongs to another is told apart by it. */
  storeId(signal: AbortSignal): Promise<string>;

  /**
   * How many sealed sessions match, by the pipeline signature they are fresh under. In constant
   * memory; without a filter on ids, collector, labels or score it reads an index alone.
   */
  countSessions(selection: Selection, signal: AbortSignal): Promise<SignatureCount[]>;
  /**
   * The sessions that match among the next `scan` sealed ones after the cursor, oldest first by
   * (created, id), so that one call is short however few match.
   */
  selectSessions(query: SelectionQuery, signal: AbortSignal): Promise<SelectionPage>;
  /** How long each stage took, of its latest artifacts. */
  stageDurations(signal: AbortSignal): Promise<StageDuration[]>;

  /** Keeps a plan, so that it can be applied by its hash. Idempotent; keeps the latest 1,000. */
  keepPlan(hash: string, json: string, nowMs: number, signal: AbortSignal): Promise<void>;
  readPlan(hash: string, signal: AbortSignal): Promise<string | undefined>;

  /** Fails with `conflict` CAMPAIGN_EXISTS (metadata `campaign`) when one that is not finished applies the same plan. */
  createCampaign(campaign: NewCampaign, signal: AbortSignal): Promise<Campaign>;
  readCampaign(id: string, signal: AbortSignal): Promise<Campaign | undefined>;
  /** Newest first, at most `limit`; only those in `states` when given. */
  listCampaigns(query: CampaignQuery, signal: AbortSignal): Promise<Campaign[]>;
  /**
   * Fails with `not_found`, `aborted` VERSION_MOVED when it is not at `version`, or
   * `failed_precondition` CAMPAIGN_ENDED when it is done or cancelled.
   */
  changeCampaign(change: CampaignChange, nowMs: number, signal: AbortSignal): Promise<Campaign>;
  /**
   * Moves the cursor on and enqueues what it passed, together. `aborted` CURSOR_MOVED when `from` is
   * not its cursor any more (another process drives it too) or it does not run.
   */
  advanceCampaign(step: CampaignStep, nowMs: number, signal: AbortSignal): Promise<Campaign>;
  /** Notes that some process drives it. */
  touchCampaign(id: string, nowMs: number, signal: AbortSignal): Promise<void>;
}

/** Which sealed sessions. All that are given must match. */
export interface Selection {
  readonly project: string;
  readonly ids?: readonly string[];
  /** Created at or after, and before. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
  readonly collector?: string;
  readonly labels?: readonly Label[];
  /** The overall score, both ends included. */
  readonly minScore?: number;
  readonly maxScore?: number;
  /** Fresh under one of these; "" is a session with no artifact. */
  readonly signatures?: readonly string[];
}

export interface SignatureCount {
  readonly signature: string;
  readonly sessions: number;
}

export interface SelectionQuery {
  readonly selection: Selection;
  readonly after: SessionCursor | undefined;
  readonly limit: number;
  readonly scan: number;
}

export interface SessionCursor {
  readonly createdAtMs: number;
  readonly id: string;
}

export interface SelectedSession extends SessionCursor {
  readonly signature: string;
}

export interface SelectionPage {
  readonly sessions: readonly SelectedSession[];
  /** Go on after this one. */
  readonly cursor: SessionCursor | undefined;
  readonly exhausted: boolean;
}

export interface StageDuration {
  readonly stage: string;
  readonly meanMs: number;
  readonly samples: number;
}

/**
 * running: brings jobs. paused: brings none. budget: stopped at its deadline. done: every session
 * passed, every job finished. cancelled. The last two are final.
 */
export const CAMPAIGN_STATES = ["running", "paused", "budget", "done", "cancelled"] as const;

export type CampaignState = (typeof CAMPAIGN_STATES)[number];

export interface NewCampaign {
  readonly id: string;
  readonly reason: string;
  /** Hash of the plan it applies. */
  readonly plan: string;
  readonly selection: Selection;
  /** The stages it may run. */
  readonly stages: readonly string[];
  /** Sessions the plan counted. */
  readonly planned: number;
  readonly settings: CampaignSettings;
  readonly createdAtMs: number;
}

/** Can be changed while it runs. */
export interface CampaignSettings {
  /** Jobs of it that may be unfinished at once. */
  readonly window: number;
  /** Sessions a second; undefined is as fast as it goes. */
  readonly rate: number | undefined;
  readonly deadlineMs: number | undefined;
}

export interface Campaign extends NewCampaign {
  readonly state: CampaignState;
  /** Grows with every change but those of its progress. */
  readonly version: number;
  readonly cursor: SessionCursor | undefined;
  /** The cursor has passed every session. */
  readonly exhausted: boolean;
  /** Sessions the cursor passed that matched. */
  readonly passed: number;
  /** Sessions a job was brought for; one that had such a job already is none. */
  readonly brought: number;
  /** Where its rate is counted from: sessions it had passed at that time. */
  readonly pace: { readonly fromMs: number; readonly passed: number };
  readonly jobs: CampaignJobs;
  /** When a process last drove it. */
  readonly drivenAtMs: number;
  readonly updatedAtMs: number;
  readonly endedAtMs: number | undefined;
}

/** Its jobs over all stages, as they are in the ledger, or were when it ended. */
export interface CampaignJobs {
  readonly open: number;
  readonly done: number;
  readonly dead: number;
  readonly cancelled: number;
}

export interface CampaignQuery {
  readonly limit: number;
  readonly states: readonly CampaignState[] | undefined;
}

export interface CampaignChange {
  readonly id: string;
  /** undefined does not check. */
  readonly version: number | undefined;
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
