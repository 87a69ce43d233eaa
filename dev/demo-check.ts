import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createLink, type Link } from "../src/client/index.ts";
import type { RecordedBlob, RecordedEvent, Recording } from "../src/core/import/importer.ts";
import { SessionsService } from "../src/wire/gen/sluice/v1/sessions_pb.ts";
import { opaqueReadEvents } from "../src/wire/opaque.ts";

/** One recording of the sample, read whole. */
export interface Source {
  readonly recording: Recording;
  readonly events: readonly RecordedEvent[];
  readonly blobs: ReadonlyMap<string, RecordedBlob>;
}

export interface Count {
  readonly stored: number;
  /** In the sample and not in the store with the same bytes. */
  readonly lost: number;
  /** In the store more than once. */
  readonly doubled: number;
  /** In the store and not in the sample. */
  readonly unaccounted: number;
}

/** Reads every event back from the daemon and compares it byte for byte, at its own sequence number. */
export async function compareEvents(url: string, sources: readonly Source[], signal: AbortSignal): Promise<Count> {
  using link = createLink({ url });
  const sent: string[] = [];
  const stored: string[] = [];
  for (const { recording, events } of sources) {
    const { session } = recording;
    for (const { seq, event } of events) sent.push(identity(session, recording.stream, seq, event));
    const answer = await link.transport.stream(opaqueReadEvents, signal, undefined, undefined, only({ session }));
    for await (const page of answer.message) {
      for (const { stream, seq, event } of page.events) stored.push(identity(session, stream, seq, event));
    }
  }
  return count(sent, stored);
}

/** Reads every screenshot back from the daemon and compares it with the file it was sent from. */
export async function compareBlobs(
  url: string,
  sources: readonly Source[],
  directory: string,
  signal: AbortSignal,
): Promise<Count> {
  using link = createLink({ url });
  const sent = new Map(sources.flatMap(({ blobs }) => [...blobs]));
  const files = await readdir(directory, { recursive: true, withFileTypes: true });
  const kept = files.filter((entry) => entry.isFile()).map(({ name }) => name);
  const stored: string[] = [];
  for (const name of kept) {
    const blob = sent.get(name);
    const intact = blob !== undefined && (await isIntact(link, blob, signal));
    stored.push(intact ? name : `${name}, which is not what was sent`);
  }
  return count([...sent.keys()], stored);
}

/** Where the daemon keeps a blob. */
export async function findBlob(directory: string, id: string): Promise<string> {
  const files = await readdir(directory, { recursive: true, withFileTypes: true });
  const found = files.find(({ name }) => name === id);
  if (found === undefined) throw new Error(`There is no blob ${id} in ${directory}.`);
  return join(found.parentPath, found.name);
}

async function isIntact(link: Link, blob: RecordedBlob, signal: AbortSignal): Promise<boolean> {
  const method = SessionsService.method.readBlob;
  const answer = await link.transport.stream(method, signal, undefined, undefined, only({ blobId: blob.id }));
  const pieces: Uint8Array[] = [];
  for await (const { data } of answer.message) pieces.push(data);
  const bytes = Buffer.concat(pieces);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return sha256 === blob.id && bytes.equals(await readFile(blob.path));
}

function identity(session: string, stream: string, seq: bigint, event: Uint8Array): string {
  return `${session}/${stream}/${seq} ${Buffer.from(event).toString("base64")}`;
}

function count(sent: readonly string[], stored: readonly string[]): Count {
  const times = new Map<string, number>();
  for (const identity of stored) times.set(identity, (times.get(identity) ?? 0) + 1);
  const expected = new Set(sent);
  return {
    stored: stored.length,
    lost: sent.filter((identity) => !times.has(identity)).length,
    doubled: [...times.values()].reduce((sum, seen) => sum + seen - 1, 0),
    unaccounted: [...times.keys()].filter((identity) => !expected.has(identity)).length,
  };
}

async function* only<T>(message: T): AsyncGenerator<T> {
  yield message;
}
