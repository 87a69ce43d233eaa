import type { Command } from "commander";
import { migrateUp, migrationStatus } from "../../core/app.ts";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { counted, showTimeInFull } from "../format.ts";
import { readConfig } from "../open-store.ts";
import { writeTable } from "../table.ts";

export function register(migrate: Command): void {
  storeOptions(migrate.command("status"))
    .description("Print the schema's version and the migrations it lacks")
    .addHelpText("before", "Examples:\n  sluice migrate status\n")
    .action((options: StoreOptions) => run(options, (context) => status(context, options)));
  storeOptions(migrate.command("up"))
    .description("Apply the migrations the store lacks; makes the store if there is none")
    .addHelpText(
      "before",
      "Examples:\n  sluice migrate up\n  sluice migrate up --store sqlite:/var/lib/sluice/sluice.db\n",
    )
    .action((options: StoreOptions) => run(options, (context) => up(context, options)));
}

async function status(context: Context, options: StoreOptions): Promise<number> {
  const { output } = context;
  const { values } = await readConfig(context, options);
  const { current, latest, applied, pending } = await migrationStatus(values);
  for (const { number, name, appliedAtMs } of applied) {
    await output.record("migration", { number, name, applied_at_ms: appliedAtMs });
  }
  for (const { number, name } of pending) await output.record("migration", { number, name });
  await output.record("summary", { current, latest, pending: pending.length });
  if (output.json) return EXIT.done;

  await output.line(`schema ${current} of ${latest}, ${counted(pending.length, "migration")} to apply`);
  const now = Date.now();
  const rows = [
    ...applied.map(({ number, name, appliedAtMs }) => [String(number), name, showTimeInFull(output, appliedAtMs, now)]),
    ...pending.map(({ number, name }) => [String(number), name, "to apply"]),
  ];
  await writeTable(output, [{ title: "NUMBER", align: "right" }, { title: "NAME" }, { title: "APPLIED" }], rows);
  return EXIT.done;
}

async function up(context: Context, options: StoreOptions): Promise<number> {
  const { output } = context;
  const { values } = await readConfig(context, options);
  const applied = await migrateUp(values);
  for (const { number, name } of applied) await output.record("migration", { number, name });
  await output.record("summary", { applied: applied.length });
  await output.line(applied.length === 0 ? "Nothing to apply." : `${counted(applied.length, "migration")} applied:`);
  for (const { number, name } of applied) await output.line(`  ${number} ${name}`);
  return EXIT.done;
}
