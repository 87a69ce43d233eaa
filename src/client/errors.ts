import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "../wire/gen/google/rpc/error_details_pb.ts";

/** Every way the client can fail; the same words the daemon uses. */
export type ClientErrorCode =
  | "invalid_argument"
  | "unauthenticated"
  | "permission_denied"
  | "not_found"
  | "unimplemented"
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
  | "internal";

export interface ClientErrorDetail {
  /** A stable word in SCREAMING_SNAKE_CASE that programs may branch on. */
  readonly reason: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** The least time to wait before trying again, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  /** Trying again later can succeed. */
  readonly retryable?: boolean;
  readonly cause?: unknown;
}

/** The one error type that leaves the client. It never holds what an event says, nor the key. */
export class ClientError extends Error {
  override readonly name = "ClientError";
  readonly code: ClientErrorCode;
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;
  readonly retryable: boolean;

  constructor(code: ClientErrorCode, message: string, detail: ClientErrorDetail) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.reason = detail.reason;
    this.metadata = detail.metadata ?? {};
    this.retryAfterMs = detail.retryAfterMs;
    this.retryable = detail.retryable ?? false;
  }

  /** Total: anything thrown becomes a ClientError, with the original as its cause. */
  static from(error: unknown): ClientError {
    if (error instanceof ClientError) return error;
    if (error instanceof ConnectError) return fromConnect(error);
    if (error instanceof Error && (error.name === "AbortError" || error.name === "TimeoutError")) {
      return new ClientError("cancelled", "The call was cancelled.", { reason: "CANCELLED", cause: error });
    }
    return new ClientError("internal", "Something unexpected failed in the client; the cause says what.", {
      reason: "INTERNAL",
      cause: error,
    });
  }
}

/** What each Connect code is here, and whether it passes by itself when the daemon gave no reason. */
const CODES: Readonly<Record<Code, readonly [ClientErrorCode, boolean]>> = {
  [Code.Canceled]: ["unavailable", true],
  [Code.Unknown]: ["unavailable", true],
  [Code.InvalidArgument]: ["invalid_argument", false],
  [Code.DeadlineExceeded]: ["deadline_exceeded", true],
  [Code.NotFound]: ["not_found", false],
  [Code.AlreadyExists]: ["conflict", false],
  [Code.PermissionDenied]: ["permission_denied", false],
  [Code.ResourceExhausted]: ["resource_exhausted", true],
  [Code.FailedPrecondition]: ["failed_precondition", false],
  [Code.Aborted]: ["aborted", true],
  [Code.OutOfRange]: ["out_of_range", true],
  [Code.Unimplemented]: ["unimplemented", false],
  [Code.Internal]: ["internal", true],
  [Code.Unavailable]: ["unavailable", true],
  [Code.DataLoss]: ["data_loss", true],
  [Code.Unauthenticated]: ["unauthenticated", false],
};

/** Reasons of the daemon that no retry changes, whatever their code. */
const FINAL_REASONS: ReadonlySet<string> = new Set([
  "CONFLICT",
  "FENCED",
  "SEALED",
  "MISSING_BLOBS",
  "STREAMS_DIFFER",
  "VERSION_MOVED",
]);

/** A limit of the daemon's that waiting does not lift: it says when to come back where that helps. */
function isLimit(code: ClientErrorCode, hasReason: boolean, hasDelay: boolean): boolean {
  return code === "resource_exhausted" && hasReason && !hasDelay;
}

/** The certificate is not trusted, or the other side speaks no TLS: no retry changes that. */
const TLS_CODE = /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA)/;

/** HTTP/2 cut the call off without an answer, as it does with one that crosses a daemon's GOAWAY. */
const CUT_CODE = /^ERR_HTTP2_(STREAM_ERROR|SESSION_ERROR|GOAWAY_SESSION|INVALID_SESSION)$/;

/** The message of the cause that has a code of Node's like this one. */
function causedBy(error: ConnectError, code: RegExp): string | undefined {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && typeof cause.code === "string" && code.test(cause.code)) return cause.message;
  }
  return undefined;
}

function fromConnect(error: ConnectError): ClientError {
  const tls = causedBy(error, TLS_CODE);
  if (tls !== undefined) {
    const message = `No trusted TLS connection to the daemon could be made: ${tls}. Check the address and tls.ca.`;
    return new ClientError("unavailable", message, { reason: "TLS", cause: error });
  }
  const cut = causedBy(error, CUT_CODE);
  if (cut !== undefined) {
    const message = `The daemon ended the connection without an answer: ${cut}`;
    return new ClientError("unavailable", message, { reason: "UNAVAILABLE", retryable: true, cause: error });
  }
  const info = error.findDetails(ErrorInfoSchema)[0];
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const [code, passes] = CODES[error.code];
  const reason = info?.reason ?? Code[error.code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  return new ClientError(reason === "CONFLICT" ? "conflict" : code, error.rawMessage, {
    reason,
    metadata: info?.metadata ?? {},
    retryAfterMs: delay === undefined ? undefined : Number(delay.seconds) * 1000 + Math.ceil(delay.nanos / 1e6),
    retryable: passes && !FINAL_REASONS.has(reason) && !isLimit(code, info !== undefined, delay !== undefined),
    cause: error,
  });
}
