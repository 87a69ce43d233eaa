import { once } from "node:events";
import { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import {
  ACK,
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  headerBlock,
  literal,
  PING,
  PREFACE,
  parseFrames,
  SETTINGS,
} from "./raw-http2.ts";
import { closed, drip, openHttp2, openListener, openSocket, readAll, sample } from "./transport.ts";

const refused = (reason: string) => `sluice_connections_refused_total{reason="${reason}"}`;
const soon = { pingIntervalMs: 100, pingTimeoutMs: 100 };

describe("a peer that drags its feet is closed", () => {
  test("when it says nothing", async () => {
    await using daemon = await openListener({ handshakeTimeoutMs: 100 });
    await using socket = await openSocket(daemon.port);
    await closed(socket);
    expect(await sample(daemon.metrics, refused("handshake"))).toBe(1);
  });

  test("when it drips the HTTP/2 preface", async () => {
    await using daemon = await openListener({ handshakeTimeoutMs: 100 });
    await using socket = await openSocket(daemon.port);
    await drip(socket, PREFACE.subarray(0, 20), 10);
    expect(await sample(daemon.metrics, refused("handshake"))).toBe(1);
  });

  test("when its preface is not followed by SETTINGS", async () => {
    await using daemon = await openListener({ handshakeTimeoutMs: 100 });
    await using socket = await openSocket(daemon.port);
    socket.write(PREFACE);
    await closed(socket);
    expect(await sample(daemon.metrics, refused("handshake"))).toBe(1);
  });

  test("when it drips the headers of an HTTP/1.1 request", async () => {
    await using daemon = await openListener({ headersTimeoutMs: 200 });
    await using socket = await openSocket(daemon.port);
    const request = Buffer.from(`GET / HTTP/1.1\r\nHost: x\r\nX-Pad: ${"y".repeat(30_000)}`);
    expect((await drip(socket, request, 10)).toString()).toMatch(/^HTTP\/1\.1 408 /);
  });

  test("when it drips the body of an HTTP/1.1 request", async () => {
    await using daemon = await openListener({ headersTimeoutMs: 100, requestTimeoutMs: 200 });
    await using socket = await openSocket(daemon.port);
    socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n");
    expect((await drip(socket, Buffer.alloc(30_000), 10)).toString()).toMatch(/^HTTP\/1\.1 408 /);
  });

  test("when it drips the header block of an HTTP/2 call: it can't answer a ping in the middle of one", async () => {
    await using daemon = await openListener({ keepalive: soon });
    await using socket = await openSocket(daemon.port);
    socket.write(Buffer.concat([PREFACE, frame(SETTINGS, 0, 0)]));
    const headers = frame(HEADERS, END_HEADERS | END_STREAM, 1, headerBlock("x-pad", "y".repeat(10_000)));
    await drip(socket, headers, 10);
    expect(await sample(daemon.metrics, refused("ping"))).toBe(1);
  });

  test("when it stops taking the answer to an HTTP/1.1 request", async () => {
    const chunk = Buffer.alloc(16 * 1024 * 1024);
    await using daemon = await openListener({
      stallTimeoutMs: 200,
      onRequest: (_request, response) => response.end(chunk),
    });
    await using socket = await openSocket(daemon.port);
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    // Nothing reads the socket, so its buffers fill.
    await expect.poll(() => daemon.listener.connections, { timeout: 10_000 }).toBe(0);
    expect(await sample(daemon.metrics, refused("stalled"))).toBe(1);
  });
});

describe("a connection is kept alive", () => {
  test("a quiet peer is sent a ping, and closed when it does not answer, call in hand or not", async () => {
    await using daemon = await openListener({ keepalive: soon, onRequest: () => undefined });
    await using socket = await openSocket(daemon.port);
    const call = frame(HEADERS, END_HEADERS | END_STREAM, 1, headerBlock());
    socket.write(Buffer.concat([PREFACE, frame(SETTINGS, 0, 0), frame(SETTINGS, ACK, 0), call]));
    const sent = parseFrames(await readAll(socket));
    expect(sent.some(({ type, flags }) => type === PING && flags === 0)).toBe(true);
    expect(await sample(daemon.metrics, refused("ping"))).toBe(1);
  });

  test("a peer that answers pings is left alone, however quiet its call", async () => {
    let pings = 0;
    const enough = Promise.withResolvers<void>();
    await using daemon = await openListener({
      keepalive: { pingIntervalMs: 50, pingTimeoutMs: 5000 },
      onRequest: () => undefined,
    });
    await using client = openHttp2(daemon.url);
    client.session.on("ping", () => {
      pings++;
      if (pings === 5) enough.resolve();
    });
    client.session.request({ ":path": "/" }).on("error", () => undefined);
    await enough.promise;
    expect(client.session.destroyed).toBe(false);
    expect(daemon.listener.connections).toBe(1);
  });

  test("a slow upload in the middle of a frame is left alone although it can't answer a ping", async () => {
    await using daemon = await openListener({ keepalive: { pingIntervalMs: 50, pingTimeoutMs: 50 } });
    await using socket = await openSocket(daemon.port);
    const head = frame(HEADERS, END_HEADERS, 1, headerBlock());
    const body = Buffer.alloc(100, 1);
    const data = frame(0, END_STREAM, 1, body);
    socket.write(Buffer.concat([PREFACE, frame(SETTINGS, 0, 0), frame(SETTINGS, ACK, 0), head]));
    const answered = new Promise<string>((resolve) => {
      let got = "";
      socket.on("data", (chunk: Buffer) => {
        got += chunk.toString("latin1");
        if (got.includes("2.0 100")) resolve(got);
      });
      socket.once("close", () => resolve(got));
    });
    let sent = 0;
    const timer = setInterval(() => {
      socket.write(data.subarray(sent, ++sent));
      if (sent === data.length) clearInterval(timer);
    }, 5);
    expect(await answered).toContain("2.0 100");
    clearInterval(timer);
  });

  test("a connection without a call is told to go and closed", async () => {
    await using daemon = await openListener({ idleConnectionMs: 100 });
    await using client = openHttp2(daemon.url);
    await client.request({});
    const [code] = await once(client.session, "goaway");
    expect(code).toBe(0);
    await expect.poll(() => daemon.listener.connections).toBe(0);
  });

  test("an HTTP/1.1 connection between requests is closed after the same time", async () => {
    await using daemon = await openListener({ idleConnectionMs: 100 });
    await using socket = await openSocket(daemon.port);
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect((await readAll(socket)).toString()).toMatch(/^HTTP\/1\.1 200/);
  });

  test("a quiet HTTP/1.1 stream is not taken for a stalled one", async () => {
    const begun = Promise.withResolvers<() => void>();
    await using daemon = await openListener({
      stallTimeoutMs: 50,
      idleConnectionMs: 50,
      onRequest: (_request, response) => {
        if (response instanceof ServerResponse) response.write("first");
        begun.resolve(() => response.end("last"));
      },
    });
    await using socket = await openSocket(daemon.port);
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const finish = await begun.promise;
    await using other = await openSocket(daemon.port);
    // Another connection, idle since later, is closed first: the limit has passed for both.
    other.write("GET / HTTP/1.1\r\nHost: x\r\n");
    await closed(other);
    finish();
    expect((await readAll(socket)).toString()).toMatch(/first[\s\S]*last/);
  });
});

test("a header block of many literals is refused past the limit on fields", async () => {
  await using daemon = await openListener();
  await using socket = await openSocket(daemon.port);
  const fields = Array.from({ length: 300 }, (_, index) => literal(`x-${index}`, "y"));
  const block = Buffer.concat([headerBlock(), ...fields]);
  socket.write(Buffer.concat([PREFACE, frame(SETTINGS, 0, 0), frame(HEADERS, END_HEADERS | END_STREAM, 1, block)]));
  socket.end();
  const frames = parseFrames(await readAll(socket));
  expect(frames.some(({ type, stream }) => type === 3 && stream === 1)).toBe(true);
});
