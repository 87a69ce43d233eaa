import type { Command } from "commander";
import { badConfig, describeConfig } from "../../core/config.ts";
import { checkConfig } from "../../core/config-check.ts";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { readConfig } from "../open-store.ts";
import { writeTable } from "../table.ts";

export function register(config: Command): void {
  storeOptions(config.command("show"))
    .description("Print every setting with where its value came from; passwords are left out")
    .addHelpText("before", "Examples:\n  sluice config show\n  SLUICE_GRACE=5s sluice config show --config prod.yaml\n")
    .action((options: StoreOptions) => run(options, (context) => show(context, options)));
  storeOptions(config.command("check"))
    .description("Look for problems: settings, certificates, directories")
    .addHelpText("before", "Examples:\n  sluice config check --config prod.yaml\n")
    .action((options: StoreOptions) => run(options, (context) => check(context, options)));
}

async function show(context: Context, options: StoreOptions): Promise<number> {
  const { output } = context;
  const rows = describeConfig(await readConfig(context, options));
  for (const { setting, value, origin } of rows) await output.record("setting", { setting, value, origin });
  await output.record("summary", { settings: rows.length });
  if (output.json) return EXIT.done;
  const columns = [{ title: "SETTING" }, { title: "VALUE", flexible: true }, { title: "FROM" }];
  await writeTable(
    output,
    columns,
    rows.map(({ setting, value, origin }) => [setting, value || "-", origin]),
  );
  return EXIT.done;
}

async function check(context: Context, options: StoreOptions): Promise<number> {
  const { output } = context;
  const loaded = await readConfig(context, options);
  const found = await checkConfig(loaded.values, Date.now());
  const problems = found.map((problem) => ({ ...problem, origin: loaded.origins.get(problem.setting) ?? "default" }));
  for (const { severity, setting, message, origin } of problems) {
    await output.record("problem", { severity, setting, origin, message });
    if (severity === "warning") await output.line(`warning ${setting} (${origin}): ${message}`);
  }
  const errors = problems.filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw badConfig(errors);
  await output.record("summary", { errors: 0, warnings: problems.length });
  await output.line(problems.length === 0 ? "The configuration is in order." : "The configuration can be used.");
  return EXIT.done;
}
