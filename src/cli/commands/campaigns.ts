import { type Command, InvalidArgumentError } from "commander";
import type { App } from "../../core/app.ts";
import { AppError } from "../../core/errors.ts";
import {
  CAMPAIGN_STATES,
  type Campaign,
  type CampaignSettings,
  type CampaignState,
} from "../../core/store/campaigns.ts";
import { campaignFields, campaignWords } from "../campaign-fields.ts";
import { followCampaign } from "../campaign-run.ts";
import { confirm } from "../confirm.ts";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { showTime, showTimeInFull, span, wholeNumber } from "../format.ts";
import { open } from "../open-store.ts";
import { printable } from "../output.ts";
import { writeTable } from "../table.ts";

interface ListOptions extends StoreOptions {
  readonly state?: CampaignState;
  readonly limit: number;
}

interface FollowOptions extends StoreOptions {
  readonly detach?: boolean;
  readonly concurrency?: number;
  readonly stages: string | undefined;
}

interface CancelOptions extends StoreOptions {
  readonly yes?: boolean;
}

interface SetOptions extends StoreOptions {
  readonly window?: number;
  readonly rate?: number | "none";
  readonly maxDuration?: number | "none";
}

/** `stages` is the URL of a module with other stages than this release's. */
export function register(campaigns: Command, stages?: string): void {
  storeOptions(campaigns.command("list"))
    .description("Runs over many sessions, newest first")
    .addHelpText("before", "Examples:\n  sluice campaigns list\n  sluice campaigns list --state running --json\n")
    .option("--state <state>", `only those that are ${CAMPAIGN_STATES.join(", ")}`, stateName)
    .option("--limit <n>", "at most so many", wholeNumber(1, 1000), 50)
    .action((options: ListOptions) => run(options, (context) => list(context, options)));
  storeOptions(campaigns.command("show"))
    .description("One campaign: what it does, how far it is, how its jobs ended")
    .argument("<id>", "as campaigns list has it")
    .addHelpText("before", "Examples:\n  sluice campaigns show cmp_3f9a2b41c07d\n")
    .action((id: string, options: StoreOptions) => run(options, (context) => show(context, id, options)));
  storeOptions(campaigns.command("pause"))
    .description("Bring no more jobs; those there are finish")
    .argument("<id>", "as campaigns list has it")
    .addHelpText("before", "Examples:\n  sluice campaigns pause cmp_3f9a2b41c07d\n")
    .action((id: string, options: StoreOptions) => run(options, (context) => pause(context, id, options)));
  storeOptions(campaigns.command("resume"))
    .description("Go on where it is, and stay until it ends")
    .argument("<id>", "as campaigns list has it")
    .addHelpText(
      "before",
      "Examples:\n  sluice campaigns resume cmp_3f9a2b41c07d\n  sluice campaigns resume cmp_3f9a2b41c07d --detach\n",
    )
    .option("--detach", "leave the work to sluiced or sluice work")
    .option("--concurrency <n>", "sessions worked on at once here", wholeNumber(1, 64))
    .action((id: string, options: FollowOptions) =>
      run(options, (context) => resume(context, id, { ...options, stages })),
    );
  storeOptions(campaigns.command("cancel"))
    .description("End it for good; jobs of it that wait are cancelled, those that run are stopped")
    .argument("<id>", "as campaigns list has it")
    .addHelpText("before", "Examples:\n  sluice campaigns cancel cmp_3f9a2b41c07d --yes\n")
    .option("--yes", "don't ask")
    .action((id: string, options: CancelOptions) => run(options, (context) => cancel(context, id, options)));
  storeOptions(campaigns.command("set"))
    .description("Change how fast it goes, while it goes")
    .argument("<id>", "as campaigns list has it")
    .addHelpText(
      "before",
      "Examples:\n  sluice campaigns set cmp_3f9a2b41c07d --rate 20\n  sluice campaigns set cmp_3f9a2b41c07d --rate none --window 500\n",
    )
    .option("--window <n>", "jobs of it that may be unfinished at once", wholeNumber(1, 100_000))
    .option("--rate <n>", "sessions a second, or none", orNone(rate))
    .option("--max-duration <time>", "stop after so long from now, or none", orNone(span))
    .action((id: string, options: SetOptions) => run(options, (context) => set(context, id, options)));
}

async function list(context: Context, { state, limit, ...options }: ListOptions): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const states = state === undefined ? undefined : [state];
  const found = await app.store.listCampaigns({ limit, states }, signal);
  for (const campaign of found) await output.record("campaign", campaignFields(campaign));
  await output.record("summary", { campaigns: found.length });
  if (found.length === 0) {
    output.note("There are no campaigns; sluice reprocess apply begins one.");
    return EXIT.nothingMatched;
  }
  const now = Date.now();
  const titles = ["ID", "STATE", "BEGUN", "PROGRESS", "REASON"];
  const columns = titles.map((title) => ({ title, flexible: title === "REASON" || title === "PROGRESS" }));
  const rows = found.map((campaign) => [
    campaign.id,
    campaign.state,
    showTime(output, campaign.createdAtMs, now),
    campaignWords(campaign),
    campaign.reason || "-",
  ]);
  if (!output.json) await writeTable(output, columns, rows);
  return EXIT.done;
}

async function show(context: Context, id: string, options: StoreOptions): Promise<number> {
  await using app = await open(context, options);
  await describe(context, await existing(app, id, context.signal));
  return EXIT.done;
}

async function describe({ output }: Context, campaign: Campaign): Promise<void> {
  await output.record("campaign", campaignFields(campaign));
  await output.record("summary", { campaigns: 1 });
  const now = Date.now();
  const { settings, selection } = campaign;
  const { project, untilMs: _, ...conditions } = selection;
  const fields: readonly (readonly [string, string])[] = [
    ["campaign", campaign.id],
    ["state", campaign.state],
    ["project", project],
    ["sessions", Object.keys(conditions).length === 0 ? "all that were stale" : JSON.stringify(conditions)],
    ["stages", campaign.stages.join(", ")],
    ["plan", campaign.plan],
    ["reason", campaign.reason || "-"],
    ["progress", campaignWords(campaign)],
    ["waiting", `${campaign.jobs.open} jobs, at most ${settings.window}`],
    ["rate", settings.rate === undefined ? "as fast as it goes" : `${settings.rate} sessions a second`],
    ["until", settings.deadlineMs === undefined ? "its end" : showTimeInFull(output, settings.deadlineMs, now)],
    ["begun", showTimeInFull(output, campaign.createdAtMs, now)],
    ["driven", showTimeInFull(output, campaign.drivenAtMs, now)],
    ["ended", showTimeInFull(output, campaign.endedAtMs, now)],
  ];
  for (const [name, value] of fields) await output.line(`${output.style("bold", name.padEnd(12))}${printable(value)}`);
}

async function pause(context: Context, id: string, options: StoreOptions): Promise<number> {
  await using app = await open(context, options);
  const campaign = await change(context, app, id, "paused");
  context.output.note(`Go on with: sluice campaigns resume ${campaign.id}`);
  return EXIT.done;
}

async function resume(context: Context, id: string, options: FollowOptions): Promise<number> {
  const { detach, concurrency, stages, ...store } = options;
  await using app = await open(context, store);
  const found = await existing(app, id, context.signal);
  // One that stopped at its deadline would stop at once again.
  const settings = found.state === "budget" ? { deadlineMs: undefined } : {};
  if (found.state !== "running") {
    await app.store.changeCampaign({ id, version: undefined, state: "running", settings }, Date.now(), context.signal);
  }
  if (detach === true) {
    await describe(context, await existing(app, id, context.signal));
    return EXIT.done;
  }
  return await followCampaign(context, app, id, { concurrency, stages });
}

async function cancel(context: Context, id: string, { yes, ...options }: CancelOptions): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const campaign = await existing(app, id, signal);
  if (!(await confirm(context, `Cancel campaign ${id}, ${campaignWords(campaign)}?`, yes === true))) {
    output.note("Nothing was changed.");
    return EXIT.failed;
  }
  // First no more come, then those there are go.
  if (campaign.state === "running") await change(context, app, id, "paused", false);
  const cancelled = await app.store.cancelJobs({ campaign: id }, Date.now(), signal);
  await change(context, app, id, "cancelled");
  output.note(`${cancelled} jobs cancelled.`);
  return EXIT.done;
}

async function set(context: Context, id: string, options: SetOptions): Promise<number> {
  const { window, rate: pace, maxDuration, ...store } = options;
  const settings: Partial<CampaignSettings> = {
    ...(window !== undefined && { window }),
    ...(pace !== undefined && { rate: pace === "none" ? undefined : pace }),
    ...(maxDuration !== undefined && { deadlineMs: maxDuration === "none" ? undefined : Date.now() + maxDuration }),
  };
  if (Object.keys(settings).length === 0) {
    throw new AppError("invalid_argument", "Say what to set: --window, --rate or --max-duration.", { reason: "USAGE" });
  }
  await using app = await open(context, store);
  await app.store.changeCampaign({ id, version: undefined, settings }, Date.now(), context.signal);
  await describe(context, await existing(app, id, context.signal));
  return EXIT.done;
}

async function change(context: Context, app: App, id: string, state: CampaignState, tell = true): Promise<Campaign> {
  const changed = await app.store.changeCampaign({ id, version: undefined, state }, Date.now(), context.signal);
  if (tell) await describe(context, changed);
  return changed;
}

async function existing(app: App, id: string, signal: AbortSignal): Promise<Campaign> {
  const campaign = await app.store.readCampaign(id, signal);
  if (campaign !== undefined) return campaign;
  throw new AppError(
    "not_found",
    `There is no campaign ${JSON.stringify(id)}; sluice campaigns list has those there are.`,
    {
      reason: "CAMPAIGN_NOT_FOUND",
    },
  );
}

function stateName(text: string): CampaignState {
  const state = CAMPAIGN_STATES.find((known) => known === text);
  if (state !== undefined) return state;
  throw new InvalidArgumentError(`The states are ${CAMPAIGN_STATES.join(", ")}.`);
}

/** For an option that is sessions a second. */
export function rate(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value > 0 && value <= 1_000_000) return value;
  throw new InvalidArgumentError("Give sessions a second, such as 20 or 0.5.");
}

function orNone<T>(parse: (text: string) => T): (text: string) => T | "none" {
  return (text) => (text === "none" ? "none" : parse(text));
}
