import type { Command } from "commander";
import { AppError } from "../../core/errors.ts";
import type { JobFilter, JobState } from "../../core/store/jobs.ts";
import { confirm } from "../confirm.ts";
import { type Context, run, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { counted } from "../format.ts";
import { countJobs, type FilterOptions, filterOf, filterOptions, jobNumbers } from "../job-fields.ts";
import { open } from "../open-store.ts";

interface CancelOptions extends FilterOptions {
  readonly yes?: boolean;
}

const UNFINISHED: readonly JobState[] = ["scheduled", "available", "running"];

export function registerCancel(jobs: Command): void {
  filterOptions(storeOptions(jobs.command("cancel")), UNFINISHED)
    .description("End jobs that are not finished: these, or all that match; asks first when it is not told which")
    .argument("[job...]", "their numbers", jobNumbers)
    .addHelpText(
      "before",
      "Examples:\n  sluice jobs cancel 1742\n  sluice jobs cancel --session checkout-0001 --yes\n  sluice jobs cancel --kind redact --state scheduled\n",
    )
    .option("--yes", "do not ask")
    .action((ids: number[], options: CancelOptions) => run(options, (context) => cancel(context, ids, options)));
}

async function cancel(context: Context, ids: readonly number[], options: CancelOptions): Promise<number> {
  const filter: JobFilter = { ...filterOf(options), ...(ids.length > 0 && { ids }) };
  if (Object.keys(filter).length === 0) {
    throw new AppError("invalid_argument", "Say which jobs: their numbers, or --kind, --session and the like.", {
      reason: "USAGE",
    });
  }
  await using app = await open(context, options);
  const { output, signal } = context;
  const found = await countJobs(app.store, filter, UNFINISHED, signal);
  if (found === undefined) {
    await output.record("summary", { changed: 0 });
    output.note("No unfinished job matches.");
    return EXIT.nothingMatched;
  }
  const told = options.yes === true || ids.length > 0;
  const yes = await confirm(context, `${found} will be cancelled. Go on?`, told);
  const changed = yes ? await app.store.cancelJobs(filter, Date.now(), signal) : 0;
  await output.record("summary", { changed });
  await output.line(
    yes ? `${counted(changed, "job")} cancelled; what runs ends within seconds` : "Nothing was changed.",
  );
  return EXIT.done;
}
