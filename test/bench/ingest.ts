import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { figure, type Report, until } from "./figures.ts";
import { blobLimit, fillStore, fresh, fsyncMs, packLimit } from "./limits.ts";
import type { Load, LoadResult } from "./load.ts";
import type { PacedLoad, PacedResult } from "./paced.ts";
import { daemon, freshSession, generate, here, layOut, metric, quantile, type Served, start } from "./served.ts";

const BATCH = 50;
const MIB = 1024 * 1024;

/**
 * Sluice beside its limits, in turn, `runs` times: a bare loop that packs and commits the same
 * batches, the same stream through connect-node with nothing behind it, and bare writes of the same
 * blobs. Client and server share the machine, as they do for the limits.
 */
export async function ingest(runs: number, note: (line: string) => void): Promise<Report> {
  const dir = await mkdtemp(join(tmpdir(), "sluice-bench-"));
  await layOut(join(dir, "package"));
  const seen = new Map<string, number[]>();
  const add = (name: string, value: number): number => {
    seen.set(name, [...(seen.get(name) ?? []), value]);
    note(`${name} ${value.toPrecision(4)}`);
    return value;
  };
  try {
    for (let run = 0; run < runs; run++) await round(dir, add);
    for (let run = 0; run < runs; run++) await fullStore(dir, add);
    await memory(dir, add);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  const values = (name: string): number[] => seen.get(name) ?? [];
  const ratio = (name: string, limits: string[]): number[] =>
    values(name).map((value, run) => value / Math.min(...limits.map((limit) => values(limit)[run] ?? Number.NaN)));
  return {
    name: "ingest",
    runs,
    figures: {
      events_vs_limit: figure(ratio("real_16", ["limit_pack_real", "limit_connect_real"]), "ratio"),
      random_vs_limit: figure(ratio("random_16", ["limit_pack_random", "limit_connect_random"]), "ratio"),
      blobs_vs_limit: figure(ratio("blobs_16", ["limit_blobs", "limit_connect_blobs"]), "ratio"),
      events_per_s: figure(values("real_16"), "1/s"),
      events_per_s_1_stream: figure(values("real_1"), "1/s"),
      events_per_s_256_streams: figure(values("real_256"), "1/s"),
      blob_mb_per_s: figure(values("blobs_16"), "MB/s"),
      at_5m_vs_empty: figure(ratio("real_16_full", ["real_16_empty"]), "ratio"),
      loop_delay_p99_ms: figure(values("loop_delay_p99_ms"), "ms"),
      ack_p99_fsyncs: figure(values("ack_p99_fsyncs"), "fsyncs"),
      limit_ack_p99_fsyncs: figure(values("limit_ack_p99_fsyncs"), "fsyncs"),
      rss_mib_1000_streams: figure(values("rss_mib_1000_streams"), "MiB"),
      rss_mib_200_uploads: figure(values("rss_mib_200_uploads"), "MiB"),
    },
    targets: {
      events_vs_limit: { least: 0.7 },
      random_vs_limit: { least: 0.7 },
      blobs_vs_limit: { least: 0.7 },
      at_5m_vs_empty: { least: 0.9 },
      loop_delay_p99_ms: { most: 50 },
      ack_p99_fsyncs: { most: 5 },
      rss_mib_1000_streams: { most: 256 },
      rss_mib_200_uploads: { most: 256 },
    },
  };
}

type Add = (name: string, value: number) => number;

async function round(dir: string, add: Add): Promise<void> {
  let half = 0;
  let fsync = 0;
  for (const kind of ["real", "random"] as const) {
    add(`limit_pack_${kind}`, packLimit(await fresh(join(dir, "limit")), kind, 2000, BATCH));
  }
  add("limit_blobs", await blobLimit(await fresh(join(dir, "limit")), 600));
  {
    await using plain = await start(here("plain-server.ts"), []);
    for (const kind of ["real", "random"] as const)
      add(`limit_connect_${kind}`, await eventsPerSecond(plain, 16, kind));
    add("limit_connect_blobs", await megabytesPerSecond(plain));
  }
  {
    await using sluice = await daemon(await fresh(join(dir, "data")));
    for (const streams of [1, 16, 256]) {
      await metric(sluice, "sluice_event_loop_delay_p99_seconds");
      const rate = add(`real_${streams}`, await eventsPerSecond(sluice, streams, "real"));
      if (streams !== 16) continue;
      add("loop_delay_p99_ms", (await metric(sluice, "sluice_event_loop_delay_p99_seconds")) * 1000);
      half = rate / BATCH / 2;
      fsync = add("fsync_ms", fsyncMs(dir));
      add("ack_p99_fsyncs", (await ackP99(sluice, half, add)) / fsync);
    }
    add("random_16", await eventsPerSecond(sluice, 16, "random"));
    add("blobs_16", await megabytesPerSecond(sluice));
  }
  await using plain = await start(here("plain-server.ts"), []);
  // Once over for the compiler, as Sluice had it.
  await eventsPerSecond(plain, 16, "real");
  add("limit_ack_p99_fsyncs", (await ackP99(plain, half, (name, ms) => add(`limit_${name}`, ms))) / fsync);
}

/** Milliseconds within which 99 of 100 batches are acked at `rate` batches a second on 16 streams. */
async function ackP99(server: Served, rate: number, add: Add): Promise<number> {
  const { latencies, lateness } = await generate<PacedResult>("paced.ts", {
    url: server.url,
    session: freshSession(),
    streams: 16,
    batches: 2000,
    batch: BATCH,
    rate,
  } satisfies PacedLoad);
  add("ack_p50_ms", quantile(latencies, 0.5));
  add("sent_late_p99_ms", quantile(lateness, 0.99));
  return add("ack_p99_ms", quantile(latencies, 0.99));
}

/** The same load on an empty store and on one of five million events. */
async function fullStore(dir: string, add: Add): Promise<void> {
  const data = await fresh(join(dir, "data"));
  {
    await using sluice = await daemon(data);
    add("real_16_empty", await eventsPerSecond(sluice, 16, "real"));
  }
  fillStore(join(data, "sluice.db"), 5_000_000, BATCH);
  await using sluice = await daemon(data);
  add("real_16_full", await eventsPerSecond(sluice, 16, "real"));
}

async function memory(dir: string, add: Add): Promise<void> {
  for (const [mode, count, name] of [
    ["streams", 1000, "rss_mib_1000_streams"],
    ["uploads", 200, "rss_mib_200_uploads"],
  ] as const) {
    await using sluice = await daemon(await fresh(join(dir, "data")));
    const holder = spawn(process.execPath, [here("idle.ts"), sluice.url, mode, String(count)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    let open = false;
    createInterface(holder.stdout).on("line", () => {
      open = true;
    });
    await until(() => open || holder.exitCode !== null, 120_000, `${count} ${mode}`);
    let peak = 0;
    for (let sample = 0; sample < 20; sample++) {
      peak = Math.max(peak, (await metric(sluice, "process_resident_memory_bytes")) / MIB);
      await sleep(500);
    }
    if (holder.exitCode !== null) throw new Error(`the ${mode} did not stay open`);
    add(name, peak);
    holder.kill("SIGKILL");
    await once(holder, "exit");
  }
}

async function eventsPerSecond(server: Served, streams: number, kind: Load["kind"]): Promise<number> {
  const { events, seconds } = await load(server, { streams, batches: Math.ceil(3200 / streams), kind });
  return events / seconds;
}

async function megabytesPerSecond(server: Served): Promise<number> {
  const { bytes, seconds } = await load(server, { streams: 16, batches: 50, kind: "blobs" });
  return bytes / 1e6 / seconds;
}

async function load(server: Served, job: Omit<Load, "url" | "session" | "batch" | "inFlight">): Promise<LoadResult> {
  const inFlight = job.kind === "blobs" ? 1 : 4;
  return await generate("load.ts", {
    ...job,
    url: server.url,
    session: freshSession(),
    batch: BATCH,
    inFlight,
  } satisfies Load);
}
