import type { Server as Http1Server } from "node:http";
import { constants, type Http2Server, type ServerHttp2Session } from "node:http2";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from "node:tls";
import { type Clock, systemClock } from "../core/clock.ts";
import { AppError } from "../core/errors.ts";
import type { RefusalReason } from "../core/metrics.ts";
import { Connection, type ConnectionLimits } from "./connection.ts";
import { createHttp1Server, createHttp2Server, type HttpOptions } from "./http-servers.ts";
import { isLoopbackAddress } from "./loopback.ts";
import { orAborted } from "./or-aborted.ts";
import { PLAINTEXT_HTTP1, PLAINTEXT_HTTP2, TLS_ALERT_HANDSHAKE_FAILURE } from "./refusals.ts";
import { type Protocol, sniff } from "./sniff.ts";
import { Certificate, type TlsFiles } from "./tls.ts";

/**
 * Opens one port that speaks HTTP/2 (prior knowledge), HTTP/1.1 and, with a certificate, TLS with
 * ALPN for both. With a certificate plain text is for loopback alone: any other peer is told to use
 * TLS. Fails with `failed_precondition` ADDRESS_IN_USE, ADDRESS_UNAVAILABLE, TLS_UNREADABLE or
 * TLS_INVALID.
 */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const certificate =
    options.tls === undefined
      ? undefined
      : await Certificate.open(options.tls, {
          logger: options.logger,
          metrics: options.metrics,
          ...(options.clock === undefined ? {} : { clock: options.clock }),
        });
  try {
    const listener = new Listener(options, certificate);
    await listener.open();
    return listener;
  } catch (error) {
    await certificate?.[Symbol.asyncDispose]();
    throw error;
  }
}

/** A port that is open. Made by `listen`. */
export class Listener implements AsyncDisposable {
  readonly #options: ListenerOptions;
  readonly #clock: Clock;
  readonly #certificate: Certificate | undefined;
  readonly #port: Server;
  readonly #tls: TlsServer | undefined;
  readonly #http1: Http1Server;
  readonly #http2: Http2Server;
  readonly #connections = new Map<Socket, Connection>();
  /** Those in a TLS handshake, by `endpoints`: a TLS socket does not tell the socket it wraps. */
  readonly #securing = new Map<string, Connection>();
  /** By the socket that HTTP runs on: the TLS one where there is TLS. */
  readonly #served = new WeakMap<Socket, Connection>();
  readonly #stopSweep = new AbortController();
  readonly #gone = Promise.withResolvers<void>();
  /** Sum of the sweeps' ticks, milliseconds. */
  #elapsed = 0;
  #draining = false;

  constructor(options: ListenerOptions, certificate: Certificate | undefined) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#certificate = certificate;
    const onRequest = guarded(options);
    this.#http1 = createHttp1Server(options, {
      isBusy: (socket) => this.#served.get(socket)?.busy ?? false,
      onRequest: (request, response) => {
        this.#served.get(request.socket)?.exchange(response);
        onRequest(request, response);
      },
    });
    this.#http2 = createHttp2Server(options, onRequest);
    this.#tls = certificate === undefined ? undefined : this.#tlsServer(certificate);
    this.#port = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) =>
      this.#accept(socket),
    );
    this.#port.maxConnections = options.maxConnections;
    this.#port.on("drop", () => options.metrics.connectionRefused("limit"));
  }

  /** Binds. Called by `listen`, once. */
  async open(): Promise<void> {
    const { host, port } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#port.once("error", reject);
    this.#port.listen({ host, port }, resolve);
    try {
      await promise;
    } catch (error) {
      throw bindError(error, host, port);
    } finally {
      this.#port.off("error", reject);
    }
    // Accepting can fail for want of file descriptors; the port stays open and the next may succeed.
    this.#port.on("error", (error) => this.#options.logger.error({ err: error }, "accepting a connection failed"));
    // The sweep ends with the port; it cannot fail but by the abort that ends it.
    this.#sweep().catch((error) => this.#options.logger.fatal({ err: error }, "connection sweep stopped"));
  }

  /** Where it listens; the port is the real one when 0 was asked for. */
  get address(): { readonly host: string; readonly port: number } {
    const bound = this.#port.address();
    if (bound === null || typeof bound === "string") return { host: this.#options.host, port: this.#options.port };
    return { host: bound.address, port: bound.port };
  }

  /** For clients on this machine when it listens on all addresses. */
  get url(): string {
    const { host, port } = this.address;
    const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
    const shown = reachable.includes(":") ? `[${reachable}]` : reachable;
    return `${this.#certificate === undefined ? "http" : "https"}://${shown}:${port}`;
  }

  /** Sockets open now. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Reads the certificate files again; false when they can't be used (the log says why) or TLS is off. */
  async reloadTls(): Promise<boolean> {
    return (await this.#certificate?.reload()) ?? false;
  }

  /**
   * Stops accepting, tells peers to go (GOAWAY, `Connection: close`) and resolves when the calls in
   * hand have ended and every connection is gone. Rejects with the signal's reason if that aborts
   * first; what is open then stays open until `destroy`.
   */
  async drain(signal: AbortSignal): Promise<void> {
    this.#stopAccepting();
    this.#draining = true;
    for (const connection of [...this.#connections.values()]) connection.drain();
    if (this.#connections.size === 0) this.#gone.resolve();
    const gone = new AbortController();
    const allGone = this.#gone.promise.then(() => gone.abort());
    const early = AbortSignal.any([signal, gone.signal]);
    await this.#clock.sleep(GOAWAY_ROUND_TRIP_MS, early).catch(() => undefined);
    signal.throwIfAborted();
    for (const connection of [...this.#connections.values()]) connection.goAway();
    await orAborted(allGone, signal);
  }

  /** Closes everything now, calls in hand included. */
  destroy(): void {
    this.#draining = true;
    this.#stopAccepting();
    this.#stopSweep.abort();
    this.#certificate?.close();
    for (const socket of [...this.#connections.keys()]) socket.destroy();
    if (this.#connections.size === 0) this.#gone.resolve();
    this.#http1.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy();
    await this.#gone.promise;
    await this.#certificate?.[Symbol.asyncDispose]();
  }

  #stopAccepting(): void {
    if (this.#port.listening) this.#port.close();
  }

  #accept(socket: Socket): void {
    const { metrics, logger } = this.#options;
    if (this.#draining) {
      socket.destroy();
      return;
    }
    metrics.connectionOpened();
    const connection = new Connection(socket, this.#options, this.#elapsed, (reason) => this.#refuse(socket, reason));
    this.#connections.set(socket, connection);
    const key = endpoints(socket);
    socket.once("close", () => {
      this.#connections.delete(socket);
      this.#securing.delete(key);
      metrics.connectionClosed();
      if (this.#draining && this.#connections.size === 0) this.#gone.resolve();
    });
    socket.on("error", (error) => logger.debug({ err: error }, "connection failed"));
    sniff(socket, (protocol) => this.#handOver(connection, protocol));
  }

  #handOver(connection: Connection, protocol: Protocol): void {
    const { socket } = connection;
    // HTTP/1.1 peers may close their side and still wait for the answer. TLS and HTTP/2 say in their
    // own frames when they are done; there a half-closed socket would stay open until a ping fails.
    socket.allowHalfOpen = protocol === "http1";
    if (protocol === "tls") {
      if (this.#tls === undefined) this.#refuse(socket, "handshake", TLS_ALERT_HANDSHAKE_FAILURE);
      else this.#secure(this.#tls, connection);
    } else if (this.#tls !== undefined && !isLoopbackAddress(socket.remoteAddress)) {
      this.#refuse(socket, "plaintext", protocol === "http1" ? PLAINTEXT_HTTP1 : PLAINTEXT_HTTP2);
    } else {
      this.#serve(connection, socket, protocol);
    }
  }

  #secure(tls: TlsServer, connection: Connection): void {
    this.#securing.set(endpoints(connection.socket), connection);
    tls.emit("connection", connection.socket);
  }

  #serve(connection: Connection, socket: Socket, protocol: "http1" | "http2"): void {
    this.#served.set(socket, connection);
    if (protocol === "http1") {
      connection.http1(socket);
      this.#http1.emit("connection", socket);
      socket.resume();
      return;
    }
    // The server makes the session and emits it before `emit` returns.
    const onSession = (session: ServerHttp2Session) => {
      connection.http2(session, this.#elapsed);
      if (this.#options.connectionWindowBytes > DEFAULT_CONNECTION_WINDOW) {
        session.setLocalWindowSize(this.#options.connectionWindowBytes);
      }
    };
    this.#http2.once("session", onSession);
    this.#http2.emit("connection", socket);
    this.#http2.off("session", onSession);
  }

  #refuse(socket: Socket, reason: RefusalReason, answer?: Buffer): void {
    const { metrics, logger } = this.#options;
    metrics.connectionRefused(reason);
    logger.debug({ reason, remote: socket.remoteAddress }, "connection refused");
    if (answer === undefined) {
      socket.destroy();
      return;
    }
    // What the peer sent is read and thrown away: closing with unread bytes resets the connection,
    // and the answer with it. The handshake deadline ends a peer that goes on sending.
    socket.resume();
    socket.end(answer);
    socket.once("end", () => socket.destroy());
  }

  #tlsServer(certificate: Certificate): TlsServer {
    const mode = this.#options.tls?.clientCert ?? "off";
    const server = createTlsServer({
      ...certificate.context,
      ALPNProtocols: ["h2", "http/1.1"],
      handshakeTimeout: this.#options.handshakeTimeoutMs,
      requestCert: mode !== "off",
      rejectUnauthorized: mode === "require",
    });
    certificate.onLoad((context) => server.setSecureContext(context));
    server.on("secureConnection", (socket) => this.#secured(socket, mode));
    server.on("tlsClientError", (error, socket) => {
      this.#options.metrics.connectionRefused("handshake");
      this.#options.logger.debug({ err: error, remote: socket.remoteAddress }, "TLS handshake failed");
      socket.destroy();
    });
    return server;
  }

  #secured(socket: TLSSocket, mode: TlsFiles["clientCert"]): void {
    const connection = this.#securing.get(endpoints(socket));
    if (connection === undefined) {
      socket.destroy();
    } else if (mode === "request" && !socket.authorized && socket.getPeerX509Certificate() !== undefined) {
      this.#refuse(connection.socket, "handshake");
    } else {
      this.#serve(connection, socket, socket.alpnProtocol === "h2" ? "http2" : "http1");
    }
  }

  async #sweep(): Promise<void> {
    const { signal } = this.#stopSweep;
    const tickMs = sweepTick(this.#options);
    while (!signal.aborted) {
      await this.#clock.sleep(tickMs, signal).catch(() => undefined);
      this.#elapsed += tickMs;
      for (const connection of [...this.#connections.values()]) connection.check(this.#elapsed);
      if (this.#draining && this.#connections.size === 0) return;
    }
  }
}

export interface ListenerOptions extends ConnectionLimits, HttpOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly tls: TlsFiles | undefined;
  /** Sockets open at once; a further one is closed at once. */
  readonly maxConnections: number;
  /** What a peer may send unread on one HTTP/2 connection, all its streams together. */
  readonly connectionWindowBytes: number;
  readonly clock?: Clock;
}

/** How long peers have to answer the first GOAWAY before the second is sent. */
const GOAWAY_ROUND_TRIP_MS = 250;
/** What HTTP/2 gives a connection when nothing is said (RFC 9113, 6.9.2). */
const DEFAULT_CONNECTION_WINDOW = 65_535;

/** What the handler throws ends the call it was for, not the process. */
function guarded({ onRequest, logger }: HttpOptions): HttpOptions["onRequest"] {
  return (request, response) => {
    try {
      onRequest(request, response);
    } catch (error) {
      logger.error({ err: error }, "a request handler threw");
      if ("stream" in response) response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      else response.destroy();
    }
  };
}

/** What tells one connection of a port from every other. */
function endpoints(socket: Socket): string {
  return `${socket.localAddress} ${socket.remoteAddress} ${socket.remotePort}`;
}

/** Often enough that no limit is overrun by more than a quarter, and at most once in 10 ms. */
function sweepTick(limits: ConnectionLimits): number {
  const { pingIntervalMs, pingTimeoutMs } = limits.keepalive;
  const shortest = Math.min(limits.handshakeTimeoutMs, limits.idleConnectionMs, pingIntervalMs, pingTimeoutMs);
  return Math.min(1000, Math.max(10, Math.floor(shortest / 4)));
}

function bindError(error: unknown, host: string, port: number): AppError {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const metadata = { host, port: String(port) };
  if (code === "EADDRINUSE") {
    return new AppError(
      "failed_precondition",
      `Port ${port} on ${host} is in use; choose another or stop what has it.`,
      {
        reason: "ADDRESS_IN_USE",
        metadata,
        cause: error,
      },
    );
  }
  return new AppError("failed_precondition", `Can't listen on ${host} port ${port} (${code ?? "unknown error"}).`, {
    reason: "ADDRESS_UNAVAILABLE",
    metadata,
    cause: error,
  });
}
