import type { Campaign } from "../core/store/campaigns.ts";
import { EXIT } from "./exit-code.ts";
import { counted } from "./format.ts";
import type { Fields } from "./output.ts";

/** A campaign as `--json` has it. */
export function campaignFields(campaign: Campaign): Fields {
  const { settings, jobs, selection } = campaign;
  return {
    id: campaign.id,
    state: campaign.state,
    project: selection.project,
    reason: campaign.reason,
    plan: campaign.plan,
    stages: campaign.stages,
    planned: campaign.planned,
    passed: campaign.passed,
    brought: campaign.brought,
    finished: finishedSessions(campaign),
    jobs_open: jobs.open,
    jobs_done: jobs.done,
    jobs_dead: jobs.dead,
    jobs_cancelled: jobs.cancelled,
    window: settings.window,
    rate: settings.rate,
    deadline_ms: settings.deadlineMs,
    created_at_ms: campaign.createdAtMs,
    updated_at_ms: campaign.updatedAtMs,
    driven_at_ms: campaign.drivenAtMs,
    ended_at_ms: campaign.endedAtMs,
  };
}

/** Sessions it brought a job for that have none unfinished: a session has one job at a time. */
export function finishedSessions({ brought, jobs }: Campaign): number {
  return Math.max(0, brought - jobs.open);
}

/** How it stands, in words. */
export function campaignWords(campaign: Campaign): string {
  const { planned, jobs } = campaign;
  const finished = finishedSessions(campaign);
  const share = planned === 0 ? 100 : Math.min(100, Math.floor((finished / planned) * 100));
  const words = [`${finished.toLocaleString("en-US")} of ${counted(planned, "session")} (${share}%)`];
  words.push(counted(jobs.done, "job"));
  if (jobs.dead > 0) words.push(`${jobs.dead} dead`);
  if (jobs.cancelled > 0) words.push(`${jobs.cancelled} cancelled`);
  return words.join(", ");
}

/** What following a campaign to its end exits with. */
export function campaignExit({ state, jobs }: Campaign): number {
  switch (state) {
    case "done":
      return jobs.dead > 0 ? EXIT.partly : EXIT.done;
    case "budget":
      return EXIT.budgetReached;
    case "cancelled":
      return EXIT.failed;
    case "paused":
    case "running":
      return EXIT.done;
  }
}
