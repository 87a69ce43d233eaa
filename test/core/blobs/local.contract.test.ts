import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LocalBlobStore } from "../../../src/core/blobs/local.ts";
import { type BlobStoreFixture, blobStoreContract } from "../../contract/blob-store.ts";

blobStoreContract("local files", (options) => openLocal(options));
blobStoreContract("local files, with hardly anything kept in memory", (options) =>
  openLocal({ ...options, maxPartials: 1, maxOpen: 1 }),
);

async function openLocal(options: {
  maxBytes: number;
  maxPartials?: number;
  maxOpen?: number;
}): Promise<BlobStoreFixture> {
  const dir = await mkdtemp(join(tmpdir(), "sluice-blobs-"));
  let store = await LocalBlobStore.open({ ...options, dir });
  return {
    get store() {
      return store;
    },
    async reopen() {
      await store[Symbol.asyncDispose]();
      store = await LocalBlobStore.open({ ...options, dir });
    },
    async damage(project, id) {
      await using file = await open(join(dir, project, id.slice(0, 2), id), "r+");
      const { buffer } = await file.read(Buffer.alloc(1), 0, 1, 7);
      await file.write(Buffer.of((buffer[0] ?? 0) ^ 1), 0, 1, 7);
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await rm(dir, { recursive: true });
    },
  };
}
