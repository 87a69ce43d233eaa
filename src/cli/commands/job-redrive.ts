import type { Command } from "commander";
import { confirm } from "../confirm.ts";
import { type Context, run, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { counted } from "../format.ts";
import { countJobs, type FilterOptions, filterOf, filterOptions } from "../job-fields.ts";
import { open } from "../open-store.ts";

interface RedriveOptions extends FilterOptions {
  readonly yes?: boolean;
}

export function registerRedrive(jobs: Command): void {
  filterOptions(storeOptions(jobs.command("redrive")), ["dead", "cancelled"])
    .description("Run dead jobs again, all or those that match, with their attempts anew; asks first")
    .addHelpText(
      "before",
      "Examples:\n  sluice jobs redrive --reason STAGE_DEADLINE\n  sluice jobs redrive --kind redact --yes\n  sluice jobs redrive --state cancelled --campaign c-20260131\n",
    )
    .option("--yes", "do not ask")
    .action((options: RedriveOptions) => run(options, (context) => redrive(context, options)));
}

async function redrive(context: Context, options: RedriveOptions): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const state = options.state ?? "dead";
  const filter = { ...filterOf(options), state };
  const found = await countJobs(app.store, filter, [state], signal);
  if (found === undefined) {
    await output.record("summary", { changed: 0 });
    output.note(`No ${state} job matches.`);
    return EXIT.nothingMatched;
  }
  const yes = await confirm(context, `${found}, ${state} now, will be run again. Go on?`, options.yes ?? false);
  const changed = yes ? await app.store.redrive(filter, Date.now(), signal) : 0;
  await output.record("summary", { changed });
  await output.line(yes ? `${counted(changed, "job")} can be run again` : "Nothing was changed.");
  return EXIT.done;
}
