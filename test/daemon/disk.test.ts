import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { ClientError } from "../../src/client/errors.ts";
import { Wake } from "../../src/client/wake.ts";
import { IngestService } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { seeded } from "../client/recordings.ts";
import { events } from "../fixtures.ts";
import { checkStore } from "../torture/check.ts";
import { Journal, readJournal } from "../torture/journal.ts";
import { Senders } from "../torture/senders.ts";
import { Source, sha256 } from "../torture/source.ts";
import { append, readBlob, readEvents, refusal, TestDaemon } from "./daemon.ts";
import { DaemonProcess } from "./process.ts";

const STREAMS = 4;
let source: Source;
let directory = "";
beforeAll(async () => {
  source = await Source.load();
});
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sluice-disk-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true, maxRetries: 10 });
});

test("on a full disk senders are told to wait, ingest goes on by itself when there is room, and nothing acked is lost", {
  timeout: 180_000,
}, async (context) => {
  const disk = join(directory, "disk");
  await mkdir(disk);
  if (!mount(disk, 64)) return context.skip("mounting a tmpfs needs root");
  try {
    const ballast = join(disk, "ballast");
    await writeFile(ballast, Buffer.alloc(48 * 1024 * 1024));
    await using daemon = await DaemonProcess.start({ directory: disk });
    const url = await daemon.ready;
    using journal = new Journal(directory);
    const refused = new Wake();
    const refusals: ClientError[] = [];
    const onWaiting = (error: ClientError): void => {
      refusals.push(error);
      refused.ring();
    };
    const senders = new Senders({ url, source, streams: STREAMS, journal, random: seeded(1), pauseMs: 5, onWaiting });
    // Every stream more than once: what made room for one of them did not make it for the next.
    while (refusals.length < 4 * STREAMS) await Promise.race([refused.rung, senders.failed]);
    for (const { code, reason, retryAfterMs } of refusals) {
      expect({ code, reason, retryAfterMs }).toEqual({
        code: "resource_exhausted",
        reason: "DISK_FULL",
        retryAfterMs: expect.any(Number),
      });
    }
    expect((await fetch(`${url}/livez`)).status).toBe(200);

    const { acked, blobsAcked } = senders;
    expect(acked).toBeGreaterThan(0);
    await rm(ballast);
    while (senders.acked < acked + 400 || senders.blobsAcked < blobsAcked + 20)
      await Promise.race([senders.progress, senders.failed]);
    const ends = await senders.stop();
    expect((await fetch(`${url}/readyz`)).status).toBe(200);

    await daemon.kill();
    await using again = await DaemonProcess.start({ directory: disk });
    const found = await checkStore(await again.ready, source, readJournal(journal.path, STREAMS), ends);
    expect(found).toMatchObject({ lost: 0, doubled: 0, unaccounted: 0 });
    expect(senders.forgotten).toBe(0);
  } finally {
    // Lazily: the processes that ran stages for a killed daemon end a moment after it.
    spawnSync("umount", ["--lazy", disk]);
  }
});

test("over a quota senders are told to wait; when it is raised they go on where they were", async (context) => {
  await using daemon = await TestDaemon.start();
  const link = daemon.link();
  const { putBlob } = link.client(IngestService);
  const bytes = randomBytes(5_000);
  const blob = { blobId: sha256(bytes), size: 5_000n, mediaType: "image/png" };
  const first = { ...blob, offset: 0n, data: bytes.subarray(0, 2_000) };
  const rest = { ...blob, offset: 2_000n, data: bytes.subarray(2_000) };
  await append(link, "quota", 1n, events(1, 100));
  await putBlob({ chunk: first });

  const quota = await failWrites(daemon.process.pid, "EDQUOT");
  if (quota === undefined) return context.skip("strace is not installed or may not trace");
  for (let again = 0; again < 5; again++) {
    // SQLite tells no more than that a write failed.
    const event = await refusal(append(link, "quota", 101n, events(101, 50)));
    expect(event).toMatchObject({ code: "Unavailable", reason: "STORE_IO", retryMs: expect.any(Number) });
    const chunk = await refusal(putBlob({ chunk: rest }));
    expect(chunk).toMatchObject({ code: "ResourceExhausted", reason: "DISK_FULL", retryMs: expect.any(Number) });
  }
  expect((await fetch(`${daemon.url}/livez`)).status).toBe(200);
  await quota.end();

  expect(await append(link, "quota", 101n, events(101, 50))).toMatchObject({ durableSeq: 150n, stored: 50 });
  expect(await putBlob({ chunk: rest })).toMatchObject({ status: { stored: true } });
  await daemon.expectWell();
  await daemon.process.kill();
  await daemon.restart();
  const stored = await readEvents(daemon.link(), "quota");
  expect(stored.map(({ event }) => event)).toEqual(events(1, 150).map((event) => Buffer.from(event)));
  expect((await readBlob(daemon.link(), blob.blobId)).equals(bytes)).toBe(true);
});

test("on a slow disk senders wait and the daemon's memory stays where it was", {
  timeout: 180_000,
}, async (context) => {
  const slow = [
    "strace",
    "-f",
    "--seccomp-bpf",
    "-o",
    "/dev/null",
    "-e",
    "trace=fsync,fdatasync",
    "-e",
    "inject=fsync,fdatasync:delay_enter=100000",
  ];
  if (spawnSync("strace", [...slow.slice(1), "true"]).status !== 0)
    return context.skip("strace is not installed or may not trace");
  const budget = 16 * MiB;
  const env = { SLUICE_MEMORY_BUDGET: "16MiB" };
  await using daemon = await DaemonProcess.start({ directory, under: slow, env });
  using journal = new Journal(directory);
  const url = await daemon.ready;
  const random = seeded(2);
  const senders = new Senders({ url, source, streams: STREAMS, journal, random, pauseMs: 0, withoutBlobs: true });
  const measure = async (until: number): Promise<{ resident: number; unacked: number }> => {
    const most = { resident: 0, unacked: 0 };
    while (senders.acked < until) {
      await Promise.race([senders.progress, senders.failed]);
      most.resident = Math.max(most.resident, await residentBytes(daemon.pid));
      most.unacked = Math.max(most.unacked, senders.given - senders.acked);
    }
    return most;
  };
  const warm = await measure(30_000);
  const later = await measure(120_000);
  expect(later.resident).toBeLessThan(warm.resident + 3 * budget);
  expect(later.unacked * EVENT_BYTES).toBeLessThan(budget);
  const ends = await senders.stop();
  expect(ends.reduce((sum, end) => sum + end, 0)).toBe(senders.acked);
});

/** About what the source's have. */
const EVENT_BYTES = 1600;
const MiB = 1024 * 1024;

/** Lets every write of the process to a place in a file fail, until `end`. */
async function failWrites(pid: number | undefined, errno: string) {
  if (spawnSync("strace", ["-o", "/dev/null", "true"]).status !== 0) return undefined;
  const faults = ["-e", "trace=pwrite64", "-e", `inject=pwrite64:error=${errno}`];
  const args = ["-f", "-p", `${pid}`, "-o", "/dev/null", ...faults];
  const tracer = spawn("strace", args, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(tracer, "exit").then(() => "ended");
  const line = once(createInterface({ input: tracer.stderr }), "line").then(([text]) => String(text));
  if (!(await Promise.race([line, ended])).includes("attached")) return undefined;
  const end = async (): Promise<void> => {
    tracer.kill("SIGINT");
    await ended;
  };
  return { end };
}

function mount(path: string, mebibytes: number): boolean {
  return spawnSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", path]).status === 0;
}

async function residentBytes(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
