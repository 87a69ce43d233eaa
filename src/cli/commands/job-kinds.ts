import { Argument, type Command, InvalidArgumentError } from "commander";
import { STAGE_NAMES, type StageName } from "../../core/pipeline/stage.ts";
import type { KindSettings } from "../../core/store/jobs.ts";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { open } from "../open-store.ts";

/** pause, resume and bound: what all workers obey for one stage. */
export function registerKinds(jobs: Command): void {
  const stage = () => new Argument("<stage>", "its name").choices(STAGE_NAMES);
  storeOptions(jobs.command("pause"))
    .description("Begin no more jobs of a stage, in any worker, until it is resumed; what runs goes on")
    .addArgument(stage())
    .addHelpText("before", "Examples:\n  sluice jobs pause redact\n")
    .action((kind: StageName, options: StoreOptions) =>
      run(options, (context) => change(context, kind, { paused: true }, options)),
    );
  storeOptions(jobs.command("resume"))
    .description("Undo a pause")
    .addArgument(stage())
    .addHelpText("before", "Examples:\n  sluice jobs resume redact\n")
    .action((kind: StageName, options: StoreOptions) =>
      run(options, (context) => change(context, kind, { paused: false }, options)),
    );
  storeOptions(jobs.command("bound"))
    .description("Let all workers together run at most so many jobs of a stage at once")
    .addArgument(stage())
    .argument("<n>", "how many, or none to take the bound away", bound)
    .addHelpText("before", "Examples:\n  sluice jobs bound redact 4\n  sluice jobs bound redact none\n")
    .action((kind: StageName, { maxRunning }: Bound, options: StoreOptions) =>
      run(options, (context) => change(context, kind, { maxRunning }, options)),
    );
}

async function change(
  context: Context,
  kind: StageName,
  settings: KindSettings,
  options: StoreOptions,
): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  await app.store.setKind(kind, settings, signal);
  const { paused, maxRunning } = settings;
  await output.record("summary", { kind, paused, max_running: maxRunning });
  if (paused !== undefined) await output.line(paused ? `${kind} is paused` : `${kind} goes on`);
  else await output.line(maxRunning === undefined ? `${kind} has no bound` : `${kind}: at most ${maxRunning} at once`);
  return EXIT.done;
}

interface Bound {
  readonly maxRunning: number | undefined;
}

function bound(text: string): Bound {
  if (text === "none") return { maxRunning: undefined };
  if (/^\d{1,6}$/.test(text)) return { maxRunning: Number(text) };
  throw new InvalidArgumentError("Give a whole number, or none.");
}
