import { type Command, Option } from "commander";
import { ClientError } from "../client/errors.ts";
import { type App, openApp } from "../core/app.ts";
import { type Environment, type LoadedConfig, loadConfig, readEnvironment } from "../core/config.ts";
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
    .addOption(new Option("--blobs <url>", "where screenshots live, such as file:./data/blobs"));
}

/** What a command works with: where to write, when to stop, and what it is configured by. */
export interface Context {
  readonly output: Output;
  /** Aborts on the first SIGINT or SIGTERM, and when nobody reads stdout any more. */
  readonly signal: AbortSignal;
  readonly env: Environment;
  readonly cwd: string;
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
  const context: Context = { output, signal, env: readEnvironment(), cwd: process.cwd(), resume: undefined };
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
  const failure = interrupted.aborted ? AppError.from(interrupted.reason) : known(error);
  await output.failure(failure);
  if (failure.code === "cancelled" && resume !== undefined) output.note(resume);
  return EXIT_CODES[failure.code];
}

function known(error: unknown): AppError | ClientError {
  return error instanceof ClientError ? error : AppError.from(error);
}

/** Reads the configuration and tells its warnings. */
export async function readConfig({ output, env, cwd }: Context, options: StoreOptions): Promise<LoadedConfig> {
  const flags = { store: options.store, blobs: options.blobs };
  const loaded = await loadConfig({ flags, env, cwd, file: options.config });
  for (const warning of loaded.warnings) output.note(`warning ${warning}`);
  return loaded;
}

/** Opens the store the options name. Fails with `no_store` when there is none. */
export async function open(context: Context, options: StoreOptions): Promise<App> {
  const { values } = await readConfig(context, options);
  return await openApp(values, { create: false });
}

/** Opens the store the options name, and makes it when there is none. */
export async function openOrCreate(context: Context, options: StoreOptions): Promise<App> {
  const { values } = await readConfig(context, options);
  return await openApp(values, { create: true });
}
