import type { Command } from "commander";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { counted } from "../format.ts";
import { jobNumbers } from "../job-fields.ts";
import { open } from "../open-store.ts";

export function registerRetry(jobs: Command): void {
  storeOptions(jobs.command("retry"))
    .description(
      "Run these jobs now: dead and cancelled ones with their attempts anew, scheduled ones without the wait",
    )
    .argument("<job...>", "their numbers", jobNumbers)
    .addHelpText("before", "Examples:\n  sluice jobs retry 1742\n  sluice jobs retry 1742 1743\n")
    .action((ids: number[], options: StoreOptions) => run(options, (context) => retry(context, ids, options)));
}

async function retry(context: Context, ids: readonly number[], options: StoreOptions): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const wanted = [...new Set(ids)];
  const now = Date.now();
  const again = await app.store.redrive({ ids: wanted }, now, signal);
  const changed = again + (await app.store.runNow({ ids: wanted }, now, signal));
  await output.record("summary", { jobs: wanted.length, changed });
  await output.line(`${counted(changed, "job")} of ${wanted.length} can be run now`);
  if (changed === wanted.length) return EXIT.done;
  output.note("The others are not there, are run already, or their session has a newer job of that stage.");
  return changed === 0 ? EXIT.nothingMatched : EXIT.partly;
}
