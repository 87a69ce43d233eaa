import { type Plan, plannedSessions, type StageEstimate } from "../core/jobs/plan.ts";
import { counted } from "./format.ts";
import type { Output } from "./output.ts";
import { writeTable } from "./table.ts";

export interface ToldPlan {
  readonly plan: Plan;
  readonly hash: string;
  /** Sessions the conditions match, stale or not. */
  readonly matched: number;
  readonly stages: readonly StageEstimate[];
}

/** A plan for people as a table, for programs a line a stage. */
export async function tellPlan(output: Output, { plan, hash, matched, stages }: ToldPlan): Promise<void> {
  const sessions = plannedSessions(plan);
  const seconds = secondsOf(stages);
  for (const { stage, certain, possible, reasons, meanMs } of stages) {
    await output.record("stage", { stage, runs: certain, may_run: possible, reasons, mean_ms: meanMs });
  }
  await output.record("summary", {
    plan: hash,
    store: plan.store,
    project: plan.selection.project,
    matched,
    sessions,
    stages: plan.stages,
    seconds,
    // No stage of this release asks a model.
    model_tokens: 0,
    cost: 0,
  });
  if (sessions === 0) {
    output.note(matched === 0 ? "No session matches." : `${counted(matched, "session")} match, and nothing is stale.`);
    return;
  }
  await output.line(`${counted(sessions, "session")} of ${matched.toLocaleString("en-US")} that match would run:`);
  await writeTable(
    output,
    [
      { title: "STAGE" },
      { title: "RUNS", align: "right" },
      { title: "MAY RUN", align: "right" },
      { title: "EACH", align: "right" },
      { title: "WHY", flexible: true },
    ],
    stages.map(({ stage, certain, possible, reasons, meanMs }) => [
      stage,
      certain.toLocaleString("en-US"),
      possible.toLocaleString("en-US"),
      meanMs === undefined ? "-" : `${Math.max(1, Math.round(meanMs))} ms`,
      whyOf(reasons, possible),
    ]),
  );
  const time =
    seconds === undefined ? "No stage has run yet, so how long is not known" : `About ${duration(seconds)} of work`;
  await output.line(`${time}; no model tokens and no cost, as no stage asks a model.`);
  output.note(`Plan ${hash}. Run exactly this with: sluice reprocess apply --plan ${hash}`);
}

function whyOf(reasons: StageEstimate["reasons"], possible: number): string {
  const words = Object.entries(reasons).map(([why, count]) => `${why} (${count.toLocaleString("en-US")})`);
  return words.length === 0 && possible > 0 ? "if what it reads changes" : words.join(", ");
}

/** Of all certain runs, one after another; undefined when a stage's time is not known. */
function secondsOf(stages: readonly StageEstimate[]): number | undefined {
  let ms = 0;
  for (const { certain, meanMs } of stages) {
    if (certain > 0 && meanMs === undefined) return undefined;
    ms += certain * (meanMs ?? 0);
  }
  return Math.ceil(ms / 1000);
}

/** `45 s`, `12 min`, `3.4 h`. */
export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3_600).toFixed(1)} h`;
}
