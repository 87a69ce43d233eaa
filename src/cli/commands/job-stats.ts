import type { Command } from "commander";
import { formatDuration } from "../../core/quantity.ts";
import type { KindStats } from "../../core/store/jobs.ts";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { open } from "../open-store.ts";
import { writeTable } from "../table.ts";

export function registerStats(jobs: Command): void {
  storeOptions(jobs.command("stats"))
    .description("How many jobs of each stage are in which state, and how long the oldest has waited")
    .addHelpText("before", "Examples:\n  sluice jobs stats\n  sluice jobs stats --json\n")
    .action((options: StoreOptions) => run(options, (context) => stats(context, options)));
}

async function stats(context: Context, options: StoreOptions): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const kinds = await app.store.jobStats(Date.now(), signal);
  for (const { kind, paused, maxRunning, counts, oldestAvailableMs } of kinds) {
    const bounds = { paused, max_running: maxRunning };
    await output.record("job_kind", { kind, ...bounds, ...counts, oldest_available_ms: oldestAvailableMs });
  }
  await output.record("summary", { kinds: kinds.length });
  if (kinds.length === 0) output.note("There has been no job yet: sealing a session makes the first.");
  else if (!output.json) await writeTable(output, COLUMNS, kinds.map(rowOf));
  return EXIT.done;
}

const COLUMNS = [
  { title: "STAGE" },
  ...["AVAILABLE", "SCHEDULED", "RUNNING", "DEAD", "CANCELLED", "DONE", "OLDEST"].map((title) => {
    return { title, align: "right" } as const;
  }),
  { title: "" },
];

function rowOf({ kind, paused, maxRunning, counts, oldestAvailableMs }: KindStats): string[] {
  const { available, scheduled, running, dead, cancelled, done } = counts;
  const numbers = [available, scheduled, running, dead, cancelled, done].map((count) => count.toLocaleString("en-US"));
  const waited = oldestAvailableMs === undefined ? "-" : formatDuration(Math.floor(oldestAvailableMs / 1000) * 1000);
  const bounds = [
    ...(paused ? ["paused"] : []),
    ...(maxRunning === undefined ? [] : [`at most ${maxRunning} at once`]),
  ];
  return [kind, ...numbers, waited, bounds.join(", ")];
}
