import { AppError, type ErrorCode } from "./errors.ts";

/** An AppError as it travels between threads and processes. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;
  readonly cause: string;
}

/** Total, like AppError.from. */
export function toPlain(error: unknown): PlainError {
  const { code, message, reason, metadata, retryAfterMs, cause } = AppError.from(error);
  // What is our own fault is looked for by its stack; for the rest the driver's words say more.
  const stack = code === "internal" && cause instanceof Error ? cause.stack : undefined;
  const text = stack ?? (cause instanceof Error ? cause.message : String(cause ?? ""));
  return { code, message, reason, metadata, retryAfterMs, cause: text };
}

export function fromPlain({ code, message, reason, metadata, retryAfterMs, cause }: PlainError): AppError {
  return new AppError(code, message, {
    reason,
    metadata,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(cause === "" ? {} : { cause: new Error(cause) }),
  });
}
