import type { Command } from "commander";
import { AppError } from "../core/errors.ts";
import { EXIT, EXIT_CODES } from "./exit-code.ts";
import { Output } from "./output.ts";

/** What every command takes. */
export interface CommonOptions {
  readonly json?: boolean;
}

/** What a command that opens the store takes. */
export interface StoreOptions extends CommonOptions {
  readonly config?: string;
  readonly store?: string;
  readonly blobs?: string;
}

export function commonOptions(command: Command): Command {
  return command.option("--json", "write NDJSON for programs");
}

export function storeOptions(command: Command): Command {
  return commonOptions(command)
    .option("--config <file>", "settings file (default: sluice.yaml if there is one)")
    .option("--store <url>", "where sessions live, such as sqlite:./data/sluice.db")
    .option("--blobs <url>", "where screenshots live, such as file:./data/blobs");
}

/** What a command works with: where to write and when to stop. */
export interface Context {
  readonly output: Output;
  /** Aborts on the first SIGINT or SIGTERM, and when nobody reads stdout any more. */
  readonly signal: AbortSignal;
  /** Printed when the command was interrupted: how to go on. */
  resume: string | undefined;
}

/**
 * Runs a command's body: catches what it throws, tells it on stderr (and on stdout with `--json`)
 * and sets the exit code, which the body may return. The first SIGINT or SIGTERM aborts the
 * context's signal; the second ends the process as if we weren't here.
 */
export async function run(options: CommonOptions, body: (context: Context) => Promise<number>): Promise<void> {
  const output = new Output({ json: options.json ?? false, stdout: process.stdout, stderr: process.stderr });
  const interrupt = new AbortController();
  const stop = () => {
    for (const name of SIGNALS) process.off(name, stop);
    output.note("Stopping; press again to stop at once.");
    interrupt.abort(new AppError("cancelled", "Interrupted.", { reason: "INTERRUPTED" }));
  };
  for (const name of SIGNALS) process.on(name, stop);
  const signal = AbortSignal.any([interrupt.signal, output.gone]);
  const context: Context = { output, signal, resume: undefined };
  try {
    process.exitCode = await body(context);
  } catch (error) {
    process.exitCode = await explain(error, context, interrupt.signal);
  } finally {
    for (const name of SIGNALS) process.off(name, stop);
  }
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

async function explain(error: unknown, { output, resume }: Context, interrupted: AbortSignal): Promise<number> {
  // `sluice … | head` has all it wanted.
  if (output.gone.aborted) return EXIT.done;
  const failure = AppError.from(interrupted.aborted ? interrupted.reason : error);
  await output.failure(failure);
  if (failure.code === "cancelled" && resume !== undefined) output.note(resume);
  return EXIT_CODES[failure.code];
}
