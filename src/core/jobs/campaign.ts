import type { Clock } from "../clock.ts";
import { AppError } from "../errors.ts";
import { staleUnder } from "../pipeline/freshness.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Campaign, SelectedSession } from "../store/campaigns.ts";
import type { NewJob } from "../store/jobs.ts";
import type { Store } from "../store/store.ts";

export interface DriverOptions {
  readonly store: Store;
  readonly pipeline: Pipeline;
  readonly clock: Clock;
  /** Called after jobs were brought. */
  readonly onJobs: () => void;
  /** Called when the store failed a step, which is tried again. */
  readonly onFailure: (error: AppError) => void;
}

/** Live work goes first. */
const PRIORITY = 7;
/** Sessions looked at in one step: a few milliseconds of reading. */
const SCAN = 5_000;
const MAX_PAGE = 500;
const IDLE_MS = 1_000;
const BUSY_MS = 50;
const TOUCH_EVERY_MS = 10_000;
/** A running campaign that nobody drove for this long was left by its process. */
export const LEFT_AFTER_MS = 60_000;

/**
 * Keeps every running campaign's window of unfinished jobs full, and ends campaigns that are through.
 * Any number of processes may drive the same ones: the cursor is compared and moved with the jobs
 * in one commit, so a session is passed once.
 */
export class CampaignDriver {
  readonly #options: DriverOptions;

  constructor(options: DriverOptions) {
    this.#options = options;
  }

  /** Drives until the signal aborts, whatever fails meanwhile. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, onFailure } = this.#options;
    while (!signal.aborted) {
      const wait = await this.step(signal).catch((error: unknown) => {
        if (!signal.aborted) onFailure(AppError.from(error));
        return IDLE_MS;
      });
      await clock.sleep(wait, signal).catch(() => undefined);
    }
  }

  /** One step of each running campaign. Returns after how many milliseconds the next is due. */
  async step(signal: AbortSignal): Promise<number> {
    const running = await this.#options.store.listCampaigns({ limit: 100, states: ["running"] }, signal);
    let wait = IDLE_MS;
    for (const campaign of running) wait = Math.min(wait, await this.#advance(campaign, signal));
    return wait;
  }

  async #advance(campaign: Campaign, signal: AbortSignal): Promise<number> {
    const { store, clock, onJobs } = this.#options;
    const now = clock.now();
    const { settings, jobs } = campaign;
    if (now - campaign.drivenAtMs >= TOUCH_EVERY_MS) await store.touchCampaign(campaign.id, now, signal);
    if (campaign.exhausted) {
      if (jobs.open === 0) await this.#end(campaign, "done", now, signal);
      return BUSY_MS;
    }
    if (settings.deadlineMs !== undefined && now >= settings.deadlineMs) {
      await this.#end(campaign, "budget", now, signal);
      return IDLE_MS;
    }
    const room = Math.min(settings.window - jobs.open, paced(campaign, now), MAX_PAGE);
    if (room < 1) return BUSY_MS;
    const page = await store.selectSessions(
      { selection: campaign.selection, after: campaign.cursor, limit: room, scan: SCAN },
      signal,
    );
    const brought = page.sessions.flatMap((session) => this.#jobFor(campaign, session));
    const { id, cursor: from } = campaign;
    const { cursor: to, exhausted, sessions } = page;
    const step = { id, from, to, exhausted, passed: sessions.length, jobs: brought };
    try {
      await store.advanceCampaign(step, now, signal);
    } catch (error) {
      if (AppError.from(error).reason !== "CURSOR_MOVED") throw error;
      return BUSY_MS;
    }
    if (brought.length > 0) onJobs();
    return sessions.length === room ? BUSY_MS : 0;
  }

  #jobFor({ id, stages, selection }: Campaign, { id: session, signature }: SelectedSession): NewJob[] {
    const { project } = selection;
    const [kind] = staleUnder(this.#options.pipeline.definitions(project), signature, stages).certain;
    return kind === undefined ? [] : [{ kind, project, session, priority: PRIORITY, campaign: id, stages }];
  }

  /** Another process may have done so, or a person changed it: then it is looked at again. */
  async #end({ id, version }: Campaign, state: "done" | "budget", now: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.store.changeCampaign({ id, version, state }, now, signal);
    } catch (error) {
      const { reason } = AppError.from(error);
      if (reason !== "VERSION_MOVED" && reason !== "CAMPAIGN_ENDED") throw error;
    }
  }
}

/** How many sessions its rate lets through now. */
function paced({ settings, pace, passed }: Campaign, now: number): number {
  if (settings.rate === undefined) return Number.POSITIVE_INFINITY;
  return Math.floor(pace.passed + (settings.rate * Math.max(0, now - pace.fromMs)) / 1000 - passed);
}
