import { execFile, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fromBinary } from "@bufbuild/protobuf";
import { credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { AppendRequestSchema } from "../../src/wire/gen/sluice/opaque/v1/opaque_pb.ts";
import { Certificates } from "./certificates.ts";
import { readBlob, readEvents, TestDaemon } from "./daemon.ts";
import { GrpcJsClient, serialize } from "./grpc-js.ts";

const run = promisify(execFile);
const buf = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));
const CREATED = z.object({ key: z.object({ id: z.string() }) });
const has = (tool: string) => spawnSync(tool, ["--version"]).status === 0;

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start({ env: { SLUICE_LIMITS_REQUESTS_PER_SECOND: "100000" } });
});
afterAll(async () => {
  await using done = daemon;
  await done.expectWell();
});

/** As a collector in another language would have it: plain objects, an enum by name, numbers. */
function click(n: number) {
  return {
    id: `c${n}`,
    timeMs: 1_700_000_000_000 + n,
    type: "EVENT_TYPE_CLICK",
    page: { url: "https://shop.test/ä?q=漢", title: "Shop 😀", viewportWidth: 1280, devicePixelRatio: 1.5 },
    target: { selectors: [{ kind: "SELECTOR_KIND_CSS", value: "#buy", reliability: 0.9 }], tag: "button" },
    pointer: { x: 1.25, y: -3, clicks: 1 },
    rawJson: '{"a":[1,2]}',
  };
}

/** The bytes of each event as the encoder of @grpc/grpc-js's own loader makes them. */
function encoded(events: readonly object[]): Buffer[] {
  const request = serialize("IngestService", "Append", { stream: { session: "s" }, events: { firstSeq: 1, events } });
  return (fromBinary(AppendRequestSchema, request).events?.events ?? []).map((event) => Buffer.from(event));
}

describe("@grpc/grpc-js", () => {
  test("streams a session with a screenshot over Upload and reads it back as it was", async () => {
    using client = new GrpcJsClient(daemon.url);
    const image = randomBytes(300_000);
    const blobId = createHash("sha256").update(image).digest("hex");
    const screenshot = { blobId, phase: "SCREENSHOT_PHASE_BEFORE", width: 10, height: 20 };
    const events = Array.from({ length: 40 }, (_, n) =>
      n === 7 ? { ...click(n), screenshots: [screenshot] } : click(n),
    );

    const call = client.upload();
    const answers = call[Symbol.asyncIterator]();
    call.write({
      open: { stream: { session: "grpc-js" }, session: { task: "buy", labels: [{ name: "a", value: "b" }] } },
    });
    expect((await answers.next()).value).toMatchObject({ frame: "opened", opened: { durableSeq: "0", sealed: false } });
    for (let at = 0; at < 40; at += 10) call.write({ events: { firstSeq: at + 1, events: events.slice(at, at + 10) } });
    for (let at = 0; at < image.length; at += 100_000) {
      const data = image.subarray(at, at + 100_000);
      call.write({ blobChunk: { blobId, size: image.length, offset: at, data, mediaType: "image/png" } });
    }
    call.write({ seal: {} });
    call.end();
    const told: unknown[] = [];
    for await (const answer of answers) told.push(answer);
    expect(told.at(-2)).toMatchObject({ frame: "ack", ack: { durableSeq: "40" } });
    expect(told.at(-1)).toMatchObject({ frame: "sealed", sealed: { missingBlobs: [] } });

    using link = daemon.link();
    expect((await readEvents(link, "grpc-js")).map(({ event }) => event)).toEqual(encoded(events));
    expect((await readBlob(link, blobId)).equals(image)).toBe(true);
    const pages: unknown[] = [];
    for await (const page of client.serverStream("SessionsService", "ReadEvents", { session: "grpc-js" }))
      pages.push(page);
    expect(pages.flatMap((page) => Object.values(page ?? {}).flat())).toHaveLength(40);
    expect(await client.unary("SessionsService", "GetSession", { session: "grpc-js" })).toMatchObject({
      session: { events: "40", status: "SESSION_STATUS_SEALED", info: { task: "buy" } },
    });
  });

  test("sees why it was refused: a code, and details it can read", async () => {
    using client = new GrpcJsClient(daemon.url);
    const gap = client.unary("IngestService", "Append", {
      stream: { session: "gap" },
      events: { firstSeq: 2, events: [click(1)] },
    });
    await expect(gap).rejects.toMatchObject({
      code: 11,
      details: expect.stringContaining("next sequence number is 1"),
    });
    const error: unknown = await gap.catch((thrown: unknown) => thrown);
    expect(String(JSON.stringify(error))).toContain("grpc-status-details-bin");
  });

  test("sees an event that is invalid named in the ack, and the next ones stored", async () => {
    using client = new GrpcJsClient(daemon.url);
    const events = [click(1), { ...click(2), type: "EVENT_TYPE_CUSTOM" }, click(3)];
    const append = { stream: { session: "invalid" }, events: { firstSeq: 1, events } };
    expect(await client.unary("IngestService", "Append", append)).toMatchObject({
      durableSeq: "3",
      stored: 2,
      quarantined: [{ seq: "2", path: "custom_type" }],
    });
  });
});

describe("buf curl, knowing only the address", () => {
  const json = JSON.stringify;
  const curl = async (protocol: string, method: string, ...messages: object[]) => {
    const options = [
      "--http2-prior-knowledge",
      "--protocol",
      protocol,
      "--data",
      messages.map((each) => json(each)).join("\n"),
    ];
    const { stdout } = await run(buf, ["curl", ...options, `${daemon.url}/sluice.v1.${method}`]);
    return stdout
      .split(/(?<=^})$/m)
      .filter((text) => text.trim() !== "")
      .map((text): unknown => JSON.parse(text));
  };

  test.each(["grpc", "grpcweb", "connect"])("uploads, appends and reads by %s", async (protocol) => {
    const session = `buf-${protocol}`;
    const events = Array.from({ length: 4 }, (_, n) => click(n));
    const told = await curl(
      protocol,
      "IngestService/Upload",
      { open: { stream: { session }, session: { task: "by hand" } } },
      { events: { firstSeq: 1, events: events.slice(0, 1) } },
      { events: { firstSeq: 2, events: events.slice(1, 3) } },
    );
    expect(told[0]).toMatchObject({ opened: { creditBytes: expect.any(String) } });
    expect(told.at(-1)).toMatchObject({ ack: { durableSeq: "3" } });
    const append = { stream: { session }, events: { firstSeq: 3, events: events.slice(2) } };
    expect(await curl(protocol, "IngestService/Append", append)).toEqual([
      { durableSeq: "4", stored: 1, duplicate: 1 },
    ]);
    const pages = await curl(protocol, "SessionsService/ReadEvents", { session, fromSeq: 4 });
    expect(pages).toMatchObject([
      { events: [{ stream: "main", seq: "4", event: { id: "c3", type: "EVENT_TYPE_CLICK" } }] },
    ]);
    const seal = { session, seal: { streams: [{ lastSeq: 4 }] } };
    expect(await curl(protocol, "IngestService/Seal", seal)).toMatchObject([
      { sealed: { version: expect.any(String) } },
    ]);
    const tail = await curl(protocol, "SessionsService/Tail", { session });
    expect(tail.at(-1)).toEqual({ sealed: true });
  });
});

describe("curl with JSON over HTTP/1.1", () => {
  const post = async (method: string, body: object, more: readonly string[] = []) => {
    const request = ["-sS", "--http1.1", "-H", "Content-Type: application/json", "--data-binary", JSON.stringify(body)];
    const { stdout } = await run("curl", [
      ...request,
      ...more,
      "-w",
      "\n%{http_code}",
      `${daemon.url}/sluice.v1.${method}`,
    ]);
    const [answer = "", status] = stdout.split(/\n(?=\d+$)/);
    const parsed: unknown = JSON.parse(answer);
    return { status: Number(status), answer: parsed };
  };
  /** A call that answers with many messages, in Connect's envelopes; the last one is how it ended. */
  const stream = async (method: string, body: object): Promise<unknown[]> => {
    const text = Buffer.from(JSON.stringify(body));
    const head = Buffer.alloc(5);
    head.writeUInt32BE(text.length, 1);
    const file = join(daemon.directory, "request.bin");
    await writeFile(file, Buffer.concat([head, text]));
    const request = ["-sS", "--http1.1", "-H", "Content-Type: application/connect+json", "--data-binary", `@${file}`];
    const { stdout } = await run("curl", [...request, `${daemon.url}/sluice.v1.${method}`], { encoding: "buffer" });
    const messages: unknown[] = [];
    for (let at = 0; at < stdout.length; ) {
      const length = stdout.readUInt32BE(at + 1);
      messages.push(JSON.parse(stdout.subarray(at + 5, at + 5 + length).toString()));
      at += 5 + length;
    }
    return messages;
  };

  test("calls every unary method", async (context) => {
    if (!has("curl")) return context.skip("curl is not installed");
    const session = "curl";
    const data = Buffer.from("a picture");
    const blobId = createHash("sha256").update(data).digest("hex");
    const events = [{ ...click(0), screenshots: [{ blobId }] }, click(1)];
    const ref = { stream: { session } };
    const ingest = (method: string, body: object) => post(`IngestService/${method}`, body);
    expect(await ingest("GetWatermark", ref)).toEqual({ status: 200, answer: {} });
    expect(await ingest("Append", { ...ref, events: { firstSeq: 1, events } })).toEqual({
      status: 200,
      answer: { durableSeq: "2", stored: 2 },
    });
    expect(await ingest("GetWatermark", ref)).toEqual({ status: 200, answer: { durableSeq: "2" } });
    expect(await ingest("MissingBlobs", { blobIds: [blobId] })).toEqual({
      status: 200,
      answer: { missing: [{ blobId }] },
    });
    const seal = { session, seal: { streams: [{ stream: "main", lastSeq: "2" }] } };
    expect(await ingest("Seal", seal)).toMatchObject({ status: 400, answer: { code: "failed_precondition" } });
    const chunk = { blobId, size: data.length, data: data.toString("base64"), mediaType: "image/png" };
    expect(await ingest("PutBlob", { chunk })).toEqual({
      status: 200,
      answer: { status: { blobId, received: String(data.length), stored: true } },
    });
    expect(await ingest("Seal", seal)).toMatchObject({ status: 200, answer: { sealed: {} } });

    expect(await post("SessionsService/GetSession", { session })).toMatchObject({
      answer: { session: { events: "2", status: "SESSION_STATUS_SEALED", blobs: "1" } },
    });
    expect(await post("SessionsService/ListSessions", { pageSize: 1 })).toMatchObject({ answer: { sessions: [{}] } });

    const made = await post("KeysService/CreateKey", { name: "curl", scopes: ["SCOPE_READ"] });
    expect(made).toMatchObject({
      status: 200,
      answer: { key: { scopes: ["SCOPE_READ"] }, secret: expect.stringMatching(/^slk_/) },
    });
    const { id } = CREATED.parse(made.answer).key;
    expect(await post("KeysService/ListKeys", {})).toMatchObject({ answer: { keys: [{ id }] } });
    const rotated = await post("KeysService/RotateKey", { id, overlapMs: "60000" });
    expect(rotated).toMatchObject({ answer: { key: { name: "curl" } } });
    expect(await post("KeysService/RevokeKey", { id })).toMatchObject({ answer: { key: { id } } });
  });

  test("reads events and tails a sealed session in envelopes, each event as the object it was", async (context) => {
    if (!has("curl")) return context.skip("curl is not installed");
    const session = "curl-read";
    await post("IngestService/Append", { stream: { session }, events: { firstSeq: 1, events: [click(1), click(2)] } });
    await post("IngestService/Seal", { session, seal: { streams: [{ lastSeq: 2 }] } });
    const read = await stream("SessionsService/ReadEvents", { session });
    const stored = (n: number) => ({
      stream: "main",
      seq: String(n),
      event: { ...click(n), timeMs: String(click(n).timeMs) },
    });
    expect(read).toEqual([{ events: [stored(1), stored(2)] }, {}]);
    expect(await stream("SessionsService/Tail", { session })).toEqual([
      { events: [stored(1), stored(2)] },
      { sealed: true },
      {},
    ]);
    expect(await stream("SessionsService/ReadEvents", { session: "absent" })).toMatchObject([
      { error: { code: "not_found" } },
    ]);
  });

  test("JSON and binary callers make the same bytes of the same event", async (context) => {
    if (!has("curl")) return context.skip("curl is not installed");
    const session = "curl-same";
    const body = { stream: { session }, events: { firstSeq: 1, events: [click(1)] } };
    await post("IngestService/Append", body);
    using client = new GrpcJsClient(daemon.url);
    expect(await client.unary("IngestService", "Append", body)).toMatchObject({ duplicate: 1, stored: 0 });
  });

  test("answers a compressed caller, compressed if it asks so", async (context) => {
    if (!has("curl")) return context.skip("curl is not installed");
    expect(await post("SessionsService/ListSessions", { pageSize: 1_000 }, ["--compressed"])).toMatchObject({
      status: 200,
    });
  });
});

describe("h2load", () => {
  test.for(["application/proto", "application/json"])(
    "appends in a hundred calls at once, %s: every one is served",
    async (type, context) => {
      if (!has("h2load")) return context.skip("h2load is not installed");
      const session = `h2load-${type.slice(12)}`;
      const request = {
        stream: { session },
        events: { firstSeq: 1, events: Array.from({ length: 20 }, (_, n) => click(n)) },
      };
      const file = join(daemon.directory, `${session}.bin`);
      await writeFile(
        file,
        type === "application/proto" ? serialize("IngestService", "Append", request) : JSON.stringify(request),
      );
      const { stdout } = await run("h2load", [
        "-n",
        "2000",
        "-c",
        "10",
        "-m",
        "10",
        "-d",
        file,
        "-H",
        `Content-Type: ${type}`,
        `${daemon.url}/sluice.v1.IngestService/Append`,
      ]);
      expect(stdout).toContain("2000 succeeded, 0 failed, 0 errored, 0 timeout");
      expect(stdout).toContain("status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx");
      using client = new GrpcJsClient(daemon.url);
      expect(await client.unary("IngestService", "GetWatermark", { stream: { session } })).toMatchObject({
        durableSeq: "20",
      });
      expect(await client.unary("SessionsService", "GetSession", { session })).toMatchObject({
        session: { events: "20" },
      });
    },
  );
});

describe("TLS", () => {
  test("grpc-js, buf curl and curl speak to one port, HTTP/2 and HTTP/1.1", async (context) => {
    await using certificates = await Certificates.open();
    if (certificates === undefined) return context.skip("openssl is not installed");
    const { cert, key } = await certificates.make("localhost");
    await using secure = await TestDaemon.start({ env: { SLUICE_TLS_CERT: cert, SLUICE_TLS_KEY: key } });
    expect(secure.url).toMatch(/^https:/);
    using client = new GrpcJsClient(secure.url.replace("127.0.0.1", "localhost"), {
      tls: credentials.createSsl(await readFile(cert)),
    });
    const call = client.upload();
    call.write({ open: { stream: { session: "tls" } } });
    call.write({ events: { firstSeq: 1, events: [click(1)] } });
    call.end();
    const told: unknown[] = [];
    for await (const answer of call) told.push(answer);
    expect(told).toMatchObject([{ frame: "opened" }, { ack: { durableSeq: "1" } }]);

    const watermark = JSON.stringify({ stream: { session: "tls" } });
    const url = `${secure.url}/sluice.v1.IngestService/GetWatermark`;
    const { stdout } = await run(buf, ["curl", "--cacert", cert, "--protocol", "grpc", "--data", watermark, url]);
    expect(JSON.parse(stdout)).toEqual({ durableSeq: "1" });
    if (!has("curl")) return context.skip("curl is not installed");
    for (const version of ["--http1.1", "--http2"]) {
      const request = ["-sS", version, "--cacert", cert, "-H", "Content-Type: application/json", "-d", watermark];
      const answer = await run("curl", [...request, "-w", " %{http_version}", url]);
      expect(answer.stdout).toBe(`{"durableSeq":"1"} ${version === "--http2" ? "2" : "1.1"}`);
    }
    await expect(run("curl", ["-sS", "-d", watermark, url])).rejects.toThrow(/certificate/);
  });
});
