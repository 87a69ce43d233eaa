import { once } from "node:events";
import { request } from "node:http";
import { networkInterfaces } from "node:os";
import { describe, expect, test } from "vitest";
import { type CorsOptions, createCors } from "../../src/daemon/cors.ts";
import { openHttp2, openListener, openSocket, readAll, type TestListener } from "./transport.ts";

const app = "https://app.example.com";
const preflight = {
  "access-control-request-method": "POST",
  "access-control-request-headers": "connect-protocol-version",
};

describe("browsers", () => {
  test("closed by default: any origin is refused before a handler sees the call", async () => {
    let handled = 0;
    await using daemon = await serve({ origins: [] }, () => handled++);
    for (const origin of [app, "null", "http://localhost:3000"]) {
      const answer = await send(daemon, "POST", { origin });
      expect(answer.status).toBe(403);
      expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
    }
    expect((await send(daemon, "OPTIONS", { origin: app, ...preflight })).status).toBe(403);
    expect(handled).toBe(0);
  });

  test("an origin is allowed exactly: no prefix, suffix, other scheme, port or case", async () => {
    let handled = 0;
    await using daemon = await serve({ origins: [app] }, () => handled++);
    const near = [
      "http://app.example.com",
      `${app}.evil.example`,
      `${app}:444`,
      "https://sub.app.example.com",
      "null",
      "*",
    ];
    for (const origin of near) expect((await send(daemon, "POST", { origin })).status).toBe(403);
    expect(handled).toBe(0);
    const answer = await send(daemon, "POST", { origin: app });
    expect(answer.status).toBe(200);
    expect(answer.headers["access-control-allow-origin"]).toBe(app);
    expect(answer.headers.vary).toContain("Origin");
    expect(answer.headers["access-control-allow-credentials"]).toBeUndefined();
    expect(list(answer.headers["access-control-expose-headers"])).toEqual(
      expect.arrayContaining(["grpc-status", "grpc-message", "grpc-status-details-bin"]),
    );
  });

  test("a preflight allows what Connect and gRPC-Web send, and reaches no handler", async () => {
    let handled = 0;
    await using daemon = await serve({ origins: [app] }, () => handled++);
    const answer = await send(daemon, "OPTIONS", { origin: app, ...preflight });
    expect(answer.status).toBe(204);
    expect(list(answer.headers["access-control-allow-methods"])).toContain("post");
    expect(list(answer.headers["access-control-allow-headers"])).toEqual(
      expect.arrayContaining([
        "authorization",
        "content-type",
        "connect-protocol-version",
        "connect-timeout-ms",
        "x-grpc-web",
        "x-user-agent",
        "grpc-timeout",
      ]),
    );
    expect(handled).toBe(0);
  });

  test("what is no browser sends no origin and is let through, marked so that no cache mixes them", async () => {
    await using daemon = await serve({ origins: [app] });
    const answer = await send(daemon, "POST", {});
    expect(answer.status).toBe(200);
    expect(answer.headers.vary).toBe("Origin");
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
  });
});

describe("a daemon that lets loopback in without a key", () => {
  test.each(["localhost", "localhost:4750", "LOCALHOST", "127.0.0.1:4750", "127.8.9.1", "[::1]:4750", "[::1]"])(
    "answers as %s",
    async (host) => {
      await using daemon = await serve({ anonymousLoopback: true });
      expect((await send(daemon, "POST", { host })).status).toBe(200);
    },
  );

  test.each([
    "evil.example",
    "evil.example:4750",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "127.0.0.1@evil.example",
    "evil.example#localhost",
    "[::2]",
    "10.0.0.1",
    "0.0.0.0",
  ])("refuses a page that reached it under the name %j (DNS rebinding)", async (host) => {
    let handled = 0;
    await using daemon = await serve({ anonymousLoopback: true }, () => handled++);
    expect((await send(daemon, "POST", { host })).status).toBe(403);
    expect(handled).toBe(0);
  });

  test("refuses a request that names no host", async () => {
    await using daemon = await serve({ anonymousLoopback: true });
    await using socket = await openSocket(daemon.port);
    socket.write("GET / HTTP/1.0\r\n\r\n");
    expect((await readAll(socket)).toString()).toMatch(/^HTTP\/1\.1 403 /);
  });

  test("looks at :authority on HTTP/2", async () => {
    await using daemon = await serve({ anonymousLoopback: true });
    await using client = openHttp2(daemon.url);
    expect((await client.request({ ":authority": "evil.example" })).status).toBe(403);
    expect((await client.request({ ":authority": `localhost:${daemon.port}` })).status).toBe(200);
  });

  test("a caller with a key may use any name, and so may all where a key is needed", async () => {
    await using open = await serve({ anonymousLoopback: true });
    const host = "sluice.example.com";
    expect((await send(open, "POST", { host, authorization: "Bearer slk_a_b" })).status).toBe(200);
    await using closed = await serve({ anonymousLoopback: false });
    expect((await send(closed, "POST", { host })).status).toBe(200);
  });

  test("a caller that is not on loopback may use any name, for it needs a key anyway", async (context) => {
    const address = Object.values(networkInterfaces())
      .flat()
      .find((each) => each?.family === "IPv4" && !each.internal)?.address;
    if (address === undefined) return context.skip("this machine has no address but loopback");
    const guard = createCors({ origins: [], anonymousLoopback: true });
    await using daemon = await openListener({
      host: "0.0.0.0",
      onRequest: (incoming, response) => {
        if (!guard(incoming, response)) response.end();
      },
    });
    const far = request({
      host: address,
      port: daemon.port,
      method: "POST",
      headers: { host: "evil.example" },
      agent: false,
    });
    far.end();
    const [response] = await once(far, "response");
    expect(response.statusCode).toBe(200);
    // The same port, reached by a rebound name.
    expect((await send(daemon, "GET", { host: "evil.example" })).status).toBe(403);
  });
});

function serve(more: Partial<CorsOptions>, onHandled: () => void = () => undefined): Promise<TestListener> {
  const guard = createCors({ origins: [], anonymousLoopback: false, ...more });
  return openListener({
    onRequest: (incoming, response) => {
      if (guard(incoming, response)) return;
      onHandled();
      response.end("handled");
    },
  });
}

/** By node:http, which lets a test set Host and Origin. */
async function send(daemon: TestListener, method: string, headers: Record<string, string>) {
  const call = request({ host: "127.0.0.1", port: daemon.port, method, headers, agent: false });
  call.end();
  const [response] = await once(call, "response");
  response.resume();
  return { status: Number(response.statusCode), headers: response.headers };
}

function list(value: unknown): string[] {
  return String(value).toLowerCase().split(/, */);
}
