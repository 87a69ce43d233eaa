import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { AppError, type ErrorCode } from "../core/errors.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../wire/gen/google/rpc/error_details_pb.ts";

/** Any failure as callers see it: a Connect code, a message, ErrorInfo, and RetryInfo where waiting helps. */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return completed(error);
  const known = AppError.from(error);
  const details: OutgoingDetail[] = [
    detail(ErrorInfoSchema, { reason: known.reason, domain: "sluice", metadata: { ...known.metadata } }),
  ];
  if (known.retryAfterMs !== undefined) {
    const seconds = Math.floor(known.retryAfterMs / 1000);
    const nanos = Math.round((known.retryAfterMs % 1000) * 1e6);
    details.push(detail(RetryInfoSchema, { retryDelay: { seconds: BigInt(seconds), nanos } }));
  }
  return new ConnectError(known.message, CODES[known.code], undefined, details, known);
}

/**
 * Gives an error the library made the ErrorInfo that all errors have. One about a message that can't
 * be read is `internal` there, though the fault is the caller's.
 */
function completed(error: ConnectError): ConnectError {
  if (error.findDetails(ErrorInfoSchema).length > 0) return error;
  if (error.code === Code.Internal && error.rawMessage.startsWith("parse binary: ")) {
    // In place: the library tells the caller this very object.
    Object.assign(error, { code: Code.InvalidArgument });
  }
  const reason = REASONS.get(error.code) ?? "PROTOCOL_ERROR";
  error.details.push(detail(ErrorInfoSchema, { reason, domain: "sluice" }));
  return error;
}

const REASONS: ReadonlyMap<Code, string> = new Map([
  [Code.InvalidArgument, "BAD_MESSAGE"],
  [Code.ResourceExhausted, "MESSAGE_TOO_LARGE"],
  [Code.DeadlineExceeded, "DEADLINE_EXCEEDED"],
  [Code.Canceled, "CANCELLED"],
]);

type OutgoingDetail = { desc: DescMessage; value: MessageInitShape<DescMessage> };

function detail<T extends DescMessage>(desc: T, value: MessageInitShape<T>): OutgoingDetail {
  return { desc, value: create(desc, value) };
}

const CODES: Readonly<Record<ErrorCode, Code>> = {
  invalid_argument: Code.InvalidArgument,
  unauthenticated: Code.Unauthenticated,
  permission_denied: Code.PermissionDenied,
  not_found: Code.NotFound,
  conflict: Code.AlreadyExists,
  out_of_range: Code.OutOfRange,
  aborted: Code.Aborted,
  failed_precondition: Code.FailedPrecondition,
  resource_exhausted: Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  deadline_exceeded: Code.DeadlineExceeded,
  cancelled: Code.Canceled,
  data_loss: Code.DataLoss,
  locked: Code.Unavailable,
  no_store: Code.Unavailable,
  internal: Code.Internal,
};
