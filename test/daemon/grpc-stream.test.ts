import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createConnectRouter, createContextValues, type HandlerContext } from "@connectrpc/connect";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { openApp } from "../../src/core/app.ts";
import { loadConfig } from "../../src/core/config.ts";
import { AppError } from "../../src/core/errors.ts";
import { createLogger } from "../../src/core/log.ts";
import { Metrics } from "../../src/core/metrics.ts";
import { Ingest } from "../../src/core/session/ingest.ts";
import { Account, Budget } from "../../src/daemon/budget.ts";
import { toConnectError } from "../../src/daemon/connect-errors.ts";
import { grpcStream, type Handler } from "../../src/daemon/grpc-stream.ts";
import { translateErrors } from "../../src/daemon/interceptors.ts";
import { serveUpload } from "../../src/daemon/upload.ts";
import { type UploadRequest, UploadRequestSchema } from "../../src/wire/gen/sluice/opaque/v1/opaque_pb.ts";
import { type UploadResponse, UploadResponseSchema } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { opaqueUpload } from "../../src/wire/opaque.ts";
import { events, never } from "../fixtures.ts";
import { envelope } from "./raw-calls.ts";

type Serve = (requests: AsyncIterable<UploadRequest>, context: HandlerContext) => AsyncIterable<UploadResponse>;

const MESSAGE_BYTES = 256 * 1024;
const common = { maxTimeoutMs: 60_000, acceptCompression: [compressionGzip, compressionBrotli] };
const admitted = async (): Promise<void> => undefined;

describe("a gRPC stream is answered as Connect's own handler answers it", () => {
  const open = message({ case: "open", value: { stream: { session: "s" } } });
  const batch = message({ case: "events", value: { firstSeq: 1n, events: events(1, 500) } });
  const plain = [envelope(open), envelope(batch)];
  const packed = [envelope(open), envelope(gzipSync(batch), { flags: 1 })];
  const bomb = envelope(gzipSync(Buffer.alloc(MESSAGE_BYTES + 1)), { flags: 1 });
  const gzip = { "grpc-encoding": "gzip" };

  test.each<[what: string, status: number, envelopes: Buffer[], headers: Record<string, string>]>([
    ["messages", 0, plain, {}],
    ["no message", 0, [], {}],
    ["compressed messages, answered so", 0, packed, gzip],
    ["plain messages, answered compressed", 0, plain, { "grpc-accept-encoding": "snappy, br,gzip" }],
    ["compressed messages, answered plain", 0, packed, { ...gzip, "grpc-accept-encoding": "identity" }],
    ["a timeout", 0, plain, { "grpc-timeout": "50S" }],
    ["a timeout that is none", Code.InvalidArgument, plain, { "grpc-timeout": "soon" }],
    ["a timeout longer than the limit", Code.InvalidArgument, plain, { "grpc-timeout": "2M" }],
    ["an encoding nobody speaks", Code.Unimplemented, plain, { "grpc-encoding": "lzma" }],
    ["a compressed message without an encoding", Code.Internal, packed, {}],
    ["what only claims to be compressed", Code.InvalidArgument, [envelope(batch, { flags: 1 })], gzip],
    ["a message that unfolds to more than the limit", Code.ResourceExhausted, [bomb], gzip],
    ["bytes that are no message", Code.InvalidArgument, [envelope(open), envelope(Buffer.from("noise"))], {}],
  ])("%s", async (_what, status, envelopes, headers) => {
    const { ours, theirs } = await both(echo, envelopes, headers);
    expect(ours).toEqual(theirs);
    expect(ours.trailer.get("grpc-status")).toBe(String(status));
  });

  test("a failure in the middle", async () => {
    const failing: Serve = async function* (requests) {
      for await (const answer of echo(requests)) {
        yield answer;
        throw new AppError("unavailable", "Not now, wäit.", { reason: "STORE_SLOW", retryAfterMs: 1_500 });
      }
    };
    const { ours, theirs } = await both(failing, plain, {});
    expect(ours).toEqual(theirs);
    expect(ours.trailer.get("grpc-status")).toBe(String(Code.Unavailable));
    expect(ours.body.length).toBe(1);
  });

  test("a failure nobody expected", async () => {
    const broken: Serve = () => {
      throw new TypeError("a secret of the inside");
    };
    const { ours, theirs } = await both(broken, plain, {});
    expect(ours).toEqual(theirs);
    expect(JSON.stringify([...ours.trailer])).not.toContain("secret");
  });

  test("a deadline that passes", async () => {
    const slow: Serve = (_requests, { signal }) => until(signal);
    const { ours, theirs } = await both(slow, plain, { "grpc-timeout": "1m" });
    expect(ours).toEqual(theirs);
    expect(ours.trailer.get("grpc-status")).toBe(String(Code.DeadlineExceeded));
  });

  test("a caller that goes away", async () => {
    const gone = AbortSignal.abort(new ConnectError("the caller went away", Code.Canceled));
    const { ours, theirs } = await both((_requests, { signal }) => until(signal), plain, {}, gone);
    expect(ours).toEqual(theirs);
    expect(ours.trailer.get("grpc-status")).toBe(String(Code.Canceled));
  });

  test("a caller that is not let in, and nothing of its body is read", async () => {
    const refuse = async (): Promise<void> => {
      throw toConnectError(new AppError("unauthenticated", "Who is it?", { reason: "KEY_REQUIRED" }));
    };
    let read = false;
    const body = async function* (): AsyncGenerator<Uint8Array> {
      read = true;
      yield* plain;
    };
    const ours = await answerOf(oursFor(echo, refuse), body(), {}, never);
    const theirs = await answerOf(theirsFor(echo, refuse), body(), {}, never);
    expect(ours).toEqual(theirs);
    expect(ours.trailer.get("grpc-status")).toBe(String(Code.Unauthenticated));
    expect(read).toBe(false);
  });
});

describe("an upload by gRPC", () => {
  test("gives the bytes of a batch back when it is acked, though the stream stays open", async () => {
    const dir = await mkdtemp(join(tmpdir(), "sluice-grpc-stream-"));
    await using stack = new AsyncDisposableStack();
    stack.defer(() => rm(dir, { recursive: true }));
    const flags = { store: `sqlite:${dir}/sluice.db`, blobs: `file:${dir}/blobs` };
    const { values } = await loadConfig({ flags, env: {}, cwd: dir, file: undefined });
    const app = stack.use(await openApp(values, { create: true }));
    const metrics = stack.use(new Metrics({ version: "test" }));
    const ingest = new Ingest({ ...app, limits: values.limits, metrics, onSealed: () => undefined });

    const batches = [1, 501].map((first) =>
      message({ case: "events", value: { firstSeq: BigInt(first), events: events(first, 500) } }),
    );
    const [first = new Uint8Array(), second = new Uint8Array()] = batches;
    const sent = [alone(envelope(first)), alone(envelope(gzipSync(second), { flags: 1 }))];
    const account = new Account({ arriving: new Budget(1), working: new Budget(1) }, 1, () => undefined);
    const ended = new AbortController();
    const body = async function* (): AsyncGenerator<Uint8Array> {
      yield alone(envelope(message({ case: "open", value: { stream: { project: "p", session: "s" } } })));
      yield* sent;
      await new Promise((resolve) => ended.signal.addEventListener("abort", resolve));
    };
    const serve: Serve = (requests, { signal }) =>
      serveUpload(requests, {
        ingest,
        account,
        watch: { begunAt: undefined, lastAt: 0, answeringSince: undefined },
        credit: () => 1,
        resolveProject: (project) => project,
        storeDeadlineMs: 60_000,
        signal,
      });
    const answer = await oursFor(serve)(requestOf(body(), { "grpc-encoding": "gzip" }, ended.signal));
    for await (const bytes of answer.body ?? []) {
      const { frame } = fromBinary(UploadResponseSchema, bytes.subarray(5));
      if (frame.case === "ack" && frame.value.durableSeq === 1_000n) break;
    }
    expect(sent.map(({ buffer }) => buffer.detached)).toEqual([true, true]);
    ended.abort();
  });
});

/** Answers each message with what tells it from every other. */
async function* echo(requests: AsyncIterable<UploadRequest>): AsyncGenerator<UploadResponse> {
  for await (const { frame } of requests) {
    const seen = frame.case === "events" ? frame.value.events.length : 1;
    // Large enough to be compressed, and not to be compressed away.
    const blobs = Array.from({ length: seen }, (_, index) => ({ blobId: `${frame.case}-${index}` }));
    yield create(UploadResponseSchema, { frame: { case: "ack", value: { durableSeq: BigInt(seen), blobs } } });
  }
}

async function* until(signal: AbortSignal): AsyncGenerator<UploadResponse> {
  await new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", resolve);
  });
  throw signal.reason;
}

/** A copy in a buffer of its own, to be given back. */
function alone(bytes: Uint8Array): Buffer<ArrayBuffer> {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

function message(frame: NonNullable<MessageInitShape<typeof UploadRequestSchema>["frame"]>): Uint8Array {
  return toBinary(UploadRequestSchema, create(UploadRequestSchema, { frame }));
}

const logger = createLogger({ level: "silent" });

function oursFor(serve: Serve, enter: (context: HandlerContext) => Promise<void> = admitted): Handler {
  return grpcStream(opaqueUpload, serve, {
    ...common,
    messageBytes: MESSAGE_BYTES,
    enter,
    ended: (_context, failure) => (failure === undefined ? undefined : toConnectError(failure.error)),
  });
}

function theirsFor(serve: Serve, requestGate: (context: HandlerContext) => Promise<void> = admitted): Handler {
  const interceptors = [translateErrors(logger)];
  const router = createConnectRouter({ ...common, readMaxBytes: MESSAGE_BYTES, interceptors, requestGate });
  const [handler] = router.rpc(opaqueUpload, serve).handlers;
  if (handler === undefined) throw new Error("Connect made no handler");
  return handler;
}

function requestOf(
  body: AsyncIterable<Uint8Array>,
  headers: Record<string, string>,
  signal: AbortSignal,
): UniversalServerRequest {
  return {
    httpVersion: "2.0",
    method: "POST",
    url: "http://localhost/sluice.v1.IngestService/Upload",
    header: new Headers({ "content-type": "application/grpc", ...headers }),
    body,
    signal,
    contextValues: createContextValues(),
  };
}

async function answerOf(
  handler: Handler,
  body: AsyncIterable<Uint8Array>,
  headers: Record<string, string>,
  signal: AbortSignal,
) {
  const answer = await handler(requestOf(body, headers, signal));
  const parts: Uint8Array[] = [];
  for await (const part of answer.body ?? []) parts.push(new Uint8Array(part));
  return {
    status: answer.status,
    header: new Map(answer.header),
    body: parts,
    trailer: new Map(answer.trailer),
  };
}

async function both(
  serve: Serve,
  envelopes: readonly Buffer[],
  headers: Record<string, string>,
  signal: AbortSignal = never,
) {
  const body = async function* (): AsyncGenerator<Uint8Array> {
    for (const bytes of envelopes) yield alone(bytes);
  };
  return {
    ours: await answerOf(oursFor(serve), body(), headers, signal),
    theirs: await answerOf(theirsFor(serve), body(), headers, signal),
  };
}
