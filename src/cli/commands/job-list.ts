import type { Command } from "commander";
import type { Job } from "../../core/store/jobs.ts";
import { type Context, run, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { showTime, wholeNumber } from "../format.ts";
import { type FilterOptions, filterOf, filterOptions, jobFields } from "../job-fields.ts";
import { open } from "../open-store.ts";
import type { Output } from "../output.ts";
import { writeTable } from "../table.ts";

interface ListOptions extends FilterOptions {
  readonly limit: number;
  readonly page?: string;
}

export function registerList(jobs: Command): void {
  filterOptions(storeOptions(jobs.command("list")))
    .description("Jobs, newest first")
    .addHelpText(
      "before",
      "Examples:\n  sluice jobs list --state dead\n  sluice jobs list --kind redact --reason STAGE_DEADLINE --json\n",
    )
    .option("--limit <n>", "at most so many", wholeNumber(1, 1000), 50)
    .option("--page <token>", "go on where the page before ended")
    .action((options: ListOptions) => run(options, (context) => list(context, options)));
}

async function list(context: Context, options: ListOptions): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const query = { ...filterOf(options), limit: options.limit, cursor: options.page };
  const { jobs, nextCursor } = await app.store.listJobs(query, signal);
  for (const job of jobs) await output.record("job", jobFields(job));
  await output.record("summary", { jobs: jobs.length, next_page: nextCursor });
  if (jobs.length === 0) {
    output.note("No job matches.");
    return EXIT.nothingMatched;
  }
  if (output.json) return EXIT.done;
  await writeTable(output, COLUMNS, rowsOf(output, jobs));
  if (nextCursor !== undefined) output.note(`There are more: --page ${nextCursor}`);
  return EXIT.done;
}

const COLUMNS = [
  { title: "JOB", align: "right" },
  { title: "STAGE" },
  { title: "STATE" },
  { title: "SESSION", flexible: true },
  { title: "ATTEMPTS", align: "right" },
  { title: "CREATED" },
  { title: "WHY", flexible: true },
] as const;

function rowsOf(output: Output, jobs: readonly Job[]): string[][] {
  const now = Date.now();
  return jobs.map((job) => [
    String(job.id),
    job.kind,
    job.state,
    job.session,
    String(job.attempts),
    showTime(output, job.createdAtMs, now),
    job.error?.reason ?? "",
  ]);
}
