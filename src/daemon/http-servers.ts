import {
  createServer as createHttp1,
  type Server as Http1Server,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import {
  createServer as createHttp2,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import type { Socket } from "node:net";
import type { Logger } from "../core/log.ts";
import type { Metrics } from "../core/metrics.ts";

export interface HttpOptions {
  /** For the headers of an HTTP/1.1 request to arrive whole. */
  readonly headersTimeoutMs: number;
  /** For an HTTP/1.1 request to arrive whole, body included. */
  readonly requestTimeoutMs: number;
  /** An HTTP/1.1 peer that takes none of an answer for this long is cut off. */
  readonly stallTimeoutMs: number;
  /** A connection without a call is closed after this long. */
  readonly idleConnectionMs: number;
  /** All headers of a request together; gRPC metadata are headers. */
  readonly maxHeaderBytes: number;
  /** Calls open at once on one HTTP/2 connection. */
  readonly maxConcurrentStreams: number;
  /** What a peer may send unread on one HTTP/2 stream. */
  readonly initialWindowBytes: number;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly onRequest: (
    request: IncomingMessage | Http2ServerRequest,
    response: ServerResponse<IncomingMessage> | Http2ServerResponse,
  ) => void;
}

export interface Http1Edge {
  readonly onRequest: RequestListener;
  /** Whether a request on this socket has not been answered whole. */
  isBusy(socket: Socket): boolean;
}

/** An HTTP/1.1 server that never listens: sockets are handed to it as `connection` events. */
export function createHttp1Server(options: HttpOptions, edge: Http1Edge): Http1Server {
  const server = createHttp1(
    {
      headersTimeout: options.headersTimeoutMs,
      requestTimeout: options.requestTimeoutMs,
      keepAliveTimeout: options.idleConnectionMs,
      connectionsCheckingInterval: Math.max(10, Math.min(1000, Math.floor(options.headersTimeoutMs / 4))),
      maxHeaderSize: options.maxHeaderBytes,
    },
    edge.onRequest,
  );
  server.maxHeadersCount = MAX_HEADER_FIELDS;
  // Node starts the timer that enforces headersTimeout and requestTimeout on this event alone.
  server.emit("listening");
  // Fires when a socket neither read nor wrote anything for that long: a peer that stopped reading,
  // a connection between requests (keepAliveTimeout), or a stream with nothing to tell.
  server.timeout = options.stallTimeoutMs;
  server.on("timeout", (socket) => {
    const busy = edge.isBusy(socket);
    if (busy && socket.writableLength === 0) return;
    options.metrics.connectionRefused(busy ? "stalled" : "idle");
    socket.destroy();
  });
  return server;
}

/** An HTTP/2 server that never listens: sockets, plain or TLS, are handed to it as `connection` events. */
export function createHttp2Server(options: HttpOptions, onRequest: HttpOptions["onRequest"]): Http2Server {
  const server = createHttp2(
    {
      settings: {
        enablePush: false,
        initialWindowSize: options.initialWindowBytes,
        maxConcurrentStreams: options.maxConcurrentStreams,
        maxHeaderListSize: options.maxHeaderBytes,
      },
      maxHeaderListPairs: MAX_HEADER_FIELDS,
      maxSessionMemory: MAX_SESSION_MEMORY_MB,
      maxSettings: 32,
      maxOutstandingPings: 4,
      maxSessionInvalidFrames: 100,
      maxSessionRejectedStreams: 100,
      // Rapid reset (CVE-2023-44487): a bucket of 1,000 resets, refilled by 33 a second. A client
      // that cancels more calls than that is told to calm down and loses its connection.
      streamResetBurst: 1000,
      streamResetRate: 33,
    },
    (request, response) => {
      // Node holds a peer to maxHeaderListSize once it has acknowledged our SETTINGS.
      const early = request.stream.session?.pendingSettingsAck === true;
      if (early && headerBytes(request) > options.maxHeaderBytes) response.writeHead(431).end();
      else onRequest(request, response);
    },
  );
  server.on("sessionError", (error) => {
    const code = "code" in error ? error.code : undefined;
    if (typeof code === "string" && code.startsWith("ERR_HTTP2")) options.metrics.connectionRefused("abuse");
    options.logger.debug({ err: error }, "HTTP/2 connection failed");
  });
  return server;
}

const MAX_HEADER_FIELDS = 128;
/** Headers, queued answers and unacknowledged frames of one connection; past it new streams are refused. */
const MAX_SESSION_MEMORY_MB = 16;

function headerBytes(request: Http2ServerRequest): number {
  return request.rawHeaders.reduce((sum, text) => sum + text.length, 0);
}
