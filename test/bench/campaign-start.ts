import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { SqliteStore } from "../../src/core/store/sqlite/sqlite-store.ts";
import { beginCampaign, driveOnce } from "./begin-campaign.ts";

// Plans over all sessions of a store, begins a campaign and brings its first jobs, in a process of
// its own: reads one job from argv, writes what it took as JSON.

export interface CampaignStart {
  readonly path: string;
  readonly project: string;
  readonly window: number;
}

export interface CampaignStarted {
  readonly seconds: number;
  /** Sessions that will be run. */
  readonly planned: number;
  /** Jobs that were brought. */
  readonly jobs: number;
  readonly rssMib: number;
}

async function run({ path, project, window }: CampaignStart): Promise<CampaignStarted> {
  const { signal } = new AbortController();
  const begun = performance.now();
  await using store = await SqliteStore.open({ path, limits: DEFAULT_LIMITS, create: false });
  const { id, planned } = await beginCampaign(store, project, window, signal);
  await driveOnce(store, signal);
  const seconds = (performance.now() - begun) / 1000;
  const campaign = await store.readCampaign(id, signal);
  return { seconds, planned, jobs: campaign?.jobs.open ?? 0, rssMib: process.resourceUsage().maxRSS / 1024 };
}

const [job] = process.argv.slice(2);
if (job !== undefined) process.stdout.write(`${JSON.stringify(await run(JSON.parse(job)))}\n`);
