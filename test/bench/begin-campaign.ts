import { systemClock } from "../../src/core/clock.ts";
import { CampaignDriver } from "../../src/core/jobs/campaign.ts";
import { makePlan, planHash, plannedSessions } from "../../src/core/jobs/plan.ts";
import { parseWhere } from "../../src/core/jobs/where.ts";
import { loadPipeline } from "../../src/core/pipeline/load.ts";
import type { Campaign } from "../../src/core/store/campaigns.ts";
import type { Store } from "../../src/core/store/store.ts";

/** Plans over all of a project's sessions, and begins the campaign that runs what is stale, as `sluice reprocess apply` does. */
export async function beginCampaign(
  store: Store,
  project: string,
  window: number,
  signal: AbortSignal,
): Promise<Campaign> {
  const { pipeline } = await loadPipeline(undefined);
  const where = parseWhere(project, [], Date.now());
  const options = { definitions: pipeline.definitions(project), where, stage: undefined };
  const { plan } = await makePlan(store, options, signal);
  const hash = planHash(plan);
  await store.keepPlan(hash, JSON.stringify(plan), Date.now(), signal);
  return await store.createCampaign(
    {
      id: `cmp_${hash}`,
      reason: "bench",
      plan: hash,
      selection: plan.selection,
      stages: plan.stages,
      planned: plannedSessions(plan),
      settings: { window, rate: undefined, deadlineMs: undefined },
      createdAtMs: Date.now(),
    },
    signal,
  );
}

/** Brings its first jobs. */
export async function driveOnce(store: Store, signal: AbortSignal): Promise<void> {
  const { pipeline } = await loadPipeline(undefined);
  const onFailure = (error: Error): never => {
    throw error;
  };
  await new CampaignDriver({ store, pipeline, clock: systemClock, onJobs: () => undefined, onFailure }).step(signal);
}
