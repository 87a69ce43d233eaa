import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ClientError, Collector, createLink, uploadRecording } from "../../src/client/index.ts";
import { loadConfig } from "../../src/core/config.ts";
import { createLogger } from "../../src/core/log.ts";
import { Server } from "../../src/daemon/server.ts";
import { EventSchema, EventType, ScreenshotPhase } from "../../src/wire/gen/sluice/v1/event_pb.ts";
import { SessionsService } from "../../src/wire/gen/sluice/v1/sessions_pb.ts";
import { opaqueReadEvents } from "../../src/wire/opaque.ts";
import { Certificates } from "../daemon/certificates.ts";
import { blobOf, eventsOf, recordingOf } from "./recordings.ts";

const never = new AbortController().signal;
let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sluice-client-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function serve(port = 0, tls: Record<string, string> = {}): Promise<Server> {
  const flags = {
    ...tls,
    listen: `127.0.0.1:${port}`,
    store: `sqlite:${directory}/sluice.db`,
    blobs: `file:${directory}/blobs`,
  };
  const { values } = await loadConfig({ flags, env: {}, cwd: directory, file: undefined });
  return await Server.start({ config: values, logger: createLogger({ level: "silent" }), version: "0" });
}

async function readBack(url: string, session: string): Promise<Buffer[]> {
  using link = createLink({ url });
  const response = await link.transport.stream(opaqueReadEvents, never, undefined, undefined, only({ session }));
  const events: Buffer[] = [];
  for await (const message of response.message) {
    for (const { event } of message.events) events.push(Buffer.from(event));
  }
  return events;
}

async function readBlob(url: string, blobId: string): Promise<Buffer> {
  using link = createLink({ url });
  const method = SessionsService.method.readBlob;
  const response = await link.transport.stream(method, never, undefined, undefined, only({ blobId }));
  const pieces: Uint8Array[] = [];
  for await (const { data } of response.message) pieces.push(data);
  return Buffer.concat(pieces);
}

async function* only<T>(message: T): AsyncGenerator<T> {
  yield message;
}

test("a recording with blobs is read back from the daemon as it was", async () => {
  await using server = await serve();
  const events = eventsOf(2_000, 4_000);
  const pictures = Array.from({ length: 12 }, (_, index) => randomBytes(1 + index * 90_000));
  const recording = recordingOf("s1", events, { blobs: pictures.map((data) => blobOf(data)), seal: true });
  const summary = await uploadRecording(recording, { to: { url: server.url } }, never);
  expect(summary).toMatchObject({
    durableSeq: 2_000n,
    eventsSent: 2_000,
    blobsSent: 12,
    reconnects: 0,
    quarantined: 0,
  });
  expect(await readBack(server.url, "s1")).toEqual(events.map((event) => Buffer.from(event)));
  for (const data of pictures) expect((await readBlob(server.url, blobOf(data).id)).equals(data)).toBe(true);

  const again = await uploadRecording(recording, { to: { url: server.url } }, never);
  expect(again).toMatchObject({ resumedFrom: 2_000n, eventsSent: 0, blobsSent: 0, blobsKnown: 12 });
  expect(again.sealed?.version).toBe(summary.sealed?.version);
});

test("a collector rides out a daemon that drains and comes back", { timeout: 30_000 }, async () => {
  let server = await serve();
  const port = Number(new URL(server.url).port);
  const events = eventsOf(600, 3_000);
  try {
    await using collector = await Collector.open({
      url: server.url,
      spoolDir: join(directory, "spool"),
      backoff: { baseMs: 10, maxMs: 50 },
    });
    const session = await collector.session({ id: "s1", info: { task: "ride it out", collector: "test/1" } });
    for (const [index, event] of events.entries()) {
      await session.push(event);
      if (index !== 300) continue;
      await server.drain(AbortSignal.timeout(5_000));
      await server[Symbol.asyncDispose]();
      server = await serve(port);
    }
    expect((await session.seal()).missingBlobs).toEqual([]);
    expect(await readBack(server.url, "s1")).toEqual(events.map((event) => Buffer.from(event)));
  } finally {
    await server[Symbol.asyncDispose]();
  }
});

test("a daemon with TLS is trusted by its authority, and one that is not trusted is final", async (context) => {
  await using certificates = await Certificates.open();
  if (certificates === undefined) return context.skip("openssl is not installed");
  const { cert, key } = await certificates.make("localhost");
  await using server = await serve(0, { "tls.cert": cert, "tls.key": key });
  const recording = recordingOf("s1", eventsOf(3));
  const tls = { ca: await readFile(cert) };
  const summary = await uploadRecording(recording, { to: { url: server.url, tls } }, never);
  expect(summary.durableSeq).toBe(3n);
  const error: unknown = await uploadRecording(recording, { to: { url: server.url } }, never).catch((e: unknown) => e);
  expect(error).toMatchObject({ code: "unavailable", reason: "TLS", retryable: false });
});

test("sealing names the blob that is missing, and succeeds when it has come", async () => {
  await using server = await serve();
  const data = randomBytes(10_000);
  const { id } = blobOf(data);
  await using collector = await Collector.open({ url: server.url, spoolDir: join(directory, "spool") });
  const session = await collector.session({ id: "s1" });
  await session.push({
    timeMs: 1n,
    type: EventType.CLICK,
    screenshots: [{ blobId: id, phase: ScreenshotPhase.BEFORE, width: 10, height: 10 }],
  });
  await expect(session.seal()).rejects.toMatchObject({ reason: "MISSING_BLOBS", metadata: { count: "1" } });
  expect(await session.putBlob(data, "image/png")).toBe(id);
  expect((await session.seal()).missingBlobs).toEqual([]);
});

test("of two collectors on one stream the older is fenced and stops", async () => {
  await using server = await serve();
  const open = (name: string) => Collector.open({ url: server.url, spoolDir: join(directory, name) });
  await using older = await open("a");
  await using newer = await open("b");
  const events = eventsOf(3);
  const first = await older.session({ id: "s1" });
  await first.push(events[0] ?? new Uint8Array());
  await first.flush();
  const second = await newer.session({ id: "s1" });
  for (const event of events) await second.push(event);
  await second.flush();
  await first.push(toBinary(EventSchema, create(EventSchema, { timeMs: 9n, type: EventType.KEY })));
  await expect(first.flush()).rejects.toMatchObject({ reason: "FENCED" });
  expect(await readBack(server.url, "s1")).toEqual(events.map((event) => Buffer.from(event)));
});

test("an invalid event is kept aside and named, its neighbours are stored, and a changed recording is refused", async () => {
  await using server = await serve();
  const invalid = toBinary(EventSchema, create(EventSchema, { timeMs: 1n }));
  const [before = invalid, after = invalid] = eventsOf(2);
  const recording = recordingOf("s1", [before, invalid, after]);
  const summary = await uploadRecording(recording, { to: { url: server.url } }, never);
  expect(summary).toMatchObject({ durableSeq: 3n, quarantined: 1, problems: [{ seq: 2n, path: "type" }] });
  const error: unknown = await uploadRecording(
    recordingOf("s1", [before, invalid]),
    { to: { url: server.url } },
    never,
  ).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ClientError);
  expect(error).toMatchObject({ code: "conflict", reason: "WATERMARK_AHEAD" });
});
