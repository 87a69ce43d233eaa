import type { BlobRecord, Store } from "../store/store.ts";
import type { BlobStore } from "./blobs.ts";
import { blobExpired, blobNotFound } from "./failures.ts";

/** What the store knows of a recorded blob whose bytes can be read. Fails with `not_found` BLOB_NOT_FOUND, BLOB_EXPIRED. */
export async function findOriginal(
  store: Pick<Store, "readBlob">,
  project: string,
  id: string,
  signal: AbortSignal,
): Promise<BlobRecord> {
  const record = await store.readBlob(project, id, signal);
  if (record === undefined) throw blobNotFound(project, id, undefined);
  if (record.removedAtMs !== undefined) throw blobExpired(id, record.removedAtMs);
  return record;
}

/** The bytes of a recorded blob, whole. Fails as findOriginal and BlobStore.read do. */
export async function readOriginal(
  { store, blobs }: { readonly store: Pick<Store, "readBlob">; readonly blobs: BlobStore },
  project: string,
  id: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  await findOriginal(store, project, id, signal);
  const chunks: Uint8Array[] = [];
  for await (const chunk of blobs.read(project, id, signal)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
