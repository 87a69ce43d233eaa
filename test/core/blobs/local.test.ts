import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, readlink, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { BlobWrite } from "../../../src/core/blobs/blobs.ts";
import { LocalBlobStore } from "../../../src/core/blobs/local.ts";
import { never } from "../../fixtures.ts";
import { ManualClock } from "../../manual-clock.ts";

test("files and directories are the owner's alone, and are where the layout says", async () => {
  await using dir = await temporaryDirectory();
  await using store = await LocalBlobStore.open({ dir: join(dir.path, "new", "blobs") });
  const whole = blob(randomBytes(10));
  const half = blob(randomBytes(10));
  await store.write("p", whole, never);
  await store.write("p", { ...half, data: half.data.subarray(0, 5) }, never);
  const project = join(dir.path, "new", "blobs", "p");
  const modes = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
  expect(await modes(join(project, whole.id.slice(0, 2), whole.id))).toBe("600");
  expect(await modes(join(project, "partial", half.id))).toBe("600");
  for (const path of [project, join(project, "partial"), join(project, whole.id.slice(0, 2)), join(dir.path, "new")]) {
    expect(await modes(path)).toBe("700");
  }
  expect(await readdir(join(project, "partial"))).toEqual([half.id]);
});

test("a directory that can't be used is no_store", async () => {
  await using dir = await temporaryDirectory();
  await writeFile(join(dir.path, "file"), "");
  await expect(LocalBlobStore.open({ dir: join(dir.path, "file", "blobs") })).rejects.toMatchObject({
    code: "no_store",
  });
});

test("a partial whose last byte was written before the process died still gets a chunk that completes it", async () => {
  await using dir = await temporaryDirectory();
  const chunk = blob(randomBytes(5000));
  await writePartial(dir.path, chunk.id, chunk.data);
  await using store = await LocalBlobStore.open({ dir: dir.path });
  expect(await store.progress("p", chunk.id, never)).toEqual({ received: 4999, stored: false });
  expect(await store.write("p", { ...chunk, offset: 4999, data: chunk.data.subarray(4999) }, never)).toEqual({
    received: 5000,
    stored: true,
  });
});

test("a partial that a power cut filled with zeros is found out and removed", async () => {
  await using dir = await temporaryDirectory();
  const chunk = blob(randomBytes(5000));
  await writePartial(dir.path, chunk.id, chunk.data.subarray(0, 3000));
  await truncate(join(dir.path, "p", "partial", chunk.id), 1000);
  await truncate(join(dir.path, "p", "partial", chunk.id), 3000);
  await using store = await LocalBlobStore.open({ dir: dir.path });
  const { received } = await store.progress("p", chunk.id, never);
  const rest = { ...chunk, offset: received, data: chunk.data.subarray(received) };
  await expect(store.write("p", rest, never)).rejects.toMatchObject({ code: "data_loss", reason: "BLOB_MISMATCH" });
  expect(await readdir(join(dir.path, "p", "partial"))).toEqual([]);
  expect(await store.write("p", chunk, never)).toEqual({ received: 5000, stored: true });
});

test("a partial longer than the blob can't be the blob, and gives way to it", async () => {
  await using dir = await temporaryDirectory();
  const chunk = blob(randomBytes(500));
  await writePartial(dir.path, chunk.id, randomBytes(9000));
  await using store = await LocalBlobStore.open({ dir: dir.path });
  expect(await store.write("p", chunk, never)).toEqual({ received: 500, stored: true });
});

test("blobs go on arriving when somebody removes the directories beneath", async () => {
  await using dir = await temporaryDirectory();
  await using store = await LocalBlobStore.open({ dir: dir.path });
  const chunk = blob(randomBytes(500));
  await store.write("p", { ...chunk, data: chunk.data.subarray(0, 100) }, never);
  await store.write("p", blob(randomBytes(5)), never);
  await rm(join(dir.path, "p"), { recursive: true });
  // The open file is gone from the directory: publishing it fails once, and all begins anew.
  const rest = { ...chunk, offset: 100, data: chunk.data.subarray(100) };
  await expect(store.write("p", rest, never)).rejects.toMatchObject({ code: "unavailable", reason: "BLOB_DISK" });
  expect(await store.write("p", chunk, never)).toEqual({ received: 500, stored: true });
});

test("files of arriving blobs stay open up to a limit, and are closed when nobody writes", async (context) => {
  if (process.platform !== "linux") return context.skip("/proc is on Linux");
  await using dir = await temporaryDirectory();
  const clock = new ManualClock();
  await using store = await LocalBlobStore.open({ dir: dir.path, maxOpen: 3, idleMs: 1000, clock });
  const chunks = Array.from({ length: 8 }, () => blob(randomBytes(100)));
  for (const chunk of chunks) await store.write("p", { ...chunk, data: chunk.data.subarray(0, 50) }, never);
  expect(await openFiles(dir.path)).toHaveLength(3);

  while ((await openFiles(dir.path)).length > 0) {
    clock.advance(1000);
    await turn();
  }

  for (const chunk of chunks) {
    const rest = { ...chunk, offset: 50, data: chunk.data.subarray(50) };
    expect(await store.write("p", rest, never)).toEqual({ received: 100, stored: true });
  }
  expect(await openFiles(dir.path)).toEqual([]);
});

test("closing the store finishes the write that runs and refuses the ones that wait", async () => {
  await using dir = await temporaryDirectory();
  const store = await LocalBlobStore.open({ dir: dir.path });
  const chunk = blob(randomBytes(100_000));
  const running = store.write("p", chunk, never);
  await turn();
  const waiting = store.write("p", chunk, never).catch((error: unknown) => error);
  await store[Symbol.asyncDispose]();
  expect(await running).toEqual({ received: 100_000, stored: true });
  expect(await waiting).toMatchObject({ code: "unavailable", reason: "CLOSED" });
});

test("a call that is given up while it waits for another of the same blob ends at once, and the order holds", async () => {
  await using dir = await temporaryDirectory();
  await using store = await LocalBlobStore.open({ dir: dir.path });
  const chunk = blob(randomBytes(100_000));
  const caller = new AbortController();
  const first = store.write("p", chunk, never);
  const given = store.write("p", chunk, caller.signal).catch((error: unknown) => error);
  const last = store.write("p", chunk, never);
  caller.abort();
  expect(await given).toMatchObject({ code: "cancelled" });
  expect(await first).toEqual({ received: 100_000, stored: true });
  expect(await last).toEqual({ received: 100_000, stored: true });
});

/** The chunk that is the whole blob. */
function blob(data: Buffer): BlobWrite {
  return { id: createHash("sha256").update(data).digest("hex"), size: data.length, offset: 0, data };
}

/** Leaves a partial as a killed process would have. */
async function writePartial(dir: string, id: string, bytes: Uint8Array): Promise<void> {
  await using store = await LocalBlobStore.open({ dir });
  await store.write("p", { id, size: bytes.length + 1, offset: 0, data: bytes }, never);
}

async function openFiles(dir: string): Promise<string[]> {
  const targets = (await readdir("/proc/self/fd")).map((fd) => readlink(join("/proc/self/fd", fd)).catch(() => ""));
  return (await Promise.all(targets)).filter((target) => target.startsWith(dir));
}

async function temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "sluice-blobs-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}
