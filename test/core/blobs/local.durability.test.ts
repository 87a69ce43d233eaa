import { execFile, spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { LocalBlobStore } from "../../../src/core/blobs/local.ts";
import { never } from "../../fixtures.ts";
import { madeUpBlob } from "./made-up-blob.ts";
import { parseSyscalls, type Syscall } from "./syscalls.ts";

const writer = join(import.meta.dirname, "writer.ts");

describe("blobs as files", () => {
  test("kill -9 in the middle of writes leaves every acked blob whole, and every published one", {
    timeout: 120_000,
  }, async () => {
    await using dir = await temporaryDirectory();
    const acked = new Set<number>();
    for (let round = 0; round < 12; round++) {
      let first = 0;
      while (acked.has(first)) first++;
      for (const number of await writeUntilKilled(dir.path, first, 1 + ((round * 7) % 23))) acked.add(number);
      const published = await publishedFiles(dir.path);
      for (const path of published) expect(sha256(await readFile(path))).toBe(basename(path));
      const ids = new Set(published.map((path) => basename(path)));
      for (const number of acked) expect(ids).toContain(sha256(madeUpBlob(number)));
    }
    expect(acked.size).toBeGreaterThan(50);
  });

  test("many processes put the same blobs at once and are killed: every acked blob is whole, and every published one", {
    timeout: 120_000,
  }, async () => {
    await using dir = await temporaryDirectory();
    const acked = new Set<number>();
    for (let round = 0; round < 4; round++) {
      const acks = [5, 12, 20].map((count) => writeUntilKilled(dir.path, round * 4, count, "whole"));
      for (const number of (await Promise.all(acks)).flat()) acked.add(number);
      const published = await publishedFiles(dir.path);
      for (const path of published) expect(sha256(await readFile(path))).toBe(basename(path));
      const ids = new Set(published.map((path) => basename(path)));
      for (const number of acked) expect(ids).toContain(sha256(madeUpBlob(number)));
    }
    expect(acked.size).toBeGreaterThan(20);
  });

  test("a blob is fsynced before it is renamed, and its directory before the answer", {
    timeout: 120_000,
  }, async (context) => {
    if (spawnSync("strace", ["-V"]).error !== undefined) context.skip("strace is not installed");
    await using dir = await temporaryDirectory();
    for (const chunkBytes of ["1000000", "10000", "whole"]) {
      const trace = join(dir.path, "trace");
      const blobs = join(dir.path, chunkBytes);
      const calls = "fsync,fdatasync,rename,renameat,renameat2,openat,write,pwrite64";
      await promisify(execFile)("strace", [
        "-f",
        "-y",
        "-o",
        trace,
        "-e",
        `trace=${calls}`,
        process.execPath,
        writer,
        blobs,
        "0",
        "20",
        chunkBytes,
      ]);
      const traced = parseSyscalls(await readFile(trace, "utf8"));
      for (let number = 0; number <= 20; number++) {
        expect(brokenOrder(traced, number)).toEqual([]);
        // The check sees what it is there to see.
        const without = (name: RegExp, place: RegExp) =>
          brokenOrder(
            traced.filter((call) => !name.test(call.name) || !place.test(call.text)),
            number,
          );
        expect(without(/^f(data)?sync$/, /\/partial\//)).toContain("renamed before fsync");
        expect(without(/^fsync$/, /\/p\/[0-9a-f]{2}>/)).toContain("answered before the directory's fsync");
        expect(
          brokenOrder(
            traced.map((call) => (call.name === "rename" ? { ...call, began: 0 } : call)),
            number,
          ),
        ).toContain("renamed before fsync");
      }
    }
  });

  test("a full disk is DISK_FULL, keeps what had arrived, and the blob goes on when there is room", async (context) => {
    await using disk = await smallDisk(2);
    if (disk === undefined) return context.skip("mounting a tmpfs needs root");
    await using store = await LocalBlobStore.open({ dir: join(disk.path, "blobs") });
    const early = randomBytes(100_000);
    const late = randomBytes(900_000);
    const whole = randomBytes(500_000);
    await write(store, early, 0, early.length);
    expect(await write(store, late, 0, 300_000)).toEqual({ received: 300_000, stored: false });
    await writeFile(join(disk.path, "ballast"), randomBytes(1_300_000));

    const full = { code: "resource_exhausted", reason: "DISK_FULL", retryAfterMs: expect.any(Number) };
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(write(store, late, 300_000, 900_000)).rejects.toMatchObject(full);
      await expect(write(store, whole, 0, whole.length)).rejects.toMatchObject(full);
      await expect(store.put("p", whole, never)).rejects.toMatchObject(full);
    }
    expect(await store.progress("p", sha256(late), never)).toEqual({ received: 300_000, stored: false });
    expect(await store.progress("p", sha256(whole), never)).toEqual({ received: 0, stored: false });
    expect(await readAll(store, early)).toBe(true);

    await rm(join(disk.path, "ballast"));
    expect(await write(store, late, 300_000, 900_000)).toEqual({ received: 900_000, stored: true });
    expect(await write(store, whole, 0, whole.length)).toEqual({ received: 500_000, stored: true });
    for (const bytes of [early, late, whole]) expect(await readAll(store, bytes)).toBe(true);
  });

  test("a disk too full for a byte fails the health check, which leaves nothing behind", async (context) => {
    await using disk = await smallDisk(1);
    if (disk === undefined) return context.skip("mounting a tmpfs needs root");
    await using store = await LocalBlobStore.open({ dir: disk.path });
    await store.ping(never);
    await expect(writeFile(join(disk.path, "ballast"), randomBytes(2_000_000))).rejects.toMatchObject({
      code: "ENOSPC",
    });
    await expect(store.ping(never)).rejects.toMatchObject({ code: "resource_exhausted", reason: "DISK_FULL" });
    await rm(join(disk.path, "ballast"));
    await store.ping(never);
    expect(await readdir(disk.path)).toEqual([]);
  });
});

/** Runs the writer until it has acked `acks` blobs, kills it, and tells what it acked. */
async function writeUntilKilled(dir: string, first: number, acks: number, chunkBytes = "16384"): Promise<number[]> {
  const child = spawn(process.execPath, [writer, dir, String(first), "Infinity", chunkBytes], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const acked: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    acked.push(Number(line.split(" ")[1]));
    if (acked.length === acks) child.kill("SIGKILL");
  }
  const [, signal] = await exited;
  expect(signal).toBe("SIGKILL");
  return acked;
}

/** What in the trace breaks the order write, fsync, rename, fsync of the directory, answer. */
function brokenOrder(calls: readonly Syscall[], number: number): string[] {
  const id = sha256(madeUpBlob(number));
  // Put whole it is written to a file with an ending of its own.
  const partial = new RegExp(`/partial/${id}(?:\\.[0-9a-f-]+)?>`);
  const writes = calls.filter((call) => /^p?write/.test(call.name) && partial.test(call.text));
  const rename = calls.find(
    (call) => call.name.startsWith("rename") && call.text.includes(`/${id.slice(0, 2)}/${id}"`),
  );
  const answer = calls.find((call) => call.name === "write" && call.text.includes(`"stored ${number}\\n"`));
  const written = writes.at(-1);
  if (written === undefined || rename === undefined || answer === undefined) return ["not in the trace"];
  const fsynced = calls.some(
    (call) => /^f(data)?sync$/.test(call.name) && partial.test(call.text) && between(written, call, rename),
  );
  const named = calls.some(
    (call) => call.name === "fsync" && call.text.includes(`/p/${id.slice(0, 2)}>`) && between(rename, call, answer),
  );
  return [...(fsynced ? [] : ["renamed before fsync"]), ...(named ? [] : ["answered before the directory's fsync"])];
}

function between(before: Syscall, call: Syscall, after: Syscall): boolean {
  return before.ended <= call.began && call.ended <= after.began && / = 0$/.test(call.text);
}

async function publishedFiles(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && basename(entry.parentPath) !== "partial")
    .map((entry) => join(entry.parentPath, entry.name));
}

interface Place extends AsyncDisposable {
  readonly path: string;
}

async function temporaryDirectory(): Promise<Place> {
  const path = await mkdtemp(join(tmpdir(), "sluice-blobs-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

async function smallDisk(mebibytes: number): Promise<Place | undefined> {
  const path = await mkdtemp(join(tmpdir(), "sluice-disk-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", path]).status === 0;
  if (!mounted) {
    await rm(path, { recursive: true });
    return undefined;
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      spawnSync("umount", [path]);
      await rm(path, { recursive: true });
    },
  };
}

function write(store: LocalBlobStore, bytes: Buffer, from: number, to: number) {
  return store.write(
    "p",
    { id: sha256(bytes), size: bytes.length, offset: from, data: bytes.subarray(from, to) },
    never,
  );
}

async function readAll(store: LocalBlobStore, bytes: Buffer): Promise<boolean> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of store.read("p", sha256(bytes), never)) chunks.push(chunk);
  return bytes.equals(Buffer.concat(chunks));
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
