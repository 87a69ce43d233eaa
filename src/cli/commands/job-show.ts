import type { Command } from "commander";
import { AppError } from "../../core/errors.ts";
import type { JobDetail } from "../../core/store/jobs.ts";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { showTime, showTimeInFull } from "../format.ts";
import { jobFields, jobNumber } from "../job-fields.ts";
import { open } from "../open-store.ts";
import { printable } from "../output.ts";
import { writeTable } from "../table.ts";

export function registerShow(jobs: Command): void {
  storeOptions(jobs.command("show"))
    .description("One job: how it stands, and what came of each attempt that did not end well")
    .argument("<job>", "its number", jobNumber)
    .addHelpText("before", "Examples:\n  sluice jobs show 1742\n")
    .action((id: number, options: StoreOptions) => run(options, (context) => show(context, id, options)));
}

async function show(context: Context, id: number, options: StoreOptions): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const job = await app.store.readJob(id, signal);
  if (job === undefined) {
    throw new AppError("not_found", `There is no job ${id}; finished ones are deleted after the setting jobs.keep.`, {
      reason: "JOB_NOT_FOUND",
    });
  }
  await output.record("job", jobFields(job));
  for (const { attempt, outcome, owner, startedAtMs, endedAtMs, error } of job.history) {
    const times = { started_at_ms: startedAtMs, ended_at_ms: endedAtMs };
    await output.record("job_attempt", { job: id, attempt, outcome, owner, ...times, ...error });
  }
  await output.record("summary", { jobs: 1, attempts: job.history.length });
  if (!output.json) await describe(context, job);
  return EXIT.done;
}

async function describe({ output }: Context, job: JobDetail): Promise<void> {
  const now = Date.now();
  const field = async (name: string, value: string | undefined) => {
    if (value) await output.line(`${output.style("bold", name.padEnd(10))}${printable(value)}`);
  };
  const time = (ms: number | undefined) => (ms === undefined ? undefined : showTimeInFull(output, ms, now));
  await field("job", String(job.id));
  await field("stage", job.kind);
  await field("project", job.project);
  await field("session", job.session);
  await field("state", job.state);
  await field("priority", String(job.priority));
  await field("campaign", job.campaign);
  await field("attempts", `${job.attempts}${job.lost === 0 ? "" : `, and ${job.lost} whose worker was lost`}`);
  await field("created", time(job.createdAtMs));
  await field("runs", job.state === "scheduled" ? time(job.runAtMs) : undefined);
  await field("started", time(job.startedAtMs));
  await field("ended", time(job.endedAtMs));
  await field("worker", job.leaseOwner && `${job.leaseOwner}, its lease until ${time(job.leaseUntilMs)}`);
  await field("why", job.error && `${job.error.message} (${job.error.reason})`);
  if (job.history.length === 0) return;
  await output.line();
  await writeTable(
    output,
    [{ title: "ATTEMPT", align: "right" }, { title: "ENDED" }, { title: "AS" }, { title: "WORKER" }, { title: "WHY" }],
    job.history.map(({ attempt, endedAtMs, outcome, owner, error }) => [
      String(attempt),
      showTime(output, endedAtMs, now),
      outcome,
      owner,
      `${error.message} (${error.reason})`,
    ]),
  );
}
