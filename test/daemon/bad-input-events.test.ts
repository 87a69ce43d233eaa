import { createHash, randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { EventType } from "../../src/wire/gen/sluice/v1/event_pb.ts";
import { IngestService } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { SessionsService } from "../../src/wire/gen/sluice/v1/sessions_pb.ts";
import { event, events } from "../fixtures.ts";
import { Conversation } from "./conversation.ts";
import { append as appendTo, type Link, readBlob, readEvents, refusal, TestDaemon } from "./daemon.ts";
import { rawPost } from "./raw-calls.ts";

const KiB = 1024;

let daemon: TestDaemon;
let link: Link;
let sessions = 0;
const fresh = () => `s${++sessions}`;
beforeAll(async () => {
  daemon = await TestDaemon.start({
    env: {
      SLUICE_LIMITS_MESSAGE_BYTES: "1MiB",
      SLUICE_LIMITS_EVENT_BYTES: "64KiB",
      SLUICE_LIMITS_DEPTH: "20",
    },
  });
  link = daemon.link();
});
afterEach(async () => {
  await daemon.expectWell();
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
});

const append = (session: string, firstSeq: bigint, batch: Uint8Array[]) => appendTo(link, session, firstSeq, batch);
const post = (
  method: string,
  type: string,
  body: Parameters<typeof rawPost>[3],
  headers: Record<string, string> = {},
) => rawPost(daemon.url, method, type, body, headers);

describe("events that are not as they should be", () => {
  test("one that is too large is kept aside and named, its neighbours are stored", async () => {
    const session = fresh();
    const large = event(2, { rawJson: `"${"x".repeat(65 * KiB)}"` });
    expect(await append(session, 1n, [event(1), large, event(3)])).toMatchObject({
      durableSeq: 3n,
      stored: 2,
      quarantined: [{ seq: 2n, path: "", reason: expect.stringContaining("65536") }],
    });
    expect((await readEvents(link, session)).map(({ seq }) => seq)).toEqual([1n, 3n]);
  });

  test("raw JSON that nests too deep is kept aside; at the limit it is stored", async () => {
    const nested = (depth: number) => event(1, { rawJson: `${"[".repeat(depth)}"]"${"]".repeat(depth)}` });
    expect(await append(fresh(), 1n, [nested(20), nested(21), nested(10_000)])).toMatchObject({
      stored: 1,
      quarantined: [
        { seq: 2n, path: "raw_json" },
        { seq: 3n, path: "raw_json" },
      ],
    });
  });

  test("a JSON request that nests too deep is an error, in what is known and in what is not", async () => {
    const deep = (open: string, close: string, depth = 100_000) => open.repeat(depth) + close.repeat(depth);
    const session = fresh();
    for (const body of [
      deep("[", "]"),
      `{"unknown":${deep("[", "]")}}`,
      `{"unknown":${deep('{"a":', "}").replace("}", "1}")}}`,
      `{"stream":${deep("[", "]")}}`,
      `{"stream":{"session":"${session}"},"events":{"firstSeq":1,"events":[{"timeMs":1,"type":1,"other":${deep("[", "]", 21)}}]}}`,
    ]) {
      const { status, answer } = await post("IngestService/Append", "application/json", body);
      expect({ status, answer }, body.slice(0, 60)).toMatchObject({
        status: 400,
        answer: { code: "invalid_argument" },
      });
    }
    expect(await link.client(IngestService).getWatermark({ stream: { session } })).toMatchObject({ durableSeq: 0n });
  });

  test("an upload is told which of its events were kept aside, and why, each once", async () => {
    const upload = await Conversation.open(daemon.link(), fresh());
    const bad = event(2, { type: EventType.CUSTOM });
    upload.events(1n, [event(1), bad, Uint8Array.of(0xff), event(4)]);
    const told = [];
    for (let durable = 0n; durable < 4n; ) {
      const ack = await upload.ack();
      durable = ack.durableSeq;
      told.push(...ack.quarantined);
    }
    expect(told).toMatchObject([
      { seq: 2n, path: "custom_type", reason: expect.stringContaining("required") },
      { seq: 3n, path: "" },
    ]);
    expect(await upload.end()).toEqual([]);
  });

  test("ids that no id may be are refused", async () => {
    for (const session of ["", "../x", "a/b", "é", "x".repeat(129), ".hidden", "a b", "a\u0000b"]) {
      expect(await refusal(append(session, 1n, events(1, 1))), session).toMatchObject({ reason: "BAD_ID" });
      expect(await refusal(link.client(SessionsService).getSession({ session })), session).toMatchObject({
        reason: "BAD_ID",
      });
    }
    const stream = { session: fresh(), stream: "../main" };
    expect(await refusal(link.client(IngestService).getWatermark({ stream }))).toMatchObject({ reason: "BAD_ID" });
    const project = { session: fresh(), project: "../default" };
    expect(await refusal(link.client(IngestService).getWatermark({ stream: project }))).toMatchObject({
      reason: "BAD_ID",
    });
  });

  test("sequence numbers past what is countable are refused", async () => {
    for (const firstSeq of [0n, 2n ** 53n, 2n ** 64n - 1n]) {
      const { code } = await refusal(append(fresh(), firstSeq, events(1, 1)));
      expect(["InvalidArgument", "OutOfRange"]).toContain(code);
    }
  });
});

describe("the order of events", () => {
  test("a gap is refused with the number expected, and an upload goes on after it reconnects there", async () => {
    const session = fresh();
    await append(session, 1n, events(1, 3));
    expect(await refusal(append(session, 5n, events(5, 1)))).toMatchObject({
      code: "OutOfRange",
      reason: "OUT_OF_RANGE",
    });
    const upload = await Conversation.open(daemon.link(), session);
    upload.events(4n, events(4, 1));
    upload.events(6n, events(6, 1));
    await upload.durable(4n);
    expect(await refusal(upload.end())).toMatchObject({ code: "OutOfRange", message: expect.stringContaining("is 5") });
    const again = new Conversation(daemon.link());
    again.send({ case: "open", value: { stream: { session } } });
    expect(await again.opened()).toMatchObject({ durableSeq: 4n });
    again.events(5n, events(5, 2));
    await again.durable(6n);
    await again.end();
    expect((await readEvents(link, session)).map(({ seq }) => seq)).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
  });

  test("other bytes at a stored number are a conflict and change nothing; the same bytes are acked", async () => {
    const session = fresh();
    await append(session, 1n, events(1, 3));
    expect(await refusal(append(session, 2n, [event(99), event(3), event(4)]))).toMatchObject({
      code: "AlreadyExists",
      reason: "CONFLICT",
    });
    const upload = await Conversation.open(daemon.link(), session);
    upload.events(1n, events(1, 3));
    upload.events(3n, [event(3), event(4)]);
    await upload.durable(4n);
    upload.events(4n, [event(5)]);
    expect(await refusal(upload.end())).toMatchObject({ code: "AlreadyExists", reason: "CONFLICT" });
    expect((await readEvents(link, session)).map(({ event: bytes }) => bytes)).toEqual(
      events(1, 4).map((bytes) => Buffer.from(bytes)),
    );
  });

  test("after the seal resends are acked and new events are refused", async () => {
    const session = fresh();
    await append(session, 1n, events(1, 3));
    const seal = { session, seal: { streams: [{ lastSeq: 3n }] } };
    const first = await link.client(IngestService).seal(seal);
    expect(await link.client(IngestService).seal(seal)).toEqual(first);
    expect(await append(session, 2n, events(2, 2))).toMatchObject({ duplicate: 2, durableSeq: 3n });
    expect(await refusal(append(session, 4n, events(4, 1)))).toMatchObject({
      code: "FailedPrecondition",
      reason: "SEALED",
    });
    const upload = new Conversation(daemon.link());
    upload.send({ case: "open", value: { stream: { session } } });
    expect(await upload.opened()).toMatchObject({ durableSeq: 3n, sealed: true });
    upload.events(1n, events(1, 3));
    upload.events(4n, events(4, 1));
    expect(await refusal(upload.end())).toMatchObject({ reason: "SEALED" });
    const other = new Conversation(daemon.link());
    other.send({ case: "open", value: { stream: { session, stream: "late" } } });
    expect(await refusal(other.opened())).toMatchObject({ reason: "SEALED" });
  });
});

describe("blobs that are not as they should be", () => {
  const blobOf = (data: Buffer) => ({
    blobId: createHash("sha256").update(data).digest("hex"),
    size: BigInt(data.length),
    data,
    mediaType: "image/png",
  });

  test("one whose bytes don't hash to its name is refused and forgotten, and right bytes are taken", async () => {
    const right = randomBytes(100 * KiB);
    const { putBlob, missingBlobs } = link.client(IngestService);
    const chunk = blobOf(right);
    const wrong = Buffer.from(right);
    wrong[7] = (wrong[7] ?? 0) ^ 1;
    expect(await refusal(putBlob({ chunk: { ...chunk, data: wrong } }))).toMatchObject({
      code: "DataLoss",
      reason: "BLOB_MISMATCH",
    });
    expect((await missingBlobs({ blobIds: [chunk.blobId] })).missing).toMatchObject([{ received: 0n }]);
    expect(await refusal(readBlob(link, chunk.blobId))).toMatchObject({ code: "NotFound" });
    expect((await putBlob({ chunk })).status).toMatchObject({ stored: true });
    expect((await readBlob(link, chunk.blobId)).equals(right)).toBe(true);
  });

  test("an upload is told of it and goes on, with its events and with the blob", async () => {
    const upload = await Conversation.open(daemon.link(), fresh());
    const chunk = blobOf(randomBytes(50 * KiB));
    upload.send({ case: "blobChunk", value: { ...chunk, data: randomBytes(50 * KiB) } });
    expect((await upload.ack()).blobs).toMatchObject([
      { blobId: chunk.blobId, received: 0n, stored: false, error: expect.stringMatching(/./) },
    ]);
    upload.events(1n, events(1, 2));
    await upload.durable(2n);
    upload.send({ case: "blobChunk", value: chunk });
    expect((await upload.ack()).blobs).toMatchObject([{ blobId: chunk.blobId, stored: true, error: "" }]);
    expect(await upload.end()).toEqual([]);
  });

  test.each([
    ["no hash for a name", { blobId: "no-hash" }, "BAD_ID"],
    ["a name that leads elsewhere", { blobId: `../../${"a".repeat(58)}` }, "BAD_ID"],
    ["no bytes", { data: Buffer.alloc(0) }, "BAD_CHUNK"],
    ["more bytes than its size", { size: 3n }, "BAD_CHUNK"],
    ["an offset past its end", { offset: 1_000_000n }, "BAD_CHUNK"],
    ["an offset that is not where it is", { offset: 5n, size: 100_000n }, "BLOB_OFFSET"],
    ["no media type", { mediaType: "" }, "BAD_MEDIA_TYPE"],
    ["a media type with a header in it", { mediaType: "image/png\r\nx: y" }, "BAD_MEDIA_TYPE"],
    ["a size past what is countable", { size: 2n ** 63n }, "BLOB_TOO_LARGE"],
  ])("one with %s is refused, unary and in an upload that goes on", async (_what, change, reason) => {
    const chunk = { ...blobOf(randomBytes(1_000)), ...change };
    expect(await refusal(link.client(IngestService).putBlob({ chunk }))).toMatchObject({ reason });
    const upload = await Conversation.open(daemon.link(), fresh());
    upload.send({ case: "blobChunk", value: chunk });
    expect((await upload.ack()).blobs).toMatchObject([
      { blobId: chunk.blobId, stored: false, error: expect.stringMatching(/./) },
    ]);
    upload.events(1n, events(1, 1));
    await upload.durable(1n);
    expect(await upload.end()).toEqual([]);
  });

  test("more names than may be asked for at once are refused", async () => {
    const blobIds = Array.from({ length: 1_001 }, (_, index) => index.toString(16).padStart(64, "0"));
    expect(await refusal(link.client(IngestService).missingBlobs({ blobIds }))).toMatchObject({
      reason: "TOO_MANY_IDS",
    });
  });
});
