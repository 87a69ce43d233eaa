import { randomBytes } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { UploadRequestSchema } from "../../src/wire/gen/sluice/opaque/v1/opaque_pb.ts";
import { IngestService } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { SessionsService } from "../../src/wire/gen/sluice/v1/sessions_pb.ts";
import { event, events } from "../fixtures.ts";
import { Conversation } from "./conversation.ts";
import { append, eventually, type Link, refusal, TestDaemon } from "./daemon.ts";
import { envelope, openSession, rawPost, startGrpc } from "./raw-calls.ts";
import { openSocket, readAll } from "./transport.ts";

const KiB = 1024;
const DEADLINE_EXCEEDED = 4;

let daemon: TestDaemon;
let link: Link;
let sessions = 0;
const fresh = () => `s${++sessions}`;
const start = (limits: Record<string, string>) => async () => {
  daemon = await TestDaemon.start({ env: limits });
  link = daemon.link();
};
const stop = async () => {
  await daemon[Symbol.asyncDispose]();
};
const frame = (value: Parameters<typeof create<typeof UploadRequestSchema>>[1]) =>
  envelope(toBinary(UploadRequestSchema, create(UploadRequestSchema, value)));
const open = (session: string) => frame({ frame: { case: "open", value: { stream: { session } } } });
const batch = (firstSeq: bigint, list: Uint8Array[]) =>
  frame({ frame: { case: "events", value: { firstSeq, events: list } } });

describe("sizes", () => {
  beforeAll(
    start({
      SLUICE_LIMITS_BATCH_EVENTS: "10",
      SLUICE_LIMITS_SESSION_BYTES: "64KiB",
      SLUICE_LIMITS_STREAMS_PER_SESSION: "2",
      SLUICE_LIMITS_BLOB_BYTES: "64KiB",
      SLUICE_LIMITS_MESSAGE_BYTES: "256KiB",
      SLUICE_LIMITS_EVENT_BYTES: "64KiB",
    }),
  );
  afterEach(async () => {
    await daemon.expectWell();
  });
  afterAll(stop);
  const exhausted = (reason: string) => ({ code: "ResourceExhausted", reason });

  test("a collector is told at Open what is accepted", async () => {
    const upload = new Conversation(link);
    upload.send({ case: "open", value: { stream: { session: fresh() } } });
    expect((await upload.opened()).limits).toMatchObject({
      messageBytes: 262_144n,
      eventBytes: 65_536n,
      batchEvents: 10,
      blobBytes: 65_536n,
    });
    await upload.end();
  });

  test("a batch of too many events is refused whole", async () => {
    const session = fresh();
    expect(await refusal(append(link, session, 1n, events(1, 11)))).toMatchObject(exhausted("BATCH_TOO_LARGE"));
    const upload = await Conversation.open(link, session);
    upload.events(1n, events(1, 10));
    upload.events(11n, events(11, 11));
    await upload.durable(10n);
    expect(await refusal(upload.end())).toMatchObject(exhausted("BATCH_TOO_LARGE"));
  });

  test("a session that would become too large is refused, what it has stays, and resends are acked", async () => {
    const session = fresh();
    const large = (n: number) => event(n, { rawJson: `"${"x".repeat(30 * KiB)}"` });
    expect(await append(link, session, 1n, [large(1), large(2)])).toMatchObject({ stored: 2 });
    expect(await refusal(append(link, session, 3n, [large(3)]))).toMatchObject(exhausted("SESSION_TOO_LARGE"));
    expect(await append(link, session, 1n, [large(1), large(2)])).toMatchObject({ duplicate: 2 });
    expect(await refusal(append(link, session, 1n, [large(1)], "b"))).toMatchObject(exhausted("SESSION_TOO_LARGE"));
    expect(await append(link, session, 3n, [event(3)])).toMatchObject({ durableSeq: 3n });
  });

  test("a session of too many streams is refused the next one", async () => {
    const session = fresh();
    for (const stream of ["a", "b"]) await (await Conversation.open(link, session, stream)).end();
    const third = new Conversation(link);
    third.send({ case: "open", value: { stream: { session, stream: "c" } } });
    expect(await refusal(third.opened())).toMatchObject(exhausted("TOO_MANY_STREAMS"));
  });

  test("a blob that is too large is refused at its first chunk, and an upload goes on without it", async () => {
    const chunk = { blobId: "a".repeat(64), size: 65_537n, data: randomBytes(100), mediaType: "image/png" };
    expect(await refusal(link.client(IngestService).putBlob({ chunk }))).toMatchObject(exhausted("BLOB_TOO_LARGE"));
    const upload = await Conversation.open(link, fresh());
    upload.send({ case: "blobChunk", value: chunk });
    expect((await upload.ack()).blobs).toMatchObject([{ stored: false, error: expect.stringContaining("65536") }]);
    upload.events(1n, events(1, 1));
    await upload.durable(1n);
    await upload.end();
  });

  test("headers past the limit are refused", async () => {
    const { status } = await rawPost(daemon.url, "IngestService/GetWatermark", "application/json", "{}", {
      "x-long": "x".repeat(40 * KiB),
    }).catch(() => ({ status: 431 }));
    expect(status).toBe(431);
    using session = openSession(daemon.url);
    const { answer } = startGrpc(session, "IngestService/Upload", { "x-long": "x".repeat(40 * KiB) });
    expect((await answer).status).toBeUndefined();
  });
});

describe("numbers", () => {
  beforeAll(
    start({
      SLUICE_LIMITS_OPEN_SESSIONS_PER_PROJECT: "3",
      SLUICE_LIMITS_STREAMS_PER_KEY: "4",
      SLUICE_LIMITS_REQUESTS_PER_SECOND: "40",
    }),
  );
  afterAll(stop);
  // Not expectWell: it would need a session of its own.
  afterEach(async () => {
    await eventually(async () => expect(await daemon.sample("sluice_budget_used_bytes")).toBe(0));
  });

  test("open sessions: the next one is refused with when to come back, and let in when one is sealed", async () => {
    const names = [fresh(), fresh(), fresh()];
    for (const name of names) await append(link, name, 1n, events(1, 1));
    const refused = await refusal(append(link, "one-more", 1n, events(1, 1)));
    expect(refused).toMatchObject({ code: "ResourceExhausted", reason: "TOO_MANY_OPEN_SESSIONS" });
    expect(refused.retryMs).toBeGreaterThan(0);
    expect(await append(link, names[0] ?? "", 2n, events(2, 1)), "open ones go on").toMatchObject({ stored: 1 });
    await link.client(IngestService).seal({ session: names[0] ?? "", seal: { streams: [{ lastSeq: 2n }] } });
    expect(await append(link, "one-more", 1n, events(1, 1))).toMatchObject({ stored: 1 });
  });

  test("calls open at once of one key: the next is refused with when to come back, other keys are not", async () => {
    const key = (await daemon.createKey(["ingest"], ["--project", "calls"])).secret;
    const mine = daemon.link({ key });
    const uploads: Conversation[] = [];
    for (let n = 0; n < 4; n++) uploads.push(await Conversation.open(mine, "s1", `t${n}`));
    const fifth = new Conversation(mine);
    fifth.send({ case: "open", value: { stream: { session: "s1", stream: "t5" } } });
    const refused = await refusal(fifth.opened());
    expect(refused).toMatchObject({ code: "ResourceExhausted", reason: "TOO_MANY_CALLS" });
    expect(refused.retryMs).toBeGreaterThan(0);
    expect(await link.client(IngestService).getWatermark({ stream: { session: "s1" } })).toMatchObject({});
    await uploads.pop()?.end();
    uploads.pop()?.reset();
    await eventually(async () => {
      const again = await Conversation.open(mine, "s1", "t0");
      await again.end();
    });
    for (const upload of uploads) await upload.end().catch(() => undefined);
  });

  test("calls a second: the next is refused with when to come back, and served then", async () => {
    const key = (await daemon.createKey(["read"])).secret;
    const { listSessions } = daemon.link({ key }).client(SessionsService);
    const outcomes = await Promise.allSettled(Array.from({ length: 120 }, () => listSessions({})));
    const refused = outcomes.filter((outcome) => outcome.status === "rejected");
    expect(refused.length).toBeGreaterThan(0);
    const limited = refused.map(({ reason }) => refusal(Promise.reject(reason)));
    for (const each of await Promise.all(limited)) {
      // Served ones hold their places as well: either limit may be the one that is met.
      expect(["RATE_LIMITED", "TOO_MANY_CALLS"]).toContain(each.reason);
      expect(each.retryMs).toBeGreaterThan(0);
      expect(each.retryMs).toBeLessThanOrEqual(1_000);
    }
    await eventually(() => listSessions({}));
  });
});

describe("times", () => {
  beforeAll(
    start({
      SLUICE_LIMITS_MESSAGE_DEADLINE: "400ms",
      SLUICE_LIMITS_ACK_STALL: "400ms",
      SLUICE_LIMITS_STREAM_IDLE: "1s",
      SLUICE_LIMITS_CALL_DEADLINE: "2s",
    }),
  );
  afterEach(async () => {
    await daemon.expectWell();
  });
  afterAll(stop);

  test("a message that comes a byte at a time is cut off, and what came whole before is stored", async () => {
    using session = openSession(daemon.url);
    const name = fresh();
    const { stream, answer } = startGrpc(session, "IngestService/Upload");
    stream.write(Buffer.concat([open(name), batch(1n, events(1, 2))]));
    const slow = batch(3n, events(3, 500));
    let at = 0;
    const timer = setInterval(() => stream.writable && stream.write(slow.subarray(at, ++at)), 50);
    const ended = await answer;
    clearInterval(timer);
    expect(ended).toMatchObject({ status: DEADLINE_EXCEEDED, message: expect.stringContaining("400 ms") });
    expect(await link.client(IngestService).getWatermark({ stream: { session: name } })).toMatchObject({
      durableSeq: 2n,
    });
  });

  test("so is a unary body over HTTP/1.1 and one whose end never comes", async () => {
    for (const body of ["{", ""]) {
      await using socket = await openSocket(daemon.port);
      const head = [
        "POST /sluice.v1.IngestService/GetWatermark HTTP/1.1",
        `Host: 127.0.0.1:${daemon.port}`,
        "Content-Type: application/json",
        "Content-Length: 100",
      ];
      socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
      const timer = setInterval(() => socket.writable && socket.write(" "), 50);
      const text = (await readAll(socket)).toString();
      clearInterval(timer);
      expect(text).toMatch(/^HTTP\/1\.1 (408|504) /);
    }
  });

  test("a header of a message that never goes on is cut off as well", async () => {
    using session = openSession(daemon.url);
    const { stream, answer } = startGrpc(session, "IngestService/Upload");
    stream.write(open(fresh()));
    stream.write(Buffer.of(0, 0));
    expect(await answer).toMatchObject({ status: DEADLINE_EXCEEDED });
  });

  test("an upload that says nothing for too long is ended, and keeps what was acked", async () => {
    const name = fresh();
    const upload = await Conversation.open(daemon.link(), name);
    upload.events(1n, events(1, 1));
    await upload.durable(1n);
    expect(await refusal(upload.ack())).toMatchObject({
      code: "DeadlineExceeded",
      message: expect.stringContaining("1000 ms"),
    });
  });

  test("an upload whose sender reads no ack is cut off, and all it sent is stored", async () => {
    using session = openSession(daemon.url, { settings: { initialWindowSize: 0 } });
    const name = fresh();
    const { stream, answer } = startGrpc(session, "IngestService/Upload");
    stream.pause();
    stream.write(open(name));
    for (let n = 0; n < 20; n++) stream.write(batch(BigInt(n * 10 + 1), events(n * 10 + 1, 10)));
    expect((await answer).status).toBeUndefined();
    const watermark = () => link.client(IngestService).getWatermark({ stream: { session: name } });
    await eventually(async () => expect((await watermark()).durableSeq).toBe(200n));
  });

  test("a reader that stops reading is cut off", async () => {
    const name = fresh();
    const rich = Array.from({ length: 100 }, (_, n) =>
      event(n + 1, { rawJson: `"${randomBytes(10_000).toString("hex")}"` }),
    );
    await append(link, name, 1n, rich);
    using session = openSession(daemon.url, { settings: { initialWindowSize: 1_000 } });
    const { stream, answer } = startGrpc(session, "SessionsService/ReadEvents");
    stream.pause();
    stream.end(envelope(Buffer.concat([Buffer.of(0x12, name.length), Buffer.from(name)])));
    expect((await answer).status).toBeUndefined();
  });
});
