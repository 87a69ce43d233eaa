import { execFile } from "node:child_process";
import { once } from "node:events";
import { Agent, request as httpRequest, ServerResponse } from "node:http";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import type { NodeResponse } from "../../src/daemon/rpc.ts";
import { END_HEADERS, END_STREAM, frame, HEADERS, headerBlock, PREFACE, SETTINGS } from "./raw-http2.ts";
import { closed, echo, openHttp2, openListener, openSocket, readAll, sample } from "./transport.ts";

const run = promisify(execFile);

describe("one port", () => {
  test.each([
    ["--http1.1", "1.1"],
    ["--http2-prior-knowledge", "2.0"],
  ])("answers curl %s", async (flag, version) => {
    await using daemon = await openListener();
    const { stdout } = await run("curl", ["-sS", flag, "--data-binary", "x".repeat(100_000), `${daemon.url}/`]);
    expect(stdout).toBe(`${version} 100000`);
  });

  test("takes a request whose first bytes arrive one by one and could begin HTTP/2", async () => {
    await using daemon = await openListener();
    await using socket = await openSocket(daemon.port);
    socket.setNoDelay();
    for (const byte of "PRI") {
      socket.write(byte);
      await new Promise(setImmediate);
    }
    // "PRI" so far; the next byte makes it the method PRINT, which is no HTTP/2.
    socket.write("NT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect((await readAll(socket)).toString()).toMatch(/^HTTP\/1\.1 400/);
    await using post = await openSocket(daemon.port);
    for (const byte of "POST") {
      post.write(byte);
      await new Promise(setImmediate);
    }
    post.write(" / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc");
    expect((await readAll(post)).toString()).toMatch(/^HTTP\/1\.1 200[\s\S]*1\.1 3/);
  });

  test("loses nothing of a first flight larger than a socket's buffer", async () => {
    await using daemon = await openListener();
    const body = Buffer.alloc(1024 * 1024, 1);
    await using socket = await openSocket(daemon.port);
    const head = `POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`;
    socket.write(Buffer.concat([Buffer.from(head), body]));
    expect((await readAll(socket)).toString()).toMatch(/1\.1 1048576/);
    await using http2 = await openSocket(daemon.port);
    const requests = Array.from({ length: 50 }, (_, index) =>
      frame(HEADERS, END_HEADERS | END_STREAM, index * 2 + 1, headerBlock("x-pad", "y".repeat(2000))),
    );
    http2.write(Buffer.concat([PREFACE, frame(SETTINGS, 0, 0), ...requests]));
    let answered = 0;
    for await (const chunk of http2) {
      answered += Buffer.from(chunk).toString("latin1").split("2.0 0").length - 1;
      if (answered === 50) break;
    }
    expect(answered).toBe(50);
  });

  test("serves a thousand calls open at once on one connection, each with a good deal of metadata", async () => {
    const open: NodeResponse[] = [];
    await using daemon = await openListener({
      maxConcurrentStreams: 1000,
      onRequest: (_request, response) => {
        open.push(response);
        if (open.length === 1000) for (const each of open) each.end("all are here");
      },
    });
    await using client = openHttp2(daemon.url);
    // Until its SETTINGS arrive a client holds itself to 100.
    await once(client.session, "remoteSettings");
    const calls = Array.from({ length: 1000 }, (_, call) =>
      client.request({ "x-metadata": `${call} ${"m".repeat(4000)}` }),
    );
    const bodies = new Set((await Promise.all(calls)).map(({ body }) => body));
    expect([...bodies]).toEqual(["all are here"]);
  });

  test("an HTTP/1.1 peer may close its side and still get its answer", async () => {
    await using daemon = await openListener();
    await using socket = await openSocket(daemon.port);
    socket.end("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect((await readAll(socket)).toString()).toMatch(/^HTTP\/1\.1 200[\s\S]*1\.1 0/);
  });

  test("TLS on a port without a certificate is answered with an alert", async () => {
    await using daemon = await openListener();
    await using socket = await openSocket(daemon.port);
    socket.write(Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]));
    expect([...(await readAll(socket))]).toEqual([0x15, 3, 1, 0, 2, 2, 40]);
    expect(await sample(daemon.metrics, 'sluice_connections_refused_total{reason="handshake"}')).toBe(1);
  });

  test("a handler that throws ends its own call and nothing else", async () => {
    await using daemon = await openListener({
      onRequest: (request, response) => {
        if (request.url === "/throw") throw new Error("broken handler");
        echo(request, response);
      },
    });
    await using client = openHttp2(daemon.url);
    await expect(client.request({ ":path": "/throw" })).rejects.toMatchObject({ code: "ERR_HTTP2_STREAM_ERROR" });
    expect(await client.request({})).toEqual({ status: 200, body: "2.0 0" });
    await expect(getHttp1(daemon.port, "/throw", new Agent())).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(await getHttp1(daemon.port, "/", new Agent())).toBe("1.1 0");
  });

  test("a port in use is an error that names it", async () => {
    await using daemon = await openListener();
    await expect(openListener({ port: daemon.port })).rejects.toMatchObject({
      code: "failed_precondition",
      reason: "ADDRESS_IN_USE",
      metadata: { port: String(daemon.port) },
    });
  });

  test("an address this machine does not have is an error", async () => {
    await expect(openListener({ host: "192.0.2.1" })).rejects.toMatchObject({ reason: "ADDRESS_UNAVAILABLE" });
  });

  test("a connection past the limit is closed at once and counted; there is room again when one leaves", async () => {
    await using daemon = await openListener({ maxConnections: 2 });
    const first = await openSocket(daemon.port);
    await using second = await openSocket(daemon.port);
    await using third = await openSocket(daemon.port);
    await closed(third);
    expect(daemon.listener.connections).toBe(2);
    expect(await sample(daemon.metrics, 'sluice_connections_refused_total{reason="limit"}')).toBe(1);
    expect(await sample(daemon.metrics, "sluice_connections")).toBe(2);
    first.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    await readAll(first);
    await expect.poll(() => daemon.listener.connections).toBe(1);
    await using client = openHttp2(daemon.url);
    expect(await client.request({})).toEqual({ status: 200, body: "2.0 0" });
    second.destroy();
  });
});

describe("drain", () => {
  test("closes what is idle, lets a call in hand finish, takes no new connection", async () => {
    const held = Promise.withResolvers<NodeResponse>();
    await using daemon = await openListener({
      onRequest: (request, response) => {
        if (request.url === "/hold") held.resolve(response);
        else response.end("ok");
      },
    });
    await using client = openHttp2(daemon.url);
    const call = client.request({ ":path": "/hold" });
    const response = await held.promise;
    await using idle = await openSocket(daemon.port);
    const agent = new Agent({ keepAlive: true });
    await getHttp1(daemon.port, "/", agent);
    await using idleHttp2 = openHttp2(daemon.url);
    await idleHttp2.request({});

    const drained = daemon.listener.drain(new AbortController().signal);
    await closed(idle);
    if (!idleHttp2.session.closed) await once(idleHttp2.session, "close");
    await expect(getHttp1(daemon.port, "/", new Agent())).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await expect.poll(() => daemon.listener.connections).toBe(1);
    response.end("done");
    expect(await call).toEqual({ status: 200, body: "done" });
    await drained;
    expect(daemon.listener.connections).toBe(0);
    agent.destroy();
  });

  test("tells an HTTP/1.1 peer in its answer that the connection ends", async () => {
    const held = Promise.withResolvers<NodeResponse>();
    await using daemon = await openListener({ onRequest: (_request, response) => held.resolve(response) });
    await using socket = await openSocket(daemon.port);
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const response = await held.promise;
    const drained = daemon.listener.drain(new AbortController().signal);
    response.end("done");
    expect((await readAll(socket)).toString()).toMatch(/Connection: close[\s\S]*done/i);
    await drained;
  });

  test("an HTTP/1.1 answer that had begun is finished before the connection ends", async () => {
    const held = Promise.withResolvers<NodeResponse>();
    await using daemon = await openListener({
      onRequest: (_request, response) => {
        if (response instanceof ServerResponse) response.write("first");
        held.resolve(response);
      },
    });
    await using socket = await openSocket(daemon.port);
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const response = await held.promise;
    const drained = daemon.listener.drain(new AbortController().signal);
    response.end("last");
    expect((await readAll(socket)).toString()).toMatch(/first[\s\S]*last[\s\S]*0\r\n\r\n$/);
    await drained;
  });

  test("a call that was on its way when draining began is served", async () => {
    await using daemon = await openListener();
    await using client = openHttp2(daemon.url);
    await client.request({});
    const drained = daemon.listener.drain(new AbortController().signal);
    // The client has not read the first GOAWAY: both run in this process, and nothing was awaited.
    expect(await client.request({})).toEqual({ status: 200, body: "2.0 0" });
    await drained;
  });

  test("gives up when its signal aborts, and destroy ends what is left", async () => {
    const held = Promise.withResolvers<NodeResponse>();
    await using daemon = await openListener({ onRequest: (_request, response) => held.resolve(response) });
    await using client = openHttp2(daemon.url);
    const call = client.request({});
    await held.promise;
    const grace = new AbortController();
    const drained = daemon.listener.drain(grace.signal);
    grace.abort(new Error("grace is over"));
    await expect(drained).rejects.toThrow("grace is over");
    expect(daemon.listener.connections).toBe(1);
    daemon.listener.destroy();
    await call.catch(() => undefined);
    await expect.poll(() => daemon.listener.connections).toBe(0);
  });
});

async function getHttp1(port: number, path: string, agent: Agent): Promise<string> {
  const request = httpRequest({ port, path, agent, host: "127.0.0.1" });
  request.end();
  const [response] = await once(request, "response");
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
