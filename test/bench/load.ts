import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { createContextValues, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { type UploadRequest, UploadRequestSchema } from "../../src/wire/gen/sluice/opaque/v1/opaque_pb.ts";
import { opaqueUpload } from "../../src/wire/opaque.ts";
import { batchOf, benchEvents, blobOf, type Kind } from "./material.ts";

// A load generator in a process of its own: reads one job from argv, writes its result as JSON.

export interface Load {
  readonly url: string;
  readonly session: string;
  readonly streams: number;
  /** Batches of `batch` events each stream sends; or blobs of 1 MiB. */
  readonly batches: number;
  readonly batch: number;
  readonly kind: Kind | "blobs";
  /** Unacked batches a stream may have. */
  readonly inFlight: number;
}

export interface LoadResult {
  readonly seconds: number;
  readonly events: number;
  readonly bytes: number;
}

async function run(load: Load): Promise<LoadResult> {
  const transports = Array.from({ length: Math.min(load.streams, 4) }, () =>
    createGrpcTransport({
      baseUrl: load.url,
      nodeOptions: { maxSessionMemory: 1_000, settings: { initialWindowSize: 1 << 20 } },
    }),
  );
  const material = load.kind === "blobs" ? [] : benchEvents(load.kind);
  const gate = Promise.withResolvers<void>();
  const open = Promise.withResolvers<void>();
  let waiting = load.streams;
  const ready = (): void => {
    waiting -= 1;
    if (waiting === 0) open.resolve();
  };
  let bytes = 0;
  const streams = Array.from({ length: load.streams }, async (_, index) => {
    const transport = transports[index % transports.length];
    if (transport === undefined) return;
    const sent = await (load.kind === "blobs"
      ? sendBlobs(transport, load, index, ready, gate.promise)
      : sendEvents(transport, load, material, index, ready, gate.promise));
    bytes += sent;
  });
  await open.promise;
  const begun = performance.now();
  gate.resolve();
  await Promise.all(streams);
  const seconds = (performance.now() - begun) / 1000;
  return { seconds, bytes, events: load.streams * load.batches * load.batch };
}

async function sendEvents(
  transport: Transport,
  load: Load,
  material: readonly Uint8Array[],
  index: number,
  ready: () => void,
  go: Promise<void>,
): Promise<number> {
  let acked = 0;
  let bytes = 0;
  let wake: (() => void) | undefined;
  const requests = async function* (): AsyncGenerator<UploadRequest> {
    yield openFrame(`${load.session}-${index}`);
    await go;
    for (let number = 0; number < load.batches; number++) {
      while (number - acked >= load.inFlight) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        await promise;
      }
      const events = batchOf(material, index * 37 + number * load.batch, load.batch);
      bytes += events.reduce((sum, event) => sum + event.length, 0);
      yield create(UploadRequestSchema, {
        frame: { case: "events", value: { firstSeq: BigInt(number * load.batch + 1), events } },
      });
    }
  };
  const answers = await transport.stream(
    opaqueUpload,
    undefined,
    undefined,
    undefined,
    requests(),
    createContextValues(),
  );
  for await (const { frame } of answers.message) {
    if (frame.case === "opened") ready();
    if (frame.case !== "ack") continue;
    acked = Number(frame.value.durableSeq) / load.batch;
    wake?.();
  }
  if (acked < load.batches) throw new Error(`stream ${index} had ${acked} of ${load.batches} batches acked`);
  return bytes;
}

async function sendBlobs(
  transport: Transport,
  load: Load,
  index: number,
  ready: () => void,
  go: Promise<void>,
): Promise<number> {
  const seed = randomBytes(1 << 20);
  let stored = 0;
  let sent = 0;
  let wake: (() => void) | undefined;
  const requests = async function* (): AsyncGenerator<UploadRequest> {
    yield openFrame(`${load.session}-${index}`);
    await go;
    for (let number = 0; number < load.batches; number++) {
      const { id, data } = blobOf(seed, number);
      while (sent - stored >= load.inFlight) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        await promise;
      }
      sent += 1;
      const value = { blobId: id, size: BigInt(data.length), offset: 0n, data, mediaType: "image/png" };
      yield create(UploadRequestSchema, { frame: { case: "blobChunk", value } });
    }
  };
  const answers = await transport.stream(
    opaqueUpload,
    undefined,
    undefined,
    undefined,
    requests(),
    createContextValues(),
  );
  for await (const { frame } of answers.message) {
    if (frame.case === "opened") ready();
    if (frame.case !== "ack") continue;
    stored += frame.value.blobs.filter((blob) => blob.stored).length;
    wake?.();
  }
  if (stored < load.batches) throw new Error(`stream ${index} had ${stored} of ${load.batches} blobs stored`);
  return load.batches * (1 << 20);
}

function openFrame(session: string): UploadRequest {
  return create(UploadRequestSchema, {
    frame: { case: "open", value: { stream: { session }, session: { collector: "bench" } } },
  });
}

const [job] = process.argv.slice(2);
if (job !== undefined) process.stdout.write(`${JSON.stringify(await run(JSON.parse(job)))}\n`);
