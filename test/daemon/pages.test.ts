import { describe, expect, test } from "vitest";
import { Metrics } from "../../src/core/metrics.ts";
import { Health } from "../../src/daemon/health.ts";
import { createPages, type PagesOptions } from "../../src/daemon/pages.ts";
import { openHttp2, openListener, type TestListener } from "./transport.ts";

describe("pages", () => {
  test("say what the daemon is, and that it lives", async () => {
    await using daemon = await serve();
    expect(await read(daemon, "/")).toMatchObject({ status: 200, body: expect.stringContaining("sluiced 1.2.3") });
    expect(await read(daemon, "/livez")).toMatchObject({ status: 200, body: "ok\n" });
  });

  test("/readyz is 200 when ready and 503 when not; only ?verbose tells why", async () => {
    let broken = false;
    const health = new Health({
      checks: {
        store: async () => {
          if (broken) throw new Error("down");
        },
      },
      timeoutMs: 1000,
      cacheMs: 0,
    });
    await using daemon = await serve({ health });
    expect(await read(daemon, "/readyz")).toMatchObject({ status: 200, body: "ok\n" });
    broken = true;
    expect(await read(daemon, "/readyz")).toMatchObject({ status: 503, body: "not ready\n" });
    const verbose = await read(daemon, "/readyz?verbose");
    expect(verbose.status).toBe(503);
    expect(JSON.parse(verbose.body)).toMatchObject({ ok: false, draining: false, checks: { store: { ok: false } } });
  });

  test("while draining it lives but is not ready", async () => {
    const health = new Health({ checks: {}, timeoutMs: 1000, cacheMs: 0 });
    await using daemon = await serve({ health });
    health.setDraining();
    expect(await read(daemon, "/readyz")).toMatchObject({ status: 503, body: "draining\n" });
    expect(await read(daemon, "/livez")).toMatchObject({ status: 200 });
  });

  test("/metrics is the Prometheus text format", async () => {
    await using daemon = await serve();
    const { status, headers, body } = await read(daemon, "/metrics");
    expect(status).toBe(200);
    expect(headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(body).toContain("# TYPE sluice_events_received_total counter");
  });

  test("metrics and details are for those who may see them; readiness is for all", async () => {
    await using daemon = await serve({ allowDetail: () => false });
    expect((await read(daemon, "/metrics")).status).toBe(403);
    expect((await read(daemon, "/readyz?verbose")).status).toBe(403);
    expect((await read(daemon, "/readyz")).status).toBe(200);
  });

  test("a page that fails is 500 without the reason, and the daemon is told", async () => {
    const errors: unknown[] = [];
    const failure = new Error("password=hunter2");
    await using daemon = await serve({
      allowDetail: () => Promise.reject(failure),
      onError: (error) => errors.push(error),
    });
    const { status, body } = await read(daemon, "/metrics");
    expect(status).toBe(500);
    expect(body).not.toContain("hunter2");
    expect(errors).toEqual([failure]);
  });

  test("any other path is 404 in JSON, any other method 405, HEAD has no body", async () => {
    await using daemon = await serve();
    const missing = await read(daemon, "/nothing/here", { method: "POST", body: "x" });
    expect(missing).toMatchObject({ status: 404 });
    expect(JSON.parse(missing.body)).toMatchObject({ code: "not_found" });
    const wrong = await read(daemon, "/livez", { method: "POST", body: "x" });
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get("allow")).toBe("GET, HEAD");
    expect(await read(daemon, "/livez", { method: "HEAD" })).toMatchObject({ status: 200, body: "" });
  });

  test("are the same over HTTP/2", async () => {
    await using daemon = await serve();
    await using client = openHttp2(daemon.url);
    expect(await client.request({ ":path": "/livez" })).toEqual({ status: 200, body: "ok\n" });
    expect(await client.request({ ":path": "/livez", ":method": "HEAD" })).toEqual({ status: 200, body: "" });
    expect(await client.request({ ":path": "/x" }, Buffer.from("body"))).toMatchObject({ status: 404 });
  });
});

async function serve(more: Partial<PagesOptions> = {}): Promise<TestListener> {
  const metrics = new Metrics({ version: "1.2.3" });
  const pages = createPages({
    health: new Health({ checks: {}, timeoutMs: 1000, cacheMs: 0 }),
    metrics,
    version: "1.2.3",
    allowDetail: () => true,
    onError: () => undefined,
    ...more,
  });
  return openListener({ onRequest: (request, response) => void pages(request, response) });
}

async function read(daemon: TestListener, path: string, init: RequestInit = {}) {
  const response = await fetch(`${daemon.url}${path}`, init);
  return { status: response.status, headers: response.headers, body: await response.text() };
}
