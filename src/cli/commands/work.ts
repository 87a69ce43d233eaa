import { type Command, InvalidArgumentError } from "commander";
import { concurrencyOf, startWorker } from "../../core/jobs/start-worker.ts";
import { STAGE_NAMES } from "../../core/pipeline/stage.ts";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { wholeNumber } from "../format.ts";
import { open } from "../open-store.ts";
import { WorkProgress } from "../work-progress.ts";

interface WorkOptions extends StoreOptions {
  readonly concurrency?: number;
  readonly kinds?: readonly string[];
  readonly once?: boolean;
}

/** `stages` is the URL of a module with other stages than this release's. */
export function register(work: Command, stages?: string): void {
  storeOptions(work)
    .addHelpText("before", EXAMPLES)
    .option("--concurrency <n>", "stages at once (default: jobs.concurrency)", wholeNumber(1, 1000))
    .option("--kinds <names>", `only these stages: ${STAGE_NAMES.join(", ")}`, kinds)
    .option("--once", "end when nothing is left that can be run now")
    .addHelpText("after", STOPPING)
    .action((options: WorkOptions) => run(options, (context) => untilStopped(context, options, stages)));
}

const EXAMPLES = `Examples:
  sluice work                                  beside the daemon, until it is told to stop
  sluice work --concurrency 8 --kinds redact   for what takes longest
  sluice work --once --json > attempts.ndjson  from cron
`;

const STOPPING = `
SIGTERM or SIGINT: it claims no more, lets what runs end within the grace (setting grace), gives back
the rest, and ends with 0. With --once it ends with 3 when jobs are dead.`;

async function untilStopped(context: Context, options: WorkOptions, stages: string | undefined): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const concurrency = options.concurrency ?? Math.max(1, concurrencyOf(app.config));
  await using progress = new WorkProgress(output);
  await using started = await startWorker({
    ...{ app, concurrency, kinds: options.kinds, events: progress },
    ...(stages !== undefined && { stages }),
  });
  const { worker } = started;
  const stopped = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => stopped.resolve(), { once: true });
  const idle = options.once === true ? [started.idle(signal)] : [];
  if (!signal.aborted) await Promise.race([stopped.promise, ...idle]);
  await worker.drain(AbortSignal.timeout(app.config.graceMs));
  const code = await progress.finish();
  return options.once === true && !signal.aborted ? code : EXIT.done;
}

function kinds(text: string): string[] {
  return text.split(",").map((word) => {
    const kind = STAGE_NAMES.find((name) => name === word.trim());
    if (kind === undefined) throw new InvalidArgumentError(`The stages are ${STAGE_NAMES.join(", ")}.`);
    return kind;
  });
}
