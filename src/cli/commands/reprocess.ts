import { type Command, Option } from "commander";
import type { App } from "../../core/app.ts";
import { AppError } from "../../core/errors.ts";
import { LEFT_AFTER_MS } from "../../core/jobs/campaign.ts";
import {
  differences,
  estimate,
  loadPlan,
  makePlan,
  type Plan,
  planAgain,
  planHash,
  plannedSessions,
} from "../../core/jobs/plan.ts";
import { parseWhere, WHERE_FORMS } from "../../core/jobs/where.ts";
import { loadPipeline } from "../../core/pipeline/load.ts";
import type { Campaign } from "../../core/store/campaigns.ts";
import { campaignFields, campaignWords } from "../campaign-fields.ts";
import { followCampaign } from "../campaign-run.ts";
import { confirm } from "../confirm.ts";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { counted, span, wholeNumber } from "../format.ts";
import { open } from "../open-store.ts";
import { tellPlan } from "../plan-output.ts";
import { rate } from "./campaigns.ts";

interface PlanOptions extends StoreOptions {
  readonly project: string;
  readonly stage?: string;
  readonly where: readonly string[];
  readonly stages: string | undefined;
}

const OVERLAPS = ["skip", "queue", "fail"] as const;

interface ApplyOptions extends PlanOptions {
  readonly plan?: string;
  readonly maxDuration?: number;
  readonly rate?: number;
  readonly window: number;
  readonly concurrency?: number;
  readonly ifRunning: (typeof OVERLAPS)[number];
  readonly reason: string;
  readonly detach?: boolean;
  readonly yes?: boolean;
}

/** `stages` is the URL of a module with other stages than this release's. */
export function register(reprocess: Command, stages?: string): void {
  selectionOptions(reprocess.command("plan"))
    .description("Say which stages of which sessions would run, and why. Changes nothing.")
    .addHelpText(
      "before",
      "Examples:\n  sluice reprocess plan\n  sluice reprocess plan --stage score --where since=30d --where score<=50\n",
    )
    .action((options: PlanOptions) => run(options, (context) => plan(context, { ...options, stages })));
  selectionOptions(reprocess.command("apply"))
    .description("Run what is stale, and stay until it is done; sluiced or sluice work may help")
    .addHelpText(
      "before",
      `Examples:
  sluice reprocess apply --plan 3f9a2b41c07d88e1     exactly that plan, or nothing
  sluice reprocess apply --yes --if-running skip --max-duration 2h --reason nightly     from cron
`,
    )
    .option("--plan <hash>", "apply this plan; fails if it is no longer what would run")
    .option("--max-duration <time>", "bring nothing more after so long; exits with 8", span)
    .option("--rate <n>", "sessions a second (default: as fast as it goes)", rate)
    .option("--window <n>", "jobs that may be unfinished at once", wholeNumber(1, 100_000), 200)
    .option("--concurrency <n>", "sessions worked on at once here (default: cores less one)", wholeNumber(1, 64))
    .addOption(
      new Option("--if-running <what>", "when another one runs for the project: skip this one, wait, or fail")
        .choices(OVERLAPS)
        .default("fail"),
    )
    .option("--reason <text>", "why, for whoever looks later", "")
    .option("--detach", "leave the work to sluiced or sluice work")
    .option("--yes", "don't ask")
    .action((options: ApplyOptions) => run(options, (context) => apply(context, { ...options, stages })));
}

function selectionOptions(command: Command): Command {
  const forms = WHERE_FORMS.map(([form, meaning]) => `  ${form.padEnd(20)} ${meaning}`).join("\n");
  return storeOptions(command)
    .option("--project <id>", "whose sessions", "default")
    .option("--stage <name>", "only this stage and what follows it (default: all)")
    .option("--where <condition>", "only sessions for which it holds; may be given again", collect, [])
    .addHelpText("after", `\nConditions:\n${forms}\n`);
}

async function plan(context: Context, options: PlanOptions): Promise<number> {
  await using app = await open(context, options);
  const { signal, output } = context;
  const { plan: made, matched } = await planNow(app, options, signal);
  const hash = planHash(made);
  await app.store.keepPlan(hash, JSON.stringify(made), Date.now(), signal);
  await tellPlan(output, { plan: made, hash, matched, stages: await estimate(app.store, made, signal) });
  return nothingAsked(options, matched) ? EXIT.nothingMatched : EXIT.done;
}

/** Conditions that match nothing are likely a mistake; a store without sessions is none. */
function nothingAsked({ where }: PlanOptions, matched: number): boolean {
  return matched === 0 && where.length > 0;
}

async function planNow(app: App, { project, stage, where, stages }: PlanOptions, signal: AbortSignal) {
  const { pipeline } = await loadPipeline(app.config.pipeline, stages);
  const definitions = pipeline.definitions(project);
  return await makePlan(app.store, { definitions, stage, where: parseWhere(project, where, Date.now()) }, signal);
}

async function apply(context: Context, options: ApplyOptions): Promise<number> {
  if (options.plan !== undefined && (options.stage !== undefined || options.where.length > 0)) {
    throw new AppError("invalid_argument", "A plan says which stages and sessions: leave out --stage and --where.", {
      reason: "USAGE",
    });
  }
  await using app = await open(context, options);
  const { output, signal } = context;
  const { plan: asked } = options;
  const project = asked === undefined ? options.project : (await loadPlan(app.store, asked, signal)).selection.project;
  if ((await othersFirst(context, app, project, options)) === "skip") return EXIT.done;

  const made = asked === undefined ? await planNow(app, options, signal) : await planAsked(app, options, asked, signal);
  const sessions = plannedSessions(made.plan);
  if (sessions === 0) {
    await output.record("summary", { campaigns: 0, planned: 0, matched: made.matched });
    output.note(made.matched === 0 ? "No session matches." : "Nothing is stale: nothing to do.");
    return nothingAsked(options, made.matched) ? EXIT.nothingMatched : EXIT.done;
  }
  const hash = planHash(made.plan);
  await app.store.keepPlan(hash, JSON.stringify(made.plan), Date.now(), signal);
  if (asked === undefined && options.yes !== true) {
    await tellPlan(output, {
      plan: made.plan,
      hash,
      matched: made.matched,
      stages: await estimate(app.store, made.plan, signal),
    });
    if (!(await confirm(context, `Run this on ${counted(sessions, "session")}?`, false))) {
      output.note("Nothing was changed.");
      return EXIT.failed;
    }
  }
  const campaign = await app.store.createCampaign(newCampaign(made.plan, hash, sessions, options), signal);
  output.note(`Campaign ${campaign.id}: ${counted(sessions, "session")}, stages ${campaign.stages.join(", ")}`);
  if (options.detach === true) {
    await output.record("campaign", campaignFields(campaign));
    await output.record("summary", { campaigns: 1, planned: sessions });
    await output.line(campaign.id);
    return EXIT.done;
  }
  return await followCampaign(context, app, campaign.id, options);
}

function newCampaign({ selection, stages }: Plan, hash: string, planned: number, options: ApplyOptions) {
  const now = Date.now();
  const { window, concurrency, maxDuration } = options;
  return {
    id: `cmp_${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`,
    reason: options.reason,
    plan: hash,
    selection,
    stages,
    planned,
    settings: {
      window: Math.max(window, concurrency ?? 1),
      rate: options.rate,
      deadlineMs: maxDuration === undefined ? undefined : now + maxDuration,
    },
    createdAtMs: now,
  };
}

/** The plan that was made earlier, if it is still what would run. Fails with `failed_precondition` PLAN_MOVED, saying what changed. */
async function planAsked(app: App, { stages }: ApplyOptions, hash: string, signal: AbortSignal) {
  const asked = await loadPlan(app.store, hash, signal);
  const { pipeline } = await loadPipeline(app.config.pipeline, stages);
  const now = await planAgain(app.store, asked, pipeline.definitions(asked.selection.project), signal);
  const changed = differences(asked, now);
  if (changed.length === 0) return { plan: asked, matched: plannedSessions(asked) };
  throw new AppError(
    "failed_precondition",
    `Plan ${hash} is no longer what would run:\n  ${changed.join("\n  ")}\nPlan again: sluice reprocess plan`,
    { reason: "PLAN_MOVED", metadata: { plan: hash } },
  );
}

/**
 * What to do about another campaign that runs for the project. One whose process has died is
 * brought to its end first.
 */
async function othersFirst(context: Context, app: App, project: string, options: ApplyOptions): Promise<"go" | "skip"> {
  const { output, signal } = context;
  for (;;) {
    const running = await runningCampaign(app, project, signal);
    if (running === undefined) return "go";
    if (Date.now() - running.drivenAtMs >= LEFT_AFTER_MS) {
      output.note(`Campaign ${running.id} was left by its process: going on with it first.`);
      await followCampaign(context, app, running.id, options);
      continue;
    }
    if (options.ifRunning === "skip") {
      await output.record("summary", { campaigns: 0, skipped: running.id });
      output.note(`Campaign ${running.id} runs, ${campaignWords(running)}: this one is skipped.`);
      return "skip";
    }
    if (options.ifRunning === "fail") {
      throw new AppError(
        "locked",
        `Campaign ${running.id} runs for project ${project}. Wait with --if-running queue.`,
        {
          reason: "CAMPAIGN_RUNNING",
          metadata: { campaign: running.id },
        },
      );
    }
    output.status(`waiting for campaign ${running.id}: ${campaignWords(running)}`);
    await app.clock.sleep(QUEUE_POLL_MS, signal);
  }
}

const QUEUE_POLL_MS = 1_000;

async function runningCampaign(app: App, project: string, signal: AbortSignal): Promise<Campaign | undefined> {
  const running = await app.store.listCampaigns({ limit: 100, states: ["running"] }, signal);
  return running.find(({ selection }) => selection.project === project);
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}
