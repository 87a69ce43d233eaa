import { type Command, InvalidArgumentError, Option } from "commander";
import { STAGE_NAMES } from "../core/pipeline/stage.ts";
import { JOB_STATES, type Job, type JobFilter, type JobState } from "../core/store/jobs.ts";
import type { Store } from "../core/store/store.ts";
import type { StoreOptions } from "./context.ts";
import type { Fields } from "./output.ts";

/** Which jobs, as the commands take it. */
export interface FilterOptions extends StoreOptions {
  readonly kind?: string;
  readonly state?: JobState;
  readonly project?: string;
  readonly session?: string;
  readonly campaign?: string;
  readonly reason?: string;
}

export function filterOptions(command: Command, states: readonly JobState[] = JOB_STATES): Command {
  return command
    .addOption(new Option("--kind <stage>", "jobs that run this stage").choices(STAGE_NAMES))
    .addOption(new Option("--state <state>", "jobs in this state").choices(states))
    .option("--project <id>", "jobs of this project")
    .option("--session <id>", "jobs of this session")
    .option("--campaign <id>", "jobs of this campaign")
    .option("--reason <word>", "jobs whose latest error has this reason, such as STAGE_DEADLINE");
}

export function filterOf({ kind, state, project, session, campaign, reason }: FilterOptions): JobFilter {
  return {
    ...(kind !== undefined && { kind }),
    ...(state !== undefined && { state }),
    ...(project !== undefined && { project }),
    ...(session !== undefined && { session }),
    ...(campaign !== undefined && { campaign }),
    ...(reason !== undefined && { reason }),
  };
}

/** A job as `--json` has it. */
export function jobFields(job: Job): Fields {
  return {
    id: job.id,
    kind: job.kind,
    project: job.project,
    session: job.session,
    state: job.state,
    priority: job.priority,
    attempts: job.attempts,
    lost: job.lost,
    campaign: job.campaign,
    created_at_ms: job.createdAtMs,
    run_at_ms: job.runAtMs,
    started_at_ms: job.startedAtMs,
    ended_at_ms: job.endedAtMs,
    lease_owner: job.leaseOwner,
    lease_until_ms: job.leaseUntilMs,
    reason: job.error?.reason,
    message: job.error?.message,
  };
}

/** For an argument that is a job's number. */
export function jobNumber(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("A job is a number, as jobs list has it.");
}

/** For an argument that may be given several times. */
export function jobNumbers(text: string, before: readonly number[] = []): number[] {
  return [...before, jobNumber(text)];
}

/** Counted as far as it says something to whoever is asked. */
const COUNTED = 10_000;
const PAGE = 1_000;

/** How many match in any of these states: `12 jobs`, `10,000 jobs or more`. undefined when none does. */
export async function countJobs(
  store: Store,
  filter: JobFilter,
  states: readonly JobState[],
  signal: AbortSignal,
): Promise<string | undefined> {
  let count = 0;
  for (const state of states.filter((each) => filter.state === undefined || filter.state === each)) {
    let cursor: string | undefined;
    do {
      const page = await store.listJobs({ ...filter, state, limit: PAGE, cursor }, signal);
      count += page.jobs.length;
      cursor = page.nextCursor;
    } while (cursor !== undefined && count < COUNTED);
  }
  if (count === 0) return undefined;
  if (count >= COUNTED) return `${COUNTED.toLocaleString("en-US")} jobs or more`;
  return `${count.toLocaleString("en-US")} ${count === 1 ? "job" : "jobs"}`;
}
