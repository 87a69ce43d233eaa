import { createHash } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { createContextValues } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { type UploadRequest, UploadRequestSchema } from "../../src/wire/gen/sluice/opaque/v1/opaque_pb.ts";
import { opaqueUpload } from "../../src/wire/opaque.ts";
import { batchOf, benchEvents } from "./material.ts";

// Holds many calls open, in a process of its own, until its standard input ends.
// argv: url, "streams" or "uploads", count.

const CHUNK = 256 * 1024;
const BLOB = 64 * 1024 * 1024;
const CHUNK_EVERY_MS = 1_000;

const [url = "", mode = "streams", howMany = "0"] = process.argv.slice(2);
const count = Number(howMany);
const stop = new AbortController();
process.stdin.on("end", () => stop.abort()).resume();

/** Open, one batch of 50 real events, then nothing. */
async function* idleStream(index: number, material: readonly Uint8Array[]): AsyncGenerator<UploadRequest> {
  yield frame({ case: "open", value: { stream: { session: `idle-${index}` } } });
  yield frame({ case: "events", value: { firstSeq: 1n, events: batchOf(material, index, 50) } });
  await new Promise((resolve) => stop.signal.addEventListener("abort", resolve));
}

/** Open, then a 64 MiB blob in chunks of 256 KiB, one a second. */
async function* slowUpload(index: number): AsyncGenerator<UploadRequest> {
  yield frame({ case: "open", value: { stream: { session: `slow-${index}` } } });
  const blobId = createHash("sha256").update(String(index)).digest("hex");
  const data = new Uint8Array(CHUNK).fill(index);
  for (let offset = 0; offset < BLOB && !stop.signal.aborted; offset += CHUNK) {
    const value = { blobId, size: BigInt(BLOB), offset: BigInt(offset), data, mediaType: "image/png" };
    yield frame({ case: "blobChunk", value });
    await new Promise((resolve) => setTimeout(resolve, CHUNK_EVERY_MS));
  }
}

function frame(value: MessageInitShape<typeof UploadRequestSchema>["frame"]): UploadRequest {
  return create(UploadRequestSchema, value === undefined ? {} : { frame: value });
}

const material = mode === "streams" ? benchEvents("real") : [];
const perConnection = mode === "streams" ? 20 : 1;
const managers = Array.from({ length: Math.ceil(count / perConnection) }, () => new Http2SessionManager(url));
// As gRPC clients do: no call before the server has said what its windows are.
await Promise.all(managers.map((manager) => manager.connect()));
await new Promise((resolve) => setTimeout(resolve, 500));
let settled = 0;
await Promise.allSettled(
  Array.from({ length: count }, async (_, index) => {
    const sessionManager = managers[Math.floor(index / perConnection)];
    if (sessionManager === undefined) return;
    const transport = createGrpcTransport({ baseUrl: url, sessionManager });
    const requests = mode === "streams" ? idleStream(index, material) : slowUpload(index);
    const answers = await transport.stream(
      opaqueUpload,
      stop.signal,
      undefined,
      undefined,
      requests,
      createContextValues(),
    );
    let told = false;
    for await (const { frame: answer } of answers.message) {
      if (answer.case !== "ack" || told) continue;
      told = true;
      settled += 1;
      if (settled === count) process.stdout.write("open\n");
    }
  }),
);
process.exitCode = settled === count ? 0 : 1;
