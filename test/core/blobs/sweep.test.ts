import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LocalBlobStore } from "../../../src/core/blobs/local.ts";
import { Sweeper } from "../../../src/core/blobs/sweeper.ts";
import { createLogger } from "../../../src/core/log.ts";
import { never } from "../../fixtures.ts";
import { ManualClock } from "../../manual-clock.ts";

const DAY_MS = 24 * 3_600_000;
const IDLE_MS = 60_000;
let dir = "";
let clock: ManualClock;
let store: LocalBlobStore;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sluice-sweep-"));
  clock = new ManualClock(Date.now());
  store = await LocalBlobStore.open({ dir, clock, idleMs: IDLE_MS });
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

interface Blob {
  readonly id: string;
  readonly bytes: Buffer;
}

function newBlob(): Blob {
  const bytes = randomBytes(1_000);
  return { id: createHash("sha256").update(bytes).digest("hex"), bytes };
}

const send = async ({ id, bytes }: Blob, from: number, to: number) =>
  await store.write("shop", { id, size: bytes.length, offset: from, data: bytes.subarray(from, to) }, never);

const partials = async () => (await readdir(join(dir, "shop", "partial"))).toSorted();

/** As if nothing had been written to it for so long. */
async function age(name: string, ms: number): Promise<void> {
  const at = new Date(clock.now() - ms);
  await utimes(join(dir, "shop", "partial", name), at, at);
}

/** The daemon begins anew: what was arriving is on disk alone. */
async function reopen(): Promise<void> {
  await store[Symbol.asyncDispose]();
  store = await LocalBlobStore.open({ dir, clock, idleMs: IDLE_MS });
}

const startSweeper = () => new Sweeper({ stores: [store], clock, logger: createLogger({ level: "silent" }) });

test("at the start what got nothing for 7 days is removed, and its sender begins at 0; what is younger, and what is stored, stays", async () => {
  const [old, young, whole] = [newBlob(), newBlob(), newBlob()];
  await send(old, 0, 400);
  await send(young, 0, 400);
  await send(whole, 0, 1_000);
  await reopen();
  await age(old.id, 7 * DAY_MS + 1_000);
  await age(young.id, 7 * DAY_MS - 1_000);
  await utimes(join(dir, "shop", whole.id.slice(0, 2), whole.id), new Date(0), new Date(0));
  // What a process left that was killed while it put a blob whole.
  await writeFile(join(dir, "shop", "partial", `${old.id}.0`), "");
  await age(`${old.id}.0`, 8 * DAY_MS);
  await mkdir(join(dir, "empty"));
  await using _ = startSweeper();
  await expect.poll(partials).toEqual([young.id]);
  await expect.poll(() => clock.sleepers).toBe(1);
  expect(await store.progress("shop", whole.id, never)).toEqual({ received: 1_000, stored: true });
  await expect(send(old, 399, 1_000)).rejects.toMatchObject({ reason: "BLOB_OFFSET", metadata: { received: "0" } });
  expect(await send(old, 0, 1_000)).toMatchObject({ stored: true });
  expect(await send(young, 399, 1_000)).toMatchObject({ stored: true });
});

test("once a day it is looked at again; what got a chunk meanwhile stays", async () => {
  const [left, alive] = [newBlob(), newBlob()];
  await send(left, 0, 400);
  await send(alive, 0, 400);
  await reopen();
  for (const { id } of [left, alive]) await age(id, 6.5 * DAY_MS);
  await using _ = startSweeper();
  await expect.poll(() => clock.sleepers).toBe(1);
  expect(await partials()).toEqual([left.id, alive.id].toSorted());
  expect(await send(alive, 399, 500)).toMatchObject({ received: 500, stored: false });
  clock.advance(DAY_MS);
  await expect.poll(partials).toEqual([alive.id]);
  expect(await send(alive, 500, 1_000)).toMatchObject({ stored: true });
});

test("what is arriving is never removed, whatever its file says; what is remembered and given up is", async () => {
  const blob = newBlob();
  await send(blob, 0, 400);
  await age(blob.id, 30 * DAY_MS);
  expect(await store.sweep(clock.now() - DAY_MS, never)).toBe(0);
  expect(await send(blob, 400, 500)).toMatchObject({ received: 500 });
  // Twice the time after which the file of a blob that gets nothing is closed.
  for (let turn = 0; turn < 2; turn++) {
    await expect.poll(() => clock.sleepers).toBe(1);
    clock.advance(IDLE_MS);
  }
  await expect.poll(() => clock.sleepers).toBe(0);
  await age(blob.id, 30 * DAY_MS);
  expect(await store.sweep(clock.now() - DAY_MS, never)).toBe(1);
  expect(await store.progress("shop", blob.id, never)).toEqual({ received: 0, stored: false });
  expect(await send(blob, 0, 1_000)).toMatchObject({ stored: true });
});

test("what can't be swept is told, and tried again the next day", async () => {
  const left = newBlob();
  await send(left, 0, 400);
  await reopen();
  await age(left.id, 8 * DAY_MS);
  const lines: string[] = [];
  const logger = createLogger({ level: "info", destination: { write: (line: string) => void lines.push(line) } });
  await rename(dir, `${dir}.away`);
  await using _ = new Sweeper({ stores: [store], clock, logger });
  await expect.poll(() => lines.join("")).toContain("blobs given up could not be removed");
  await rename(`${dir}.away`, dir);
  await expect.poll(() => clock.sleepers).toBe(1);
  clock.advance(DAY_MS);
  await expect.poll(partials).toEqual([]);
  await expect.poll(() => lines.join("")).toContain('"removed":1');
});
