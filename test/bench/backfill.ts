import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fromJsonString, toBinary } from "@bufbuild/protobuf";
import Database from "better-sqlite3";
import { frameOf, pack } from "../../src/core/session/segment.ts";
import { EventSchema } from "../../src/wire/gen/sluice/v1/event_pb.ts";
import { writeVariants } from "../torture/variants.ts";
import { figure, type Report } from "./figures.ts";
import { fresh } from "./limits.ts";
import { layOut } from "./served.ts";

const SESSIONS = 3_000;
/** Sessions in one commit of the bare loop: what the backfill's lanes have in hand. */
const GROUP = 16;

/**
 * A backfill beside the bare cost of the same files: a loop that parses each event, packs,
 * compresses and hashes each recording, and commits a group of them at synchronous=FULL. In turn.
 */
export async function backfill(runs: number, note: (line: string) => void): Promise<Report> {
  const dir = await mkdtemp(join(tmpdir(), "sluice-bench-"));
  const seen = new Map<string, number[]>();
  const add = (name: string, value: number): number => {
    seen.set(name, [...(seen.get(name) ?? []), value]);
    note(`${name} ${value.toPrecision(4)}`);
    return value;
  };
  try {
    await layOut(join(dir, "package"));
    const corpus = join(dir, "corpus");
    await writeVariants(corpus, SESSIONS);
    for (let run = 0; run < runs; run++) {
      const limit = bareSeconds(corpus, await fresh(join(dir, "limit")));
      const place = await fresh(join(dir, "place"));
      const first = await runSluice(dir, place, corpus);
      const second = await runSluice(dir, place, corpus);
      add("limit_sessions_per_s", SESSIONS / limit.seconds);
      add("sessions_per_s", SESSIONS / first.seconds);
      add("mb_per_s", limit.bytes / 1e6 / first.seconds);
      add("vs_limit", limit.seconds / first.seconds);
      add("second_run_ratio", second.seconds / first.seconds);
      add("rss_mib", Math.max(first.rssMib, second.rssMib));
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  const units = new Map([
    ["limit_sessions_per_s", "1/s"],
    ["sessions_per_s", "1/s"],
    ["mb_per_s", "MB/s"],
    ["rss_mib", "MiB"],
  ]);
  return {
    name: "backfill",
    runs,
    figures: Object.fromEntries([...seen].map(([name, values]) => [name, figure(values, units.get(name) ?? "ratio")])),
    targets: { vs_limit: { least: 0.5 }, second_run_ratio: { most: 0.1 }, rss_mib: { most: 300 } },
  };
}

function bareSeconds(corpus: string, dir: string): { readonly seconds: number; readonly bytes: number } {
  const database = new Database(join(dir, "bare.db"));
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  database.exec("CREATE TABLE segments (key INTEGER PRIMARY KEY, encoding INTEGER, sha256 BLOB, payload BLOB)");
  const insert = database.prepare("INSERT INTO segments (encoding, sha256, payload) VALUES (?, ?, ?)");
  const begun = performance.now();
  let bytes = 0;
  let waiting: ReturnType<typeof pack>[] = [];
  const commit = database.transaction(() => {
    for (const { encoding, payload } of waiting) {
      insert.run(encoding, createHash("sha256").update(payload).digest(), payload);
    }
  });
  for (const thousand of readdirSync(corpus)) {
    for (const capture of readdirSync(join(corpus, thousand))) {
      const text = readFileSync(join(corpus, thousand, capture, "events.ndjson"), "utf8");
      bytes += Buffer.byteLength(text);
      const events = text
        .trimEnd()
        .split("\n")
        .map((line) => toBinary(EventSchema, fromJsonString(EventSchema, line)));
      waiting.push(pack(frameOf(events)));
      if (waiting.length < GROUP) continue;
      commit.immediate();
      waiting = [];
    }
  }
  commit.immediate();
  database.close();
  return { seconds: (performance.now() - begun) / 1000, bytes };
}

async function runSluice(dir: string, place: string, corpus: string) {
  const begun = performance.now();
  const child = spawn(
    process.execPath,
    [join(dir, "package", "bin", "sluice.js"), "backfill", "start", corpus, "--json"],
    {
      cwd: place,
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  const exited = once(child, "exit");
  let peak = 0;
  while (child.exitCode === null && child.signalCode === null) {
    try {
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1] ?? 0));
    } catch {
      // It has ended meanwhile.
    }
    await Promise.race([exited, sleep(50)]);
  }
  if (child.exitCode !== 0) throw new Error(`the backfill ended with ${child.exitCode}`);
  return { seconds: (performance.now() - begun) / 1000, rssMib: peak / 1024 };
}
