import { createServer } from "node:http2";
import { create } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { UploadResponseSchema } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { opaqueUpload } from "../../src/wire/opaque.ts";

// The limit that connect-node sets: the same service with nothing behind it. Every batch is acked
// as soon as it is decoded.

const server = createServer(
  connectNodeAdapter({
    routes: (router) =>
      router.rpc(opaqueUpload, async function* (requests) {
        for await (const { frame } of requests) {
          if (frame.case === "open") yield create(UploadResponseSchema, { frame: { case: "opened", value: {} } });
          if (frame.case === "events") {
            const durableSeq = frame.value.firstSeq + BigInt(frame.value.events.length) - 1n;
            yield create(UploadResponseSchema, { frame: { case: "ack", value: { durableSeq } } });
          }
          if (frame.case === "blobChunk") {
            const blobs = [{ blobId: frame.value.blobId, stored: true }];
            yield create(UploadResponseSchema, { frame: { case: "ack", value: { blobs } } });
          }
        }
      }),
  }),
);
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") process.stdout.write(`http://127.0.0.1:${address.port}\n`);
});
