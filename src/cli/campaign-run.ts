import type { App } from "../core/app.ts";
import { AppError } from "../core/errors.ts";
import { concurrencyOf, startWorker } from "../core/jobs/start-worker.ts";
import type { Campaign } from "../core/store/campaigns.ts";
import { campaignExit, campaignFields, campaignWords, finishedSessions } from "./campaign-fields.ts";
import type { Context } from "./context.ts";
import { duration } from "./plan-output.ts";
import { WorkProgress } from "./work-progress.ts";

export interface FollowOptions {
  /** Stages that run at once here; undefined is what `jobs.concurrency` says. */
  readonly concurrency?: number | undefined;
  /** URL of a module with other stages than this release's. */
  readonly stages: string | undefined;
}

/**
 * Works on a campaign until it is no longer running, beside whoever else does, and returns what the
 * command exits with. Interrupted, it pauses the campaign and says how to go on.
 */
export async function followCampaign(context: Context, app: App, id: string, options: FollowOptions): Promise<number> {
  const { output } = context;
  const ended = await untilEnded(context, app, id, options);
  await output.record("campaign", campaignFields(ended));
  await output.record("summary", { campaigns: 1, state: ended.state, planned: ended.planned, dead: ended.jobs.dead });
  output.note(`Campaign ${id} is ${ended.state}: ${campaignWords(ended)}`);
  if (ended.jobs.dead > 0) output.note(`See what failed with: sluice jobs list --campaign ${id} --state dead`);
  if (ended.state === "budget") output.note(`Its time is over. Go on with: sluice campaigns resume ${id}`);
  return campaignExit(ended);
}

async function untilEnded(context: Context, app: App, id: string, options: FollowOptions): Promise<Campaign> {
  const { output, signal } = context;
  const { config, clock } = app;
  context.resume = `Campaign ${id} is paused. Go on with: sluice campaigns resume ${id}`;
  let campaign = await read(app, id, signal);
  const pace = new Pace(campaign, performance.now());
  await using progress = new WorkProgress(output, () => pace.line(campaign, performance.now()));
  const concurrency = options.concurrency ?? Math.max(1, concurrencyOf(config));
  await using started = await startWorker({
    ...{ app, concurrency, kinds: undefined, events: progress },
    ...(options.stages !== undefined && { stages: options.stages }),
  });
  try {
    while (campaign.state === "running") {
      await clock.sleep(LOOK_EVERY_MS, signal);
      campaign = await read(app, id, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    // What runs is finished or given back, and nobody else goes on with what was interrupted.
    const late = AbortSignal.timeout(config.graceMs);
    await pause(app, id, late);
    await started.worker.drain(late);
    throw error;
  }
  await started.worker.drain(AbortSignal.timeout(config.graceMs));
  return await read(app, id, signal);
}

const LOOK_EVERY_MS = 200;

async function pause({ store, clock }: App, id: string, signal: AbortSignal): Promise<void> {
  try {
    await store.changeCampaign({ id, version: undefined, state: "paused" }, clock.now(), signal);
  } catch (error) {
    // It ended in the same moment.
    if (AppError.from(error).reason !== "CAMPAIGN_ENDED") throw error;
  }
}

async function read({ store }: App, id: string, signal: AbortSignal): Promise<Campaign> {
  const campaign = await store.readCampaign(id, signal);
  if (campaign !== undefined) return campaign;
  throw new AppError("not_found", `There is no campaign ${id}; sluice campaigns list has those there are.`, {
    reason: "CAMPAIGN_NOT_FOUND",
  });
}

/** How fast it goes, since this process looks at it. */
class Pace {
  readonly #first: number;
  readonly #beganMs: number;

  constructor(campaign: Campaign, nowMs: number) {
    this.#first = finishedSessions(campaign);
    this.#beganMs = nowMs;
  }

  line(campaign: Campaign, nowMs: number): string {
    const finished = finishedSessions(campaign);
    const seconds = (nowMs - this.#beganMs) / 1000;
    const rate = (finished - this.#first) / Math.max(1, seconds);
    const words = campaignWords(campaign);
    if (rate <= 0) return words;
    const left = Math.max(0, campaign.planned - finished) / rate;
    return `${words}; ${rate < 10 ? rate.toFixed(1) : Math.round(rate)} a second, about ${duration(left)} left`;
  }
}
