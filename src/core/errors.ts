/** Every way a call can fail. Edges map these to Connect codes and exit codes by table. */
export type ErrorCode =
  | "invalid_argument"
  | "unauthenticated"
  | "permission_denied"
  | "not_found"
  | "conflict"
  | "out_of_range"
  | "aborted"
  | "failed_precondition"
  | "resource_exhausted"
  | "unavailable"
  | "deadline_exceeded"
  | "cancelled"
  | "data_loss"
  | "locked"
  | "no_store"
  | "internal";

export interface ErrorDetail {
  /** A stable word in SCREAMING_SNAKE_CASE that programs may branch on. */
  readonly reason: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** How long the caller should wait before it tries again, in milliseconds. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/**
 * The one error type that leaves core. The message says what happened, to what, and what to do
 * next, and never holds a secret or a recorded value.
 */
export class AppError extends Error {
  override readonly name = "AppError";
  readonly code: ErrorCode;
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.reason = detail.reason;
    this.metadata = detail.metadata ?? {};
    this.retryAfterMs = detail.retryAfterMs;
  }

  /** Why a call ends whose signal has aborted: whatever the reason is, it is no failure of ours. */
  static aborted(signal: AbortSignal): AppError {
    const known = AppError.from(signal.reason);
    if (known.code !== "internal") return known;
    return new AppError("cancelled", "The call was cancelled.", { reason: "CANCELLED", cause: signal.reason });
  }

  /** Total: anything thrown becomes an AppError, with the original as its cause. */
  static from(error: unknown): AppError {
    if (error instanceof AppError) return error;
    if (isAbort(error)) {
      return new AppError("cancelled", "The call was cancelled.", { reason: "CANCELLED", cause: error });
    }
    if (error instanceof Error && error.name === "TimeoutError") {
      return new AppError("deadline_exceeded", "The call took longer than its deadline.", {
        reason: "DEADLINE_EXCEEDED",
        cause: error,
      });
    }
    return new AppError("internal", "Something unexpected failed inside Sluice; the log has the cause.", {
      reason: "INTERNAL",
      cause: error,
    });
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
