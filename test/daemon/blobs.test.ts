import { createHash, randomBytes } from "node:crypto";
import { readdir, utimes } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { IngestService } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { Conversation } from "./conversation.ts";
import { eventually, TestDaemon } from "./daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
});

function newBlob() {
  const data = randomBytes(2_000);
  const blobId = createHash("sha256").update(data).digest("hex");
  return { blobId, data, size: BigInt(data.length), offset: 0n, mediaType: "image/png" };
}

const settled = async () => ({
  stored: await daemon.sample('sluice_blobs_settled_total{outcome="stored"}'),
  duplicate: await daemon.sample('sluice_blobs_settled_total{outcome="duplicate"}'),
});

test("a new blob that many sessions send at once is counted as stored once, and as a duplicate by the others", async () => {
  const blobs = Array.from({ length: 20 }, newBlob);
  const uploads = await Promise.all(
    Array.from({ length: 4 }, (_, index) => Conversation.open(daemon.link(), `sharing-${index}`)),
  );
  for (const chunk of blobs) {
    for (const upload of uploads) upload.send({ case: "blobChunk", value: chunk });
  }
  for (const answers of await Promise.all(uploads.map((upload) => upload.end()))) {
    const told = answers.flatMap(({ case: kind, value }) => (kind === "ack" ? value.blobs : []));
    expect(told.filter(({ stored }) => stored)).toHaveLength(blobs.length);
  }
  expect(await settled()).toEqual({ stored: 20, duplicate: 60 });

  const { putBlob } = daemon.link().client(IngestService);
  const chunk = newBlob();
  await Promise.all(Array.from({ length: 5 }, () => putBlob({ chunk })));
  expect(await settled()).toEqual({ stored: 21, duplicate: 64 });
});

test("a daemon that starts removes what arrived of a blob and was given up", async () => {
  const { putBlob } = daemon.link().client(IngestService);
  const [old, young] = [newBlob(), newBlob()];
  for (const blob of [old, young]) await putBlob({ chunk: { ...blob, data: blob.data.subarray(0, 500) } });
  const partials = join(daemon.directory, "blobs", "default", "partial");
  await utimes(join(partials, old.blobId), new Date(0), new Date(0));
  await daemon.process.kill();
  await daemon.restart();
  await eventually(async () => expect(await readdir(partials)).toEqual([young.blobId]));
});
