import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2, type OutgoingHttpHeaders } from "node:http2";
import { connect, type Socket } from "node:net";
import { createLogger } from "../../src/core/log.ts";
import { Metrics } from "../../src/core/metrics.ts";
import { type Listener, type ListenerOptions, listen } from "../../src/daemon/listener.ts";
import type { NodeRequest, NodeResponse } from "../../src/daemon/rpc.ts";

export interface TestListener extends AsyncDisposable {
  readonly listener: Listener;
  readonly metrics: Metrics;
  readonly port: number;
  readonly url: string;
}

/** A listener on a free port of loopback with ordinary limits, changed by `more`. */
export async function openListener(more: Partial<ListenerOptions> = {}): Promise<TestListener> {
  const metrics = new Metrics({ version: "test" });
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    tls: undefined,
    maxConnections: 100,
    handshakeTimeoutMs: 60_000,
    headersTimeoutMs: 60_000,
    requestTimeoutMs: 60_000,
    stallTimeoutMs: 60_000,
    idleConnectionMs: 60_000,
    keepalive: { pingIntervalMs: 60_000, pingTimeoutMs: 60_000 },
    maxHeaderBytes: 32 * 1024,
    maxConcurrentStreams: 100,
    initialWindowBytes: 65_535,
    connectionWindowBytes: 1024 * 1024,
    metrics,
    logger: createLogger({ level: "silent" }),
    onRequest: echo,
    ...more,
  });
  return {
    listener,
    metrics,
    port: listener.address.port,
    url: listener.url,
    async [Symbol.asyncDispose]() {
      await listener[Symbol.asyncDispose]();
      metrics[Symbol.dispose]();
    },
  };
}

/** Answers with the HTTP version and the length of the body. */
export function echo(request: NodeRequest, response: NodeResponse): void {
  let length = 0;
  request.on("data", (chunk: Buffer) => {
    length += chunk.length;
  });
  request.on("end", () => response.end(`${request.httpVersion} ${length}`));
}

/** A TCP connection, open. */
export async function openSocket(port: number, host = "127.0.0.1"): Promise<Socket & AsyncDisposable> {
  const socket = connect({ port, host, allowHalfOpen: true });
  await once(socket, "connect");
  socket.on("error", ignoreReset);
  // A socket's own disposal rejects when the peer had not finished.
  const dispose = async () => {
    socket.destroy();
  };
  return Object.assign(socket, { [Symbol.asyncDispose]: dispose });
}

/** All the peer sends until it closes. */
export async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  if (!socket.destroyed) {
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once("end", resolve);
    socket.once("close", () => resolve());
    await promise;
  }
  socket.destroy();
  return Buffer.concat(chunks);
}

/** Resolves when the peer has closed. */
export async function closed(socket: Socket): Promise<void> {
  await readAll(socket);
}

/** Sends one byte now and then until the peer closes. */
export async function drip(socket: Socket, bytes: Buffer, everyMs: number): Promise<Buffer> {
  let sent = 0;
  const timer = setInterval(() => {
    if (socket.writable) socket.write(bytes.subarray(sent, ++sent));
  }, everyMs);
  try {
    return await readAll(socket);
  } finally {
    clearInterval(timer);
  }
}

export interface Http2Client extends AsyncDisposable {
  readonly session: ClientHttp2Session;
  request(headers: OutgoingHttpHeaders, body?: Buffer): Promise<{ status: number; body: string }>;
}

export function openHttp2(url: string, options: Parameters<typeof connectHttp2>[1] = {}): Http2Client {
  const session = connectHttp2(url, options);
  session.on("error", ignoreReset);
  return {
    session,
    request: async (headers, body) => {
      const stream = session.request({ ":method": body === undefined ? "GET" : "POST", ":path": "/", ...headers });
      stream.end(body);
      let status = 0;
      stream.once("response", (got) => {
        status = got[":status"] ?? 0;
      });
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(Buffer.from(chunk));
      return { status, body: Buffer.concat(chunks).toString() };
    },
    [Symbol.asyncDispose]: async () => {
      session.destroy();
    },
  };
}

/** The value of a series in the text a scrape gives; 0 when it is not there. */
export async function sample(metrics: Metrics, series: string): Promise<number> {
  const line = (await metrics.render()).split("\n").find((each) => each.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? 0);
}

function ignoreReset(): void {}
