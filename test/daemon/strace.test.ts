import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { createLink } from "../../src/client/transport.ts";
import {
  EventsSchema,
  type UploadRequest,
  UploadRequestSchema,
} from "../../src/wire/gen/sluice/opaque/v1/opaque_pb.ts";
import { type BlobChunk, BlobChunkSchema, OpenSchema } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { opaqueUpload } from "../../src/wire/opaque.ts";
import type { Syscall } from "../core/blobs/syscalls.ts";
import { never } from "../fixtures.ts";
import { blobBefore, Source } from "../torture/source.ts";
import { DaemonProcess } from "./process.ts";
import { findAcks, parseTrace, STRACE, type WrittenAck } from "./traced-acks.ts";

const BATCHES = 40;
let source: Source;
let directory = "";
beforeAll(async () => {
  source = await Source.load();
});
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sluice-strace-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true, maxRetries: 10 });
});

test("no ack is written before the fsync that follows the last write of what it acks", {
  timeout: 180_000,
}, async (context) => {
  if (!hasStrace()) return context.skip("strace is not installed or may not trace");
  const calls = await traceDaemon();
  const acks = findAcks(calls);
  const events = acks.filter(({ ack }) => ack.blobs.length === 0);
  const blobs = acks.filter(({ ack }) => ack.blobs.some(({ stored }) => stored));
  expect(events.length).toBeGreaterThanOrEqual(BATCHES);
  expect(blobs.length).toBeGreaterThan(1);
  expect(unsafeAcks(calls, acks)).toEqual([]);
  expect(unsafeBlobs(calls, blobs)).toEqual([]);
  // The directory's fsync is what these stand on.
  const careless = calls.filter(({ name, text }) => !(name === "fsync" && text.includes("/blobs/")));
  expect(unsafeBlobs(careless, blobs)).toHaveLength(blobs.length);
});

test("the same check fails for a store that does not fsync each commit", { timeout: 180_000 }, async (context) => {
  if (!hasStrace()) return context.skip("strace is not installed or may not trace");
  const calls = await traceDaemon(fileURLToPath(new URL("./synchronous-daemon.ts", import.meta.url)));
  const acks = findAcks(calls);
  const events = acks.filter(({ ack }) => ack.blobs.length === 0);
  expect(events.length).toBeGreaterThanOrEqual(BATCHES);
  expect(unsafeAcks(calls, acks).length).toBeGreaterThan(events.length / 2);
});

function hasStrace(): boolean {
  return spawnSync(STRACE[0], [...STRACE.slice(1), "true"]).status === 0;
}

/** What the daemon did while one collector sent batches and blobs, each after the ack of the one before. */
async function traceDaemon(entry?: string): Promise<Syscall[]> {
  const trace = join(directory, "trace");
  const under = [...STRACE, "-o", trace];
  await using daemon = await DaemonProcess.start({ directory, under, ...(entry === undefined ? {} : { entry }) });
  await sendInLockstep(await daemon.ready);
  await daemon.kill("SIGTERM");
  return parseTrace(await readFile(trace, "utf8"));
}

async function sendInLockstep(url: string): Promise<void> {
  using link = createLink({ url });
  let answered = Promise.withResolvers<void>();
  const requests = async function* (): AsyncGenerator<UploadRequest> {
    for (const frame of frames()) {
      answered = Promise.withResolvers();
      yield create(UploadRequestSchema, { frame });
      await answered.promise;
    }
  };
  const response = await link.transport.stream(opaqueUpload, never, undefined, undefined, requests());
  for await (const _ of response.message) answered.resolve();
}

function* frames(): Generator<UploadRequest["frame"]> {
  yield { case: "open", value: create(OpenSchema, { stream: { session: "traced" } }) };
  let seq = 1;
  for (let batch = 0; batch < BATCHES; batch++) {
    const size = 1 + ((batch * 7) % 12);
    const events = Array.from({ length: size }, (_, index) => source.event(0, seq + index));
    for (let index = 0; index < size; index++) {
      const number = blobBefore(seq + index);
      if (number !== undefined) yield { case: "blobChunk", value: wholeBlob(number) };
    }
    yield { case: "events", value: create(EventsSchema, { firstSeq: BigInt(seq), events }) };
    seq += size;
  }
}

function wholeBlob(number: number): BlobChunk {
  const { id: blobId, bytes: data, size, mediaType } = source.blob(0, number);
  return create(BlobChunkSchema, { blobId, data, size: BigInt(size), offset: 0n, mediaType });
}

/** The acks of events without an fsync of the log between the last write to it and the ack. */
function unsafeAcks(calls: readonly Syscall[], acks: readonly WrittenAck[]): bigint[] {
  const log = calls.filter(({ text }) => /^\d+<[^>]*\/sluice\.db-wal>/.test(text));
  const writes = log.filter(({ name }) => name.startsWith("pwrite"));
  const syncs = log.filter(({ name, text }) => /^f(data)?sync$/.test(name) && / = 0$/.test(text));
  let before = 0;
  const unsafe: bigint[] = [];
  for (const { ack, written } of acks) {
    // In lockstep, all that was written since the ack before is what this one acks.
    const last = writes.findLast(({ began }) => began > before && began < written.began);
    const synced =
      last !== undefined && syncs.some(({ began, ended }) => began >= last.ended && ended <= written.began);
    if (!synced) unsafe.push(ack.durableSeq);
    before = written.began;
  }
  return unsafe;
}

/** The acks of blobs whose file was not fsynced, renamed and its directory fsynced, in this order, before. */
function unsafeBlobs(calls: readonly Syscall[], acks: readonly WrittenAck[]): string[] {
  const unsafe: string[] = [];
  for (const { ack, written } of acks) {
    for (const { blobId } of ack.blobs) {
      const partial = `/partial/${blobId}>`;
      const home = `/${blobId.slice(0, 2)}`;
      const last = calls.findLast(({ name, text }) => /^p?write/.test(name) && text.includes(partial));
      const synced = after(last, calls, ({ name, text }) => /^f(data)?sync$/.test(name) && text.includes(partial));
      const renamed = after(
        synced,
        calls,
        ({ name, text }) => name === "rename" && text.includes(hex(`${home}/${blobId}`)),
      );
      const named = after(renamed, calls, ({ name, text }) => name === "fsync" && text.includes(`${home}>`));
      if (named === undefined || named.ended > written.began) unsafe.push(blobId);
    }
  }
  return unsafe;
}

function after(
  first: Syscall | undefined,
  calls: readonly Syscall[],
  is: (call: Syscall) => boolean,
): Syscall | undefined {
  return first && calls.find((call) => call.began >= first.ended && is(call));
}

/** As strace writes a name. */
function hex(text: string): string {
  return Buffer.from(text).toString("hex").replace(/../g, "\\x$&");
}
