import { describe, expect, test } from "vitest";
import { Metrics } from "../../src/core/metrics.ts";

describe("metrics", () => {
  test("received and settled are counted apart, so that a batch whose fate was forgotten shows", async () => {
    using metrics = new Metrics({ version: "1" });
    metrics.eventsReceived(10);
    metrics.eventsSettled({ stored: 6, duplicate: 2, quarantined: 1, refused: 1 });
    const all = await read(metrics);
    expect(all.get("sluice_events_received_total")).toBe(10);
    expect(settled(all)).toBe(10);
    metrics.eventsReceived(5);
    expect((await read(metrics)).get("sluice_events_received_total")).not.toBe(settled(await read(metrics)));
  });

  test("every outcome is there from the start, at 0", async () => {
    using metrics = new Metrics({ version: "1" });
    const all = await read(metrics);
    for (const outcome of ["stored", "duplicate", "quarantined", "refused"]) {
      expect(all.get(`sluice_events_settled_total{outcome="${outcome}"}`)).toBe(0);
    }
    for (const outcome of ["stored", "duplicate", "refused"]) {
      expect(all.get(`sluice_blobs_settled_total{outcome="${outcome}"}`)).toBe(0);
    }
  });

  test("gauges of streams and connections go back to 0", async () => {
    using metrics = new Metrics({ version: "1" });
    metrics.streamOpened();
    metrics.streamOpened();
    metrics.connectionOpened();
    metrics.streamClosed();
    expect((await read(metrics)).get("sluice_upload_streams")).toBe(1);
    metrics.streamClosed();
    metrics.connectionClosed();
    const all = await read(metrics);
    expect(all.get("sluice_upload_streams")).toBe(0);
    expect(all.get("sluice_connections")).toBe(0);
    expect(all.get("sluice_connections_opened_total")).toBe(1);
  });

  test("a ledger that can't be read has no series, and takes no other with it", async () => {
    using metrics = new Metrics({ version: "1" });
    const counts = { scheduled: 0, available: 7, running: 0, done: 0, dead: 1, cancelled: 0 };
    const kind = { kind: "redact", paused: false, maxRunning: undefined, counts, oldestAvailableMs: 1_500 };
    metrics.jobs.track({ stats: async () => [kind], hosts: () => 2 });
    metrics.jobs.ran("redact", "lost", 0.2);
    const well = await read(metrics);
    expect(well.get('sluice_jobs{kind="redact",state="dead"}')).toBe(1);
    expect(well.get('sluice_jobs_oldest_available_seconds{kind="redact"}')).toBe(1.5);
    expect(well.get('sluice_job_runs_total{kind="redact",outcome="lost"}')).toBe(1);
    metrics.jobs.track({ stats: () => Promise.reject(new Error("away")), hosts: () => 2 });
    const away = await read(metrics);
    expect([...away.keys()].filter((name) => name.startsWith("sluice_jobs"))).toEqual([]);
    expect(away.get("sluice_stage_hosts")).toBe(2);
  });

  test("the budget is read when it is asked for", async () => {
    using metrics = new Metrics({ version: "1" });
    let usedBytes = 5;
    metrics.trackBudget(() => ({ usedBytes, limitBytes: 100 }));
    usedBytes = 7;
    const all = await read(metrics);
    expect(all.get("sluice_budget_used_bytes")).toBe(7);
    expect(all.get("sluice_budget_limit_bytes")).toBe(100);
  });

  test("calls are counted and timed by method and code", async () => {
    using metrics = new Metrics({ version: "1" });
    metrics.rpcFinished("sluice.v1.IngestService/Append", "ok", 0.002);
    metrics.rpcFinished("sluice.v1.IngestService/Append", "out_of_range", 0.2);
    const all = await read(metrics);
    expect(all.get('sluice_rpc_seconds_count{method="sluice.v1.IngestService/Append",code="ok"}')).toBe(1);
    expect(all.get('sluice_rpc_seconds_sum{method="sluice.v1.IngestService/Append",code="out_of_range"}')).toBe(0.2);
  });

  test("a blocked event loop shows once, in the scrape that follows it", async () => {
    using metrics = new Metrics({ version: "1" });
    await metrics.render();
    await ticks(5);
    const until = performance.now() + 200;
    while (performance.now() < until);
    await ticks(5);
    expect((await read(metrics)).get("sluice_event_loop_delay_max_seconds")).toBeGreaterThan(0.1);
    await ticks(5);
    expect((await read(metrics)).get("sluice_event_loop_delay_max_seconds")).toBeLessThan(0.1);
  });

  test("two in one process do not share a registry", async () => {
    using one = new Metrics({ version: "1" });
    using other = new Metrics({ version: "2" });
    one.eventsReceived(3);
    expect((await read(other)).get("sluice_events_received_total")).toBe(0);
  });

  test("the process and its build are described, names follow Prometheus' rules", async () => {
    using metrics = new Metrics({ version: "1.2.3" });
    const text = await metrics.render();
    expect(text).toMatch(/sluice_build_info\{version="1\.2\.3",node="[^"]+"\} 1/);
    expect((await read(metrics)).get("process_resident_memory_bytes")).toBeGreaterThan(0);
    for (const [, name, kind] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
      expect(name).toMatch(/^(sluice|process|nodejs)_[a-z0-9_]+$/);
      if (kind === "counter") expect(name).toMatch(/_total$/);
    }
  });
});

/** Turns of the loop's timers: the delay is sampled on one. */
async function ticks(count: number): Promise<void> {
  for (let tick = 0; tick < count; tick++) await new Promise((resolve) => setTimeout(resolve, 10));
}

async function read(metrics: Metrics): Promise<Map<string, number>> {
  const lines = (await metrics.render()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );
}

function settled(all: ReadonlyMap<string, number>): number {
  return [...all]
    .filter(([name]) => name.startsWith("sluice_events_settled_total"))
    .reduce((sum, [, value]) => sum + value, 0);
}
