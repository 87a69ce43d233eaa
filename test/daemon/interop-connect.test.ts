import { createHash, randomBytes } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import {
  compressionBrotli,
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EventSchema, EventType } from "../../src/wire/gen/sluice/v1/event_pb.ts";
import { IngestService, type UploadRequestSchema } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { SessionsService } from "../../src/wire/gen/sluice/v1/sessions_pb.ts";
import { refusal, TestDaemon } from "./daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
});
afterAll(async () => {
  await using done = daemon;
  await done.expectWell();
});

const gzip = { sendCompression: compressionGzip, compressMinBytes: 0 };
const brotli = { sendCompression: compressionBrotli, compressMinBytes: 0, acceptCompression: [compressionBrotli] };

/** Every protocol over every HTTP it runs on, in both encodings, plain and compressed both ways. */
const TRANSPORTS: readonly [name: string, open: (baseUrl: string) => Transport, bidi: boolean][] = [
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl }), true],
  ["gRPC, JSON", (baseUrl) => createGrpcTransport({ baseUrl, useBinaryFormat: false }), true],
  ["gRPC, gzip", (baseUrl) => createGrpcTransport({ baseUrl, ...gzip }), true],
  ["gRPC, brotli", (baseUrl) => createGrpcTransport({ baseUrl, ...brotli }), true],
  ...(["1.1", "2"] as const).flatMap((httpVersion) => {
    const bidi = httpVersion === "2";
    const more: [string, { useBinaryFormat?: boolean } & Partial<typeof brotli | typeof gzip>][] = [
      ["", {}],
      [", JSON", { useBinaryFormat: false }],
      [", gzip", gzip],
      [", JSON, brotli", { ...brotli, useBinaryFormat: false }],
    ];
    return more.flatMap(([suffix, options]): [string, (baseUrl: string) => Transport, boolean][] => [
      [
        `gRPC-Web, HTTP/${httpVersion}${suffix}`,
        (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion, ...options }),
        bidi,
      ],
      [
        `Connect, HTTP/${httpVersion}${suffix}`,
        (baseUrl) => createConnectTransport({ baseUrl, httpVersion, useBinaryFormat: true, ...options }),
        bidi,
      ],
    ]);
  }),
];

describe.each(TRANSPORTS)("connect-node by %s", (name, open, bidi) => {
  const session = name.replace(/[^A-Za-z0-9]+/g, "-");
  const event = (n: number, screenshots: { blobId: string }[] = []) =>
    create(EventSchema, {
      timeMs: BigInt(n),
      type: EventType.INPUT,
      page: { url: "https://shop.test/", title: "漢".repeat(50) },
      screenshots,
      rawJson: JSON.stringify({ n, text: "x".repeat(2_000) }),
    });

  test("appends, puts a blob, seals and reads all of it back", async () => {
    const transport = open(daemon.url);
    const ingest = createClient(IngestService, transport);
    const sessions = createClient(SessionsService, transport);
    const image = randomBytes(400_000);
    const blobId = createHash("sha256").update(image).digest("hex");
    const sent = [event(1), event(2), event(3, [{ blobId }])];
    expect(await ingest.append({ stream: { session }, events: { firstSeq: 1n, events: sent } })).toMatchObject({
      durableSeq: 3n,
      stored: 3,
    });
    expect(await ingest.append({ stream: { session }, events: { firstSeq: 1n, events: sent } })).toMatchObject({
      duplicate: 3,
      stored: 0,
    });
    const streams = [{ stream: "main", lastSeq: 3n }];
    expect(await refusal(ingest.seal({ session, seal: { streams } }))).toMatchObject({ reason: "MISSING_BLOBS" });
    const size = BigInt(image.length);
    const half = { blobId, size, data: image.subarray(0, 200_000), mediaType: "image/png" };
    expect((await ingest.putBlob({ chunk: half })).status).toMatchObject({ received: 200_000n, stored: false });
    const rest = { blobId, size, offset: 200_000n, data: image.subarray(200_000), mediaType: "image/png" };
    expect((await ingest.putBlob({ chunk: rest })).status).toMatchObject({ received: size, stored: true });
    expect((await ingest.seal({ session, seal: { streams } })).sealed).toMatchObject({ missingBlobs: [] });

    const read = [];
    for await (const page of sessions.readEvents({ session })) read.push(...page.events);
    expect(read.map((each) => each.event)).toEqual(sent);
    const bytes: Uint8Array[] = [];
    for await (const { data } of sessions.readBlob({ blobId })) bytes.push(data);
    expect(Buffer.concat(bytes).equals(image)).toBe(true);
    const tailed = [];
    for await (const page of sessions.tail({ session })) tailed.push(page);
    expect(tailed.at(-1)).toMatchObject({ sealed: true });
  });

  // Over HTTP/1.1 a call is sent whole before it is answered.
  if (bidi)
    test("uploads with acks while it sends", async () => {
      const ingest = createClient(IngestService, open(daemon.url));
      const acked = Promise.withResolvers<void>();
      async function* frames(): AsyncGenerator<MessageInitShape<typeof UploadRequestSchema>> {
        yield { frame: { case: "open", value: { stream: { session: `${session}-up` } } } };
        yield { frame: { case: "events", value: { firstSeq: 1n, events: [event(1)] } } };
        // Only an ack that comes while the call is open lets it go on.
        await acked.promise;
        yield { frame: { case: "events", value: { firstSeq: 2n, events: [event(2)] } } };
        yield { frame: { case: "seal", value: {} } };
      }
      const told: unknown[] = [];
      for await (const { frame } of ingest.upload(frames())) {
        told.push(frame.case);
        if (frame.case === "ack") acked.resolve();
      }
      expect(told).toEqual(["opened", "ack", "ack", "sealed"]);
    });

  test("reads why it was refused, with details", async () => {
    const ingest = createClient(IngestService, open(daemon.url));
    const gap = ingest.append({ stream: { session: `${session}-gap` }, events: { firstSeq: 5n, events: [event(1)] } });
    expect(await refusal(gap)).toMatchObject({ code: "OutOfRange", reason: "OUT_OF_RANGE" });
  });
});
