import { Code, createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { AppError } from "../../src/core/errors.ts";
import { Health, type HealthCheck, registerHealth } from "../../src/daemon/health.ts";
import {
  Health as HealthService,
  HealthCheckResponse_ServingStatus as Status,
} from "../../src/wire/gen/grpc/health/v1/health_pb.ts";
import { never } from "../fixtures.ts";
import { ManualClock } from "../manual-clock.ts";
import { openListener } from "./transport.ts";

describe("readiness", () => {
  test("tells each check, and is ready only when all pass", async () => {
    const store = new Switch();
    const { health } = make({ store: store.check, blobs: async () => undefined });
    expect(await health.ready(never)).toMatchObject({ ok: true, checks: { store: { ok: true }, blobs: { ok: true } } });
    store.fails = new AppError("unavailable", "The store does not answer.", { reason: "STORE_UNAVAILABLE" });
    const broken = make({ store: store.check, blobs: async () => undefined });
    expect(await broken.health.ready(never)).toMatchObject({
      ok: false,
      checks: { store: { ok: false, error: "The store does not answer." }, blobs: { ok: true } },
    });
  });

  test("does not show what an unexpected error says", async () => {
    const { health } = make({
      store: async () => {
        throw new Error("password=hunter2");
      },
    });
    expect(JSON.stringify(await health.ready(never))).not.toContain("hunter2");
  });

  test("a check that throws at once is a failed check", async () => {
    const { health } = make({
      store: () => {
        throw new AppError("unavailable", "gone", { reason: "GONE" });
      },
    });
    expect((await health.ready(never)).ok).toBe(false);
  });

  test("a check that hangs fails at its deadline and is not started again before it ends", async () => {
    let started = 0;
    const hung = Promise.withResolvers<void>();
    const { health, clock } = make({
      store: () => {
        started++;
        return hung.promise;
      },
    });
    const first = health.ready(never);
    await expect.poll(() => clock.sleepers).toBe(1);
    clock.advance(1000);
    expect(await first).toMatchObject({ ok: false, checks: { store: { ok: false, ms: 1000 } } });
    clock.advance(5000);
    expect((await health.ready(never)).ok).toBe(false);
    expect(started).toBe(1);
    hung.resolve();
    await new Promise(setImmediate);
    clock.advance(5000);
    expect((await health.ready(never)).ok).toBe(true);
    expect(started).toBe(2);
  });

  test("many probes share one run, and a result stands for its time", async () => {
    let runs = 0;
    const { health, clock } = make({
      store: async () => {
        runs++;
      },
    });
    await Promise.all(Array.from({ length: 50 }, () => health.ready(never)));
    expect(runs).toBe(1);
    clock.advance(999);
    await health.ready(never);
    expect(runs).toBe(1);
    clock.advance(1);
    await health.ready(never);
    expect(runs).toBe(2);
  });

  test("a probe that leaves does not spoil the answer of the others", async () => {
    const release = Promise.withResolvers<void>();
    const { health } = make({ store: () => release.promise });
    const leaving = new AbortController();
    const left = health.ready(leaving.signal);
    const stayed = health.ready(never);
    leaving.abort(new Error("left"));
    await expect(left).rejects.toThrow("left");
    release.resolve();
    expect((await stayed).ok).toBe(true);
  });

  test("is gone at once when draining begins, though a good result is fresh", async () => {
    const { health } = make({ store: async () => undefined });
    expect((await health.ready(never)).ok).toBe(true);
    health.setDraining();
    expect(await health.ready(never)).toMatchObject({ ok: false, draining: true });
  });

  test("a watch tells changes only, and ends with draining", async () => {
    const store = new Switch();
    const { health, clock } = make({ store: store.check });
    const watch = health.watch(never);
    expect(await watch.next()).toEqual({ done: false, value: true });
    const change = watch.next();
    await asleep(clock);
    clock.advance(1000);
    await asleep(clock);
    store.fails = new Error("down");
    clock.advance(1000);
    expect(await change).toEqual({ done: false, value: false });
    store.fails = undefined;
    const back = watch.next();
    await asleep(clock);
    clock.advance(1000);
    expect(await back).toEqual({ done: false, value: true });
    const last = watch.next();
    await asleep(clock);
    health.setDraining();
    expect(await last).toEqual({ done: false, value: false });
    expect(await watch.next()).toEqual({ done: true, value: undefined });
  });
});

describe("grpc.health.v1", () => {
  test("Check and List answer for the process and each service, and know no other", async () => {
    const store = new Switch();
    const { health, clock } = make({ store: store.check });
    await using daemon = await serve(health);
    const client = createClient(HealthService, createGrpcTransport({ baseUrl: daemon.url }));
    expect((await client.check({})).status).toBe(Status.SERVING);
    expect((await client.check({ service: "sluice.v1.IngestService" })).status).toBe(Status.SERVING);
    await expect(client.check({ service: "other.Service" })).rejects.toMatchObject({ code: Code.NotFound });
    store.fails = new Error("down");
    clock.advance(1000);
    expect((await client.check({})).status).toBe(Status.NOT_SERVING);
    expect((await client.list({})).statuses).toMatchObject({
      "": { status: Status.NOT_SERVING },
      "sluice.v1.IngestService": { status: Status.NOT_SERVING },
    });
  });

  test("Watch tells NOT_SERVING when draining begins and ends, so that draining can finish", async () => {
    const { health } = make({ store: async () => undefined });
    await using daemon = await serve(health);
    const client = createClient(HealthService, createGrpcTransport({ baseUrl: daemon.url }));
    const seen: Status[] = [];
    for await (const { status } of client.watch({})) {
      seen.push(status);
      if (status === Status.SERVING) health.setDraining();
    }
    expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING]);
    await daemon.listener.drain(never);
  });

  test("Watch of a service nobody knows tells so and stays open", async () => {
    const { health } = make({ store: async () => undefined });
    await using daemon = await serve(health);
    const client = createClient(HealthService, createGrpcTransport({ baseUrl: daemon.url }));
    const seen: Status[] = [];
    for await (const { status } of client.watch({ service: "other.Service" })) {
      seen.push(status);
      health.setDraining();
    }
    expect(seen).toEqual([Status.SERVICE_UNKNOWN]);
  });
});

function make(checks: Record<string, HealthCheck>): { health: Health; clock: ManualClock } {
  const clock = new ManualClock();
  return { health: new Health({ checks, clock, timeoutMs: 1000, cacheMs: 1000 }), clock };
}

function serve(health: Health) {
  const routes = connectNodeAdapter({
    routes: (router) => registerHealth(router, health, ["sluice.v1.IngestService"]),
  });
  return openListener({ onRequest: routes });
}

/** Until the watch waits for its next look; the sleep of a check's deadline is over by then. */
async function asleep(clock: ManualClock): Promise<void> {
  await new Promise(setImmediate);
  await expect.poll(() => clock.sleepers).toBe(1);
}

class Switch {
  fails: Error | undefined;
  readonly check = async (): Promise<void> => {
    if (this.fails !== undefined) throw this.fails;
  };
}
