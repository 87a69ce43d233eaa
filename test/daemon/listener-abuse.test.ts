import type { Socket } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import type { ListenerOptions } from "../../src/daemon/listener.ts";
import {
  CONTINUATION,
  END_HEADERS,
  END_STREAM,
  frame,
  goawayCode,
  HEADERS,
  headerBlock,
  PING,
  PREFACE,
  parseFrames,
  RST_STREAM,
  SETTINGS,
} from "./raw-http2.ts";
import { openHttp2, openListener, openSocket, readAll, sample, type TestListener } from "./transport.ts";

const HELLO = Buffer.concat([PREFACE, frame(SETTINGS, 0, 0)]);
const CANCEL = Buffer.from([0, 0, 0, 8]);
const REFUSED_STREAM = 7;
const ENHANCE_YOUR_CALM = 11;

describe("one connection can't hurt the others", () => {
  test("10,000 streams: past the limit they are refused, then the connection is ended", async () => {
    const { options, begun } = holding();
    await using daemon = await openListener({ ...options, maxConcurrentStreams: 100 });
    await using socket = await openSocket(daemon.port);
    const streams = numbered(10_000, (id) => frame(HEADERS, END_HEADERS | END_STREAM, id, headerBlock()));
    const answer = await flood(socket, [HELLO, ...streams]);
    const refusals = parseFrames(answer).filter(
      ({ type, payload }) => type === RST_STREAM && code(payload) === REFUSED_STREAM,
    );
    expect(refusals.length).toBeGreaterThan(0);
    expect(begun()).toBe(100);
    await serves(daemon);
  });

  test("10,000 streams, each reset at once: calls begun stay bounded and the connection is ended", async () => {
    const { options, begun } = holding();
    await using daemon = await openListener(options);
    await using socket = await openSocket(daemon.port);
    const streams = numbered(10_000, (id) =>
      Buffer.concat([frame(HEADERS, END_HEADERS | END_STREAM, id, headerBlock()), frame(RST_STREAM, 0, id, CANCEL)]),
    );
    await flood(socket, [HELLO, ...streams]);
    // The bucket of resets holds 1,000, and what was read from the socket in one go is looked at whole.
    expect(begun()).toBeLessThan(5000);
    expect(await sample(daemon.metrics, 'sluice_connections_refused_total{reason="abuse"}')).toBe(1);
    await serves(daemon);
    await expect.poll(() => daemon.listener.connections).toBe(0);
  });

  test("connections that do so again and again leave no memory behind", async () => {
    const { options } = holding();
    await using daemon = await openListener(options);
    const streams = Buffer.concat(
      numbered(2000, (id) =>
        Buffer.concat([frame(HEADERS, END_HEADERS | END_STREAM, id, headerBlock()), frame(RST_STREAM, 0, id, CANCEL)]),
      ),
    );
    const attack = async (): Promise<void> => {
      await using socket = await openSocket(daemon.port);
      await flood(socket, [HELLO, streams]);
    };
    for (let warm = 0; warm < 3; warm++) await attack();
    const before = await liveBytes();
    for (let again = 0; again < 20; again++) await attack();
    // 40,000 calls were begun and reset; a kilobyte kept of each would be 40 MiB.
    expect((await liveBytes()) - before).toBeLessThan(8 * 1024 * 1024);
    await serves(daemon);
  });

  test("pings and settings without end: the connection is ended, answers don't pile up", async () => {
    await using daemon = await openListener();
    for (const each of [frame(PING, 0, 0, Buffer.alloc(8)), frame(SETTINGS, 0, 0)]) {
      await using socket = await openSocket(daemon.port);
      // Never read, so that the answers have nowhere to go.
      socket.pause();
      const many = Buffer.concat(Array.from({ length: 20_000 }, () => each));
      socket.write(HELLO);
      for (let round = 0; round < 100 && !socket.destroyed; round++) {
        socket.write(many);
        await new Promise(setImmediate);
      }
      await expect.poll(() => daemon.listener.connections, { timeout: 20_000 }).toBe(0);
    }
    await serves(daemon);
  });

  test("a header block that never ends is cut off", async () => {
    await using daemon = await openListener();
    await using socket = await openSocket(daemon.port);
    const open = frame(HEADERS, END_STREAM, 1, headerBlock());
    const more = Array.from({ length: 1000 }, () => frame(CONTINUATION, 0, 1, headerBlock("x-pad", "y".repeat(1000))));
    expect(goawayCode(await flood(socket, [HELLO, open, ...more]))).toBeGreaterThan(0);
    await serves(daemon);
  });

  test("SETTINGS with hundreds of entries are refused", async () => {
    await using daemon = await openListener();
    await using socket = await openSocket(daemon.port);
    const entries = Buffer.concat(Array.from({ length: 300 }, () => Buffer.from([0, 3, 0, 0, 0, 1])));
    expect(goawayCode(await flood(socket, [PREFACE, frame(SETTINGS, 0, 0, entries)]))).toBe(ENHANCE_YOUR_CALM);
    await serves(daemon);
  });
});

describe("headers past 32 KiB are refused", () => {
  test("on HTTP/1.1 with 431", async () => {
    await using daemon = await openListener();
    await using socket = await openSocket(daemon.port);
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\nX-Pad: ${"y".repeat(40_000)}\r\n\r\n`);
    expect((await readAll(socket)).toString()).toMatch(/^HTTP\/1\.1 431 /);
  });

  test("on HTTP/2 by ending the call, and the connection goes on", async () => {
    await using daemon = await openListener();
    await using client = openHttp2(daemon.url);
    // The first call arrives before the client has acknowledged the limits it was told.
    expect(await client.request({ "x-pad": "y".repeat(40_000) })).toMatchObject({ status: 431 });
    await expect(client.request({ "x-pad": "y".repeat(40_000) })).rejects.toMatchObject({
      code: "ERR_HTTP2_STREAM_ERROR",
    });
    expect(await client.request({ "x-pad": "y".repeat(20_000) })).toMatchObject({ status: 200 });
  });
});

test("what is no protocol at all is answered with 400 and closed", async () => {
  await using daemon = await openListener();
  for (const bytes of ["\0\0\0\0\0\0\0\0", "PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n", "SSH-2.0-OpenSSH_9.9\r\n"]) {
    await using socket = await openSocket(daemon.port);
    socket.write(bytes);
    expect((await readAll(socket)).toString()).toMatch(/^HTTP\/1\.1 400 /);
  }
  await serves(daemon);
});

/** A handler that never answers, and the number of calls it got; `/` on other connections is answered. */
function holding(): { options: Pick<ListenerOptions, "onRequest">; begun: () => number } {
  let begun = 0;
  return {
    options: {
      onRequest: (request, response) => {
        if (request.headers["x-other"] !== undefined) response.end("served");
        else begun++;
      },
    },
    begun: () => begun,
  };
}

/** Writes all and reads until the server closes, as a peer that does not care about answers. */
async function flood(socket: Socket, frames: readonly Buffer[]): Promise<Buffer> {
  socket.write(Buffer.concat(frames));
  return readAll(socket);
}

async function serves(daemon: TestListener): Promise<void> {
  await using client = openHttp2(daemon.url);
  expect((await client.request({ "x-other": "1" })).status).toBe(200);
}

/** One for each of `count` streams a client may open: 1, 3, 5, … */
function numbered(count: number, make: (id: number) => Buffer): Buffer[] {
  return Array.from({ length: count }, (_, index) => make(index * 2 + 1));
}

/** What is still in use after garbage collection, on the heap and in buffers. */
async function liveBytes(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  collect();
  await new Promise(setImmediate);
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function code(payload: Buffer): number {
  return payload.readUInt32BE(0);
}
