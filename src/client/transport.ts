import { type ClientHttp2Stream, constants } from "node:http2";
import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { ClientError } from "./errors.ts";

export interface LinkOptions {
  /** http://host:port or https://host:port. */
  readonly url: string;
  /** The API key, or what gives it; asked before every call, so that a rotated key is picked up. */
  readonly key?: string | (() => string | Promise<string>) | undefined;
  readonly tls?: TlsOptions | undefined;
}

/** PEM, as node:tls takes it. */
export interface TlsOptions {
  /** The authorities trusted instead of the system's. */
  readonly ca?: string | Buffer;
  /** The client's own certificate and key. */
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
}

/** One HTTP/2 connection to a daemon, opened when first needed and again after it broke. */
export interface Link extends Disposable {
  readonly transport: Transport;
  /** Gives up a connection that does not get ready; the next call opens another. */
  resetUnlessOpen(): void;
}

const PING_INTERVAL_MS = 15_000;
const PING_TIMEOUT_MS = 10_000;
const IDLE_CONNECTION_MS = 60_000;
/** Acks are small; a daemon that sends more than this is none of ours. */
const READ_MAX_BYTES = 16 * 1024 * 1024;

/** Fails with `invalid_argument` BAD_URL. */
export function createLink(options: LinkOptions): Link {
  const url = parseUrl(options.url);
  const sessionManager = new Connection(
    url,
    { pingIntervalMs: PING_INTERVAL_MS, pingTimeoutMs: PING_TIMEOUT_MS, idleConnectionTimeoutMs: IDLE_CONNECTION_MS },
    { ...options.tls },
  );
  const transport = createGrpcTransport({
    baseUrl: url.href,
    sessionManager,
    interceptors: options.key === undefined ? [] : [bearer(options.key)],
    readMaxBytes: READ_MAX_BYTES,
    acceptCompression: [],
  });
  // Not Code.Canceled: the manager takes that for "closed", and a call that waits for it to be
  // ready while it is closed spins for ever (connect-node 2.2, gotoReady).
  const abort = () => sessionManager.abort(new ConnectError("the client gave the connection up", Code.Unavailable));
  return {
    transport,
    resetUnlessOpen: () => {
      const state = sessionManager.state();
      if (state === "connecting" || state === "verifying") abort();
    },
    [Symbol.dispose]: abort,
  };
}

/**
 * Resets a call that the daemon has ended while it was still being written to: connect-node
 * (2.2, sinkRequest) leaves such a stream open, and with it the daemon's end of it.
 */
class Connection extends Http2SessionManager {
  override async request(...call: Parameters<Http2SessionManager["request"]>): Promise<ClientHttp2Stream> {
    const stream = await super.request(...call);
    stream.once("end", () => {
      // After whoever reads has learned how the call ended.
      setImmediate(() => {
        if (!stream.closed && !stream.writableEnded) stream.close(constants.NGHTTP2_CANCEL);
      });
    });
    return stream;
  }
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new ClientError("invalid_argument", "The daemon's address must be http://host:port or https://host:port.", {
      reason: "BAD_URL",
    });
  }
  return url;
}

function bearer(key: string | (() => string | Promise<string>)): Interceptor {
  return (next) => async (request) => {
    request.header.set("authorization", `Bearer ${typeof key === "string" ? key : await key()}`);
    return await next(request);
  };
}
