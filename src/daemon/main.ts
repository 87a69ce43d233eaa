import { readFileSync } from "node:fs";
import { setDefaultHighWaterMark } from "node:stream";
import { Command, CommanderError } from "commander";
import { systemClock } from "../core/clock.ts";
import { type Config, loadConfig, readEnvironment } from "../core/config.ts";
import { checkConfig } from "../core/config-check.ts";
import { AppError } from "../core/errors.ts";
import { createLogger, type Logger } from "../core/log.ts";
import { Server } from "./server.ts";

/** Runs the daemon until SIGTERM or SIGINT; `args` are those after the program's name. */
export async function main(args: readonly string[]): Promise<void> {
  const logger = createLogger({ level: "info" });
  try {
    const flags = parse(args);
    if (flags === undefined) return;
    await serve(flags);
  } catch (error) {
    const failure = error instanceof CommanderError ? usage(error) : AppError.from(error);
    logger.fatal(failure.code === "internal" ? { err: failure } : whatHappened(failure), failure.message);
    process.exitCode = EXIT_CODES.get(failure.code) ?? 1;
  }
}

/** Whoever starts the daemon can mend it, and needs no stack for that. */
function whatHappened({ code, reason, metadata, cause }: AppError): Record<string, unknown> {
  return { code, reason, ...metadata, ...(cause instanceof Error && { cause: cause.message }) };
}

/** As the command line's: usage 2, no store 10, locked 11, not allowed 12. */
const EXIT_CODES: ReadonlyMap<string, number> = new Map([
  ["invalid_argument", 2],
  ["no_store", 10],
  ["locked", 11],
  ["permission_denied", 12],
  ["unauthenticated", 12],
]);

interface Flags {
  readonly config?: string;
  readonly [setting: string]: string | undefined;
}

function parse(args: readonly string[]): Flags | undefined {
  const program = new Command("sluiced")
    .description("Takes recorded sessions in and keeps them. Speaks gRPC, gRPC-Web and Connect on one port.")
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .addHelpText("before", EXAMPLES)
    .option("--config <file>", "settings file (default: sluice.yaml if there is one)")
    .option("--listen <address>", "address and port (default: 127.0.0.1:4750)")
    .option("--store <url>", "where sessions live (default: sqlite:./data/sluice.db)")
    .option("--blobs <url>", "where screenshots live (default: file:./data/blobs)")
    .option("--tls-cert <file>", "PEM certificate; with --tls-key the port speaks TLS")
    .option("--tls-key <file>", "PEM key of the certificate")
    .option("--log-level <level>", "silent, fatal, error, warn, info, debug or trace (default: info)")
    .addHelpText("after", "\nEvery other setting goes in the file or the environment: sluice config show lists them.")
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  try {
    return program.parse(args, { from: "user" }).opts();
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return undefined;
    throw error;
  }
}

const EXAMPLES = `Examples:
  sluiced                                            serve this machine on 127.0.0.1:4750, data in ./data
  sluiced --listen 0.0.0.0:4750 --tls-cert c.pem --tls-key k.pem
  sluiced --config /etc/sluice.yaml
`;

function usage(error: CommanderError): AppError {
  return new AppError("invalid_argument", `${error.message.replace(/^error: /, "")} See sluiced --help.`, {
    reason: "USAGE",
  });
}

function version(): string {
  const manifest = import.meta.url.includes("/dist/") ? "../../../package.json" : "../../package.json";
  const { version }: { version: string } = JSON.parse(readFileSync(new URL(manifest, import.meta.url), "utf8"));
  return version;
}

async function serve(flags: Flags): Promise<void> {
  const { config: file, ...given } = flags;
  const settings = {
    listen: given.listen,
    store: given.store,
    blobs: given.blobs,
    "tls.cert": given.tlsCert,
    "tls.key": given.tlsKey,
    "log.level": given.logLevel,
  };
  const loaded = await loadConfig({ flags: settings, env: readEnvironment(), cwd: process.cwd(), file });
  const config = loaded.values;
  const logger = createLogger({ level: config.log.level });
  for (const warning of loaded.warnings) logger.warn(warning);
  await reportSettings(config, logger);
  // What a paused HTTP/2 stream may still take in, beside its window; a thousand streams multiply it.
  // No more than the smallest window, or it takes in a second one.
  setDefaultHighWaterMark(false, STREAM_BUFFER);
  await using server = await Server.start({ config, logger, version: version() });
  process.on("SIGHUP", () => void server.reload());
  logger.info({ url: server.url, store: config.store.url, blobs: config.blobs.url }, "listening");
  await stopped(server, logger, config.graceMs);
}

const STREAM_BUFFER = 8 * 1024;

async function reportSettings(config: Config, logger: Logger): Promise<void> {
  const problems = await checkConfig(config, systemClock.now());
  for (const problem of problems) {
    if (problem.severity === "warning") logger.warn({ setting: problem.setting }, problem.message);
  }
  const errors = problems.filter((problem) => problem.severity === "error");
  if (errors.length === 0) return;
  const lines = errors.map(({ setting, message }) => `${setting}: ${message}`);
  throw new AppError("invalid_argument", lines.join("\n"), { reason: "BAD_CONFIG" });
}

/**
 * Waits for a signal, then drains within the grace. A second signal ends the draining: what was
 * acked is on disk, what was not is sent again by whoever sent it.
 */
async function stopped(server: Server, logger: Logger, graceMs: number): Promise<void> {
  const first = Promise.withResolvers<string>();
  const second = new AbortController();
  const take = (signal: string): void => {
    if (seen) second.abort();
    seen = true;
    first.resolve(signal);
  };
  let seen = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => take(signal));
  const signal = await first.promise;
  logger.info({ signal, graceMs }, "stopping; a second signal stops at once");
  try {
    await server.drain(AbortSignal.any([second.signal, AbortSignal.timeout(graceMs)]));
    logger.info("stopped");
  } catch {
    logger.warn(second.signal.aborted ? "stopped at once" : "the grace ended before every caller had gone");
  }
}
