import { randomBytes } from "node:crypto";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { AppendRequestSchema, UploadRequestSchema } from "../../src/wire/gen/sluice/opaque/v1/opaque_pb.ts";
import { IngestService } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { events } from "../fixtures.ts";
import { Conversation } from "./conversation.ts";
import { type Link, readEvents, refusal, TestDaemon } from "./daemon.ts";
import { envelope, rawGrpc, rawPost } from "./raw-calls.ts";

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

const appendBytes = (session: string, batch: Uint8Array[]) =>
  toBinary(
    AppendRequestSchema,
    create(AppendRequestSchema, { stream: { session }, events: { firstSeq: 1n, events: batch } }),
  );
const openBytes = (session: string) =>
  toBinary(
    UploadRequestSchema,
    create(UploadRequestSchema, { frame: { case: "open", value: { stream: { session } } } }),
  );
const post = (
  method: string,
  type: string,
  body: Parameters<typeof rawPost>[3],
  headers: Record<string, string> = {},
) => rawPost(daemon.url, method, type, body, headers);

describe("bytes that are no message", () => {
  const INVALID_ARGUMENT = 3;
  const RESOURCE_EXHAUSTED = 8;
  const noise = randomBytes(500);

  test("are refused as a unary call, in every encoding, and nothing is stored", async () => {
    const session = fresh();
    const cut = appendBytes(session, events(1, 5)).slice(0, -3);
    for (const bytes of [noise, cut]) {
      expect(await post("IngestService/Append", "application/proto", bytes)).toMatchObject({
        status: 400,
        answer: { code: "invalid_argument" },
      });
      expect(await rawGrpc(daemon.url, "IngestService/Append", envelope(bytes))).toMatchObject({
        status: INVALID_ARGUMENT,
      });
    }
    for (const text of ["", "{", "[]", '{"stream": 1}', '{"events":{"firstSeq":-1}}', "\u0000"]) {
      expect(await post("IngestService/Append", "application/json", text), text).toMatchObject({
        status: 400,
        answer: { code: "invalid_argument" },
      });
    }
    expect(await link.client(IngestService).getWatermark({ stream: { session } })).toMatchObject({ durableSeq: 0n });
  });

  test("end an upload, and what was acked before them stays", async () => {
    const session = fresh();
    const batch = create(UploadRequestSchema, {
      frame: { case: "events", value: { firstSeq: 1n, events: events(1, 5) } },
    });
    const good = [envelope(openBytes(session)), envelope(toBinary(UploadRequestSchema, batch))];
    const answer = await rawGrpc(daemon.url, "IngestService/Upload", Buffer.concat([...good, envelope(noise)]));
    expect(answer.status).toBe(INVALID_ARGUMENT);
    expect(await readEvents(link, session)).toHaveLength(5);
  });

  test("an envelope that ends early is refused, in its header and in its message", async () => {
    const session = fresh();
    const whole = Buffer.concat([envelope(openBytes(session)), envelope(noise)]);
    for (const end of [2, openBytes(session).length, openBytes(session).length + 5 + 3, whole.length - 1]) {
      expect((await rawGrpc(daemon.url, "IngestService/Upload", whole.subarray(0, end))).status).toBe(INVALID_ARGUMENT);
    }
  });

  test("JSON that is no UTF-8 is refused, not mended", async () => {
    const text = Buffer.from('{"stream":{"session":"s","project":"\xff"}}', "latin1");
    expect(await post("IngestService/GetWatermark", "application/json", text)).toMatchObject({
      status: 400,
      answer: { code: "invalid_argument", message: expect.stringContaining("UTF-8") },
    });
  });

  test("a call without a message, or with two where one belongs, is refused", async () => {
    expect((await rawGrpc(daemon.url, "IngestService/Append", Buffer.alloc(0))).status).not.toBe(0);
    const twice = Buffer.concat([
      envelope(appendBytes(fresh(), events(1, 1))),
      envelope(appendBytes(fresh(), events(1, 1))),
    ]);
    expect((await rawGrpc(daemon.url, "IngestService/Append", twice)).status).not.toBe(0);
  });

  test("a message over the limit is refused before it is sent, however it is announced", async () => {
    const head = envelope(Buffer.alloc(0), { length: 1024 * KiB + 1 });
    expect((await rawGrpc(daemon.url, "IngestService/Append", head)).status).toBe(RESOURCE_EXHAUSTED);
    expect((await rawGrpc(daemon.url, "IngestService/Upload", head)).status).toBe(RESOURCE_EXHAUSTED);
    const huge = envelope(Buffer.alloc(0), { length: 0xffff_ffff });
    expect((await rawGrpc(daemon.url, "IngestService/Upload", huge)).status).toBe(RESOURCE_EXHAUSTED);
    const declared = Buffer.alloc(1024 * KiB + 1);
    const refused = { status: 429, answer: { code: "resource_exhausted" } };
    expect(await post("IngestService/Append", "application/proto", declared)).toMatchObject(refused);
    const undeclared = new Blob([declared]).stream();
    expect(await post("IngestService/Append", "application/proto", undeclared)).toMatchObject(refused);
  });

  test("a content type or encoding nobody speaks is refused", async () => {
    const text = await fetch(`${daemon.url}/sluice.v1.IngestService/Append`, { method: "POST", body: "hello" });
    expect(text.status).toBe(415);
    const unknown = await post("IngestService/Append", "application/proto", "", { "content-encoding": "lzma" });
    expect(unknown).toMatchObject({ status: 501, answer: { code: "unimplemented" } });
    const put = await fetch(`${daemon.url}/sluice.v1.IngestService/Append`, { method: "PUT", body: "{}" });
    expect(put.status).toBe(405);
  });

  test("the first frame of an upload that is not Open, a second Open, and a frame of nothing are refused", async () => {
    const early = new Conversation(daemon.link());
    early.events(1n, events(1, 1));
    expect(await refusal(early.opened())).toMatchObject({ code: "InvalidArgument", reason: "BAD_FRAME" });
    const twice = await Conversation.open(daemon.link(), fresh());
    twice.send({ case: "open", value: { stream: { session: fresh() } } });
    expect(await refusal(twice.end())).toMatchObject({ code: "InvalidArgument", reason: "BAD_FRAME" });
    const empty = await Conversation.open(daemon.link(), fresh());
    empty.send({ case: undefined });
    expect(await refusal(empty.end())).toMatchObject({ code: "InvalidArgument", reason: "BAD_FRAME" });
  });
});

describe("compressed bombs", () => {
  const plain = Buffer.alloc(64 * 1024 * KiB);
  const bombs = {
    gzip: gzipSync(plain, { level: 9 }),
    br: brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }),
  };

  test.each(["gzip", "br"] as const)("%s: refused by every kind of call, and memory stays flat", async (encoding) => {
    const bomb = bombs[encoding];
    expect(bomb.length).toBeLessThan(100 * KiB);
    const before = await daemon.sample("process_resident_memory_bytes");
    const unary = () => post("IngestService/Append", "application/proto", bomb, { "content-encoding": encoding });
    const json = () => post("IngestService/Append", "application/json", bomb, { "content-encoding": encoding });
    const grpc = (method: string) =>
      rawGrpc(daemon.url, method, envelope(bomb, { flags: 1 }), { "grpc-encoding": encoding });
    for (let round = 0; round < 5; round++) {
      const waves = await Promise.all(
        Array.from({ length: 10 }, () =>
          Promise.all([unary(), json(), grpc("IngestService/Append"), grpc("IngestService/Upload")]),
        ),
      );
      for (const [first, second, third, fourth] of waves) {
        expect([first.status, second.status, third.status, fourth.status]).toEqual([429, 429, 8, 8]);
      }
    }
    const grown = (await daemon.sample("process_resident_memory_bytes")) - before;
    // Two hundred bombs of 64 MiB each would be 12.5 GiB.
    expect(grown).toBeLessThan(256 * 1024 * KiB);
  });

  test("what only claims to be compressed is refused", async () => {
    const lies = await post("IngestService/Append", "application/proto", randomBytes(100), {
      "content-encoding": "gzip",
    });
    expect(lies.status).toBeGreaterThanOrEqual(400);
    const grpc = await rawGrpc(daemon.url, "IngestService/Append", envelope(randomBytes(100), { flags: 1 }), {
      "grpc-encoding": "br",
    });
    expect(grpc.status).not.toBe(0);
    const unnamed = await rawGrpc(daemon.url, "IngestService/Append", envelope(gzipSync("x"), { flags: 1 }));
    expect(unnamed.status).not.toBe(0);
  });
});
