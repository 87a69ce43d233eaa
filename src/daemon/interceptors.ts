import { Code, ConnectError, type HandlerContext, type Interceptor, type StreamResponse } from "@connectrpc/connect";
import type { Logger } from "../core/log.ts";
import { type Call, callKey } from "./call.ts";
import { toConnectError } from "./connect-errors.ts";

/**
 * Turns what handlers throw into what callers see, and notes how each call ended. Of what is our
 * own fault the caller learns nothing but that; the cause is for the log.
 */
export function translateErrors(logger: Logger): Interceptor {
  return (next) => async (request) => {
    const call = request.contextValues.get(callKey);
    const failed = (error: unknown) => translated(error, { call, method: request.method.name, logger });
    try {
      const response = await next(request);
      if (!response.stream) {
        if (call !== undefined) call.outcome = "ok";
        return response;
      }
      return {
        ...response,
        message: watched(response.message, failed, () => {
          if (call !== undefined) call.outcome = "ok";
        }),
      };
    } catch (error) {
      throw failed(error);
    }
  };
}

/** What a caller sees of what a handler threw, which is noted as how the call ended. */
export function translated(error: unknown, { call, method, logger }: Failing): ConnectError {
  const failure = toConnectError(error);
  if (failure.code === Code.Internal) logger.error({ err: failure.cause, method }, "a call failed");
  if (call !== undefined) call.outcome = codeName(failure.code);
  return failure;
}

interface Failing {
  readonly call: Call | undefined;
  readonly method: string;
  readonly logger: Logger;
}

/**
 * What fails before a handler is called, such as reading a unary message, passes no interceptor. The
 * call's signal aborts with it, before the caller is told.
 */
export function noteEarlyFailure(context: HandlerContext): void {
  const { signal, values } = context;
  const note = (): void => {
    if (!(signal.reason instanceof ConnectError)) return;
    const { code } = toConnectError(signal.reason);
    const call = values.get(callKey);
    if (call !== undefined) call.outcome ??= codeName(code);
  };
  signal.addEventListener("abort", note, { once: true });
}

async function* watched(
  messages: StreamResponse["message"],
  failed: (error: unknown) => Error,
  ended: () => void,
): StreamResponse["message"] {
  try {
    yield* messages;
    ended();
  } catch (error) {
    throw failed(error);
  }
}

/** A code as metrics and logs have it: "resource_exhausted". */
export function codeName(code: Code): string {
  return (Code[code] ?? "unknown").replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}
