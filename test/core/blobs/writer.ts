// Writes made-up blobs, in chunks or whole, until it is killed, and prints the number of each when it is stored.
import { createHash } from "node:crypto";
import { LocalBlobStore } from "../../../src/core/blobs/local.ts";
import { AppError } from "../../../src/core/errors.ts";
import { never } from "../../fixtures.ts";
import { madeUpBlob } from "./made-up-blob.ts";

const [dir = "", first = "0", last = "Infinity", chunkBytes = "16384"] = process.argv.slice(2);
await using store = await LocalBlobStore.open({ dir });

let next = Number(first);
await Promise.all(Array.from({ length: 4 }, run));

async function run(): Promise<void> {
  while (next <= Number(last)) {
    const number = next++;
    await (chunkBytes === "whole" ? store.put("p", madeUpBlob(number), never) : send(madeUpBlob(number)));
    process.stdout.write(`stored ${number}\n`);
  }
}

async function send(bytes: Buffer): Promise<void> {
  const id = createHash("sha256").update(bytes).digest("hex");
  let { received, stored } = await store.progress("p", id, never);
  while (!stored) {
    const data = bytes.subarray(received, received + Number(chunkBytes));
    try {
      ({ received, stored } = await store.write("p", { id, size: bytes.length, offset: received, data }, never));
    } catch (error) {
      if (AppError.from(error).reason !== "BLOB_MISMATCH") throw error;
      received = 0;
    }
  }
}
