import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from "pino";
import { redactApiKeys } from "./api-key.ts";
import type { Config } from "./config.ts";
import { AppError } from "./errors.ts";

export type { Logger } from "pino";

export interface LogOptions {
  readonly level: Config["log"]["level"];
  /** Gets one line a call; stderr unless told. */
  readonly destination?: DestinationStream;
}

/**
 * Structured log lines, JSON, to stderr. Secrets don't get through: API keys anywhere in a line
 * become `slk_<id>_***`, headers that carry credentials `***`. Never give it what was recorded.
 */
export function createLogger({ level, destination: given }: LogOptions): Logger {
  const logger: Logger = pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (error: unknown) => describeError(error) },
      hooks: { streamWrite: redactLine },
    },
    given ?? stderr(() => logger),
  );
  return logger;
}

/** An error with its causes, as a log line has it. */
function describeError(error: unknown, depth = 0): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const known = error instanceof AppError ? { code: error.code, reason: error.reason, metadata: error.metadata } : {};
  const system = "code" in error && typeof error.code === "string" ? { code: error.code } : {};
  return {
    type: error.name,
    message: error.message,
    ...system,
    ...known,
    stack: error.stack,
    ...(error.cause !== undefined && depth < 4 && { cause: describeError(error.cause, depth + 1) }),
  };
}

/** Works on the finished line, so that it sees every depth and every serializer's output. */
function redactLine(line: string): string {
  return redactApiKeys(line).replaceAll(CREDENTIALS, '$1"***"');
}

const CREDENTIALS =
  /("(?:authorization|proxy-authorization|cookie|set-cookie|x-api-key)":)(?:"(?:[^"\\]|\\.)*"|\[(?:[^\]"]|"(?:[^"\\]|\\.)*")*\])/gi;

/** Lines wait for a reader of stderr up to here; then they are counted and left out. */
const WAITING_BYTES = 4 * 1024 * 1024;

/** Written asynchronously, as a stuck reader of stderr must not stop the daemon. */
function stderr(logger: () => Logger): DestinationStream {
  const stream = destination({ dest: 2, sync: false, maxLength: WAITING_BYTES });
  let dropped = 0;
  stream.on("drop", () => {
    dropped += 1;
  });
  stream.on("drain", () => {
    if (dropped === 0) return;
    const lines = dropped;
    dropped = 0;
    logger().warn({ lines }, "log lines dropped");
  });
  return stream;
}
