import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, type Http2ServerResponse, type Http2Session } from "node:http2";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createConnectRouter,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { parseContentType } from "@connectrpc/connect/protocol-grpc";
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { Config } from "../core/config.ts";
import type { AppError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { Metrics } from "../core/metrics.ts";
import type { UploadRequest } from "../wire/gen/sluice/opaque/v1/opaque_pb.ts";
import type { UploadResponse } from "../wire/gen/sluice/v1/ingest_pb.ts";
import { opaqueUpload } from "../wire/opaque.ts";
import { readEnvelopes, readWhole } from "./body.ts";
import { Account, type Memory } from "./budget.ts";
import { type Call, callKey, callOf } from "./call.ts";
import { toConnectError } from "./connect-errors.ts";
import type { Deadlines } from "./deadlines.ts";
import type { Gate } from "./gate.ts";
import { grpcStream, type Handler } from "./grpc-stream.ts";
import { noteEarlyFailure, translated, translateErrors } from "./interceptors.ts";
import { strictJson } from "./strict-json.ts";
import type { Windows } from "./windows.ts";

export interface RpcOptions {
  readonly config: Config;
  readonly gate: Gate;
  readonly memory: Memory;
  readonly deadlines: Deadlines;
  readonly windows: Windows;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Aborts when the daemon stops. Our own services look to it; the standard streams are ended by it here. */
  readonly shutdown: AbortSignal;
  readonly routes: Routes;
}

export interface Routes {
  /** The methods as they are. */
  readonly json: (router: ConnectRouter) => void;
  /** Those with opaque events. */
  readonly binary: (router: ConnectRouter) => void;
  /** One of these again, for the callers that are many and stay: those of gRPC. */
  readonly upload: (requests: AsyncIterable<UploadRequest>, context: HandlerContext) => AsyncIterable<UploadResponse>;
}

export type NodeRequest = IncomingMessage | Http2ServerRequest;
export type NodeResponse = ServerResponse<IncomingMessage> | Http2ServerResponse;

/** Serves gRPC, gRPC-Web and Connect calls. `handle` answers false for a path that is no method. */
export class RpcHandler {
  readonly #options: RpcOptions;
  readonly #json: ReadonlyMap<string, UniversalHandler>;
  readonly #binary: ReadonlyMap<string, UniversalHandler>;
  readonly #upload: Handler;

  constructor(options: RpcOptions) {
    this.#options = options;
    this.#json = this.#handlers(options.routes.json);
    this.#binary = this.#handlers(options.routes.binary);
    this.#upload = this.#grpcUpload(options.routes.upload);
  }

  #handlers(routes: (router: ConnectRouter) => void): ReadonlyMap<string, UniversalHandler> {
    const { config, logger } = this.#options;
    const router = createConnectRouter({
      readMaxBytes: config.limits.messageBytes,
      maxTimeoutMs: MAX_TIMEOUT_MS,
      acceptCompression: COMPRESSION,
      jsonOptions: strictJson(config.limits.depth),
      interceptors: [translateErrors(logger)],
      requestGate: (context) => this.#enter(context),
    });
    routes(router);
    return new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  }

  #grpcUpload(upload: Routes["upload"]): Handler {
    const { config, logger } = this.#options;
    return grpcStream(opaqueUpload, upload, {
      messageBytes: config.limits.messageBytes,
      maxTimeoutMs: MAX_TIMEOUT_MS,
      acceptCompression: COMPRESSION,
      enter: (context) => this.#enter(context),
      ended: (context, failure) => {
        const call = callOf(context);
        if (failure !== undefined) return translated(failure.error, { call, method: context.method.name, logger });
        call.outcome = "ok";
        return undefined;
      },
    });
  }

  #enter(context: HandlerContext): Promise<void> {
    noteEarlyFailure(context);
    return this.#options.gate.enter(context);
  }

  handle(request: NodeRequest, response: NodeResponse): boolean {
    const path = (request.url ?? "").split("?", 1)[0] ?? "";
    const contentType = request.headers["content-type"] ?? "";
    const handlers = isJson(contentType) ? this.#json : this.#binary;
    const handler = handlers.get(path);
    if (handler === undefined) return false;
    const own = path === UPLOAD && isBinaryGrpc(request, contentType);
    void this.#serve(own ? this.#upload : handler, request, response, contentType);
    return true;
  }

  async #serve(handler: Handler, request: NodeRequest, response: NodeResponse, contentType: string): Promise<void> {
    const { memory, config, deadlines, windows, metrics, shutdown } = this.#options;
    const begun = performance.now();
    using account = new Account(memory, config.limits.messageBytes * 2, (seconds) => metrics.creditWaited(seconds));
    using window = windows.enter(sessionOf(request));
    const stopped = new AbortController();
    const gone = Promise.withResolvers<void>();
    response.once("close", () => {
      stopped.abort(new ConnectError("the caller went away", Code.Canceled));
      gone.resolve();
    });
    using watch = deadlines.watch({
      late: (error) => stopped.abort(error),
      cut: () => cutOff(request),
      unread: () => ("stream" in response ? response.stream.writableLength : response.writableLength),
    });
    const call: Call = {
      account,
      watch,
      remoteAddress: request.socket.remoteAddress ?? "",
      lease: undefined,
      outcome: undefined,
      widen: () => window.widen(),
    };
    // Our own services end by themselves, after a last answer.
    const end = (): void => stopped.abort(toConnectError(shutdown.reason));
    if (!handler.service.typeName.startsWith("sluice.")) shutdown.addEventListener("abort", end);
    try {
      const kept = handler === this.#upload;
      const options = { account, messageBytes: config.limits.messageBytes, signal: stopped.signal, watch, kept };
      const read = isStreaming(contentType) ? readEnvelopes : readWhole;
      const body = request.method === "POST" ? read(request, options) : nothing();
      const answer = await handler(universalOf(request, response, call, body, stopped));
      if (handler.method.methodKind === "unary") watch.answeringSince = performance.now();
      // What connect-node waits for never comes: no response of Node emits "end".
      const written = universalResponseToNodeResponse(answer, response);
      await Promise.race([written, gone.promise, handedOver(response)]);
    } catch (error) {
      this.#failed(call, error);
    } finally {
      shutdown.removeEventListener("abort", end);
      call.lease?.[Symbol.dispose]();
      discard(request, response);
      const { outcome = "unknown" } = call;
      const method = `${handler.service.typeName}/${handler.method.name}`;
      metrics.rpcFinished(method, outcome, (performance.now() - begun) / 1000);
      this.#log(call, method, outcome, performance.now() - begun);
    }
  }

  #failed(call: Call, error: unknown): void {
    const failure = ConnectError.from(error);
    call.outcome ??= failure.code === Code.Aborted || failure.code === Code.Canceled ? "canceled" : "unknown";
    this.#options.logger.debug({ err: error }, "a call ended without its answer being taken");
  }

  #log(call: Call, method: string, code: string, ms: number): void {
    const fields = { method, code, ms: Math.round(ms), remote: call.remoteAddress, key: call.lease?.principal.keyId };
    const quiet = code === "ok" || code === "canceled";
    this.#options.logger[quiet ? "debug" : "info"](fields, "call");
  }
}

/** The request as handlers take it: theirs is the body, and `stopped` ends it. */
function universalOf(
  request: NodeRequest,
  response: NodeResponse,
  call: Call,
  body: AsyncIterable<Uint8Array>,
  stopped: AbortController,
): UniversalServerRequest {
  const values = createContextValues().set(callKey, call);
  const { signal, ...plain } = universalRequestFromNodeRequest(request, response, null, values);
  signal.addEventListener("abort", () => stopped.abort(signal.reason), { once: true });
  return { ...plain, body, signal: stopped.signal };
}

/** Longest timeout a caller may ask for: a stream may stay open for a day. */
const MAX_TIMEOUT_MS = 24 * 3600 * 1000;

const UPLOAD = `/${opaqueUpload.parent.typeName}/${opaqueUpload.name}`;
const COMPRESSION = [compressionGzip, compressionBrotli];

function isBinaryGrpc(request: NodeRequest, contentType: string): boolean {
  return "stream" in request && request.method === "POST" && parseContentType(contentType)?.binary === true;
}

function isJson(contentType: string): boolean {
  return /^application\/(json|connect\+json|grpc\+json|grpc-web\+json)\b/i.test(contentType);
}

function isStreaming(contentType: string): boolean {
  return /^application\/(grpc|connect\+)/i.test(contentType);
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

function sessionOf(request: NodeRequest): Http2Session | undefined {
  return "stream" in request ? request.stream.session : undefined;
}

/**
 * Resolves when the last byte of an HTTP/2 answer, trailers included, is with the connection. The
 * stream itself is open until the caller has ended its side, which some never do. HTTP/1.1 tells
 * with `close`.
 */
function handedOver(response: NodeResponse): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // Those who were to send the trailers have done so by then.
  if ("stream" in response) response.stream.once("wantTrailers", () => setImmediate(resolve));
  return promise;
}

/** Ends a call whose caller takes no answer. An HTTP/2 request that is destroyed leaves its stream open. */
function cutOff(request: NodeRequest): void {
  if ("stream" in request) request.stream.close(constants.NGHTTP2_CANCEL);
  else request.destroy();
}

/** A call that was answered before its body was read: what the caller still sends goes nowhere. */
function discard(request: NodeRequest, response: NodeResponse): void {
  if ("stream" in request) {
    const { stream } = request;
    if (!stream.closed && !stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
    // A closed stream stays, and its connection with it, until what has arrived of it is read: the
    // body's reader has paused it for good.
    stream.removeAllListeners("data").resume();
    return;
  }
  if (request.complete) return;
  if (!response.writableFinished) request.destroy();
  else request.resume().on("error", ignored).socket.destroySoon();
}

function ignored(_error: AppError | Error): void {}
