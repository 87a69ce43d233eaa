import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { App } from "../../../src/core/app.ts";
import { openRecordings } from "../../../src/core/import/importer.ts";
import { Workplace } from "../../cli/sluice.ts";
import { never } from "../../fixtures.ts";

export const SAMPLE = fileURLToPath(new URL("../../../dev/sample/", import.meta.url));

/** A store with these recordings in it, sealed and processed by the real worker. */
export async function processed(paths: readonly string[]): Promise<Workplace> {
  const place = await Workplace.open();
  {
    await using app = await place.app();
    for (const path of paths) await record(app, path);
  }
  const worked = await place.sluice(["work", "--once"]);
  if (worked.code !== 0) throw new Error(worked.stderr);
  return place;
}

/** A copy of a place, to be changed. */
export async function copyOf(place: Workplace): Promise<Workplace> {
  const copy = await Workplace.open();
  await cp(join(place.dir, "data"), join(copy.dir, "data"), { recursive: true });
  return copy;
}

/** Exports, and returns the directory it was written to. */
export async function exportOf(place: Workplace, format: string, name: string, ...flags: string[]): Promise<string> {
  const ran = await place.sluice(["export", format, "--out", name, ...flags]);
  if (ran.code !== 0) throw new Error(ran.stderr);
  return join(place.dir, name);
}

async function record(app: App, path: string): Promise<void> {
  for await (const recording of openRecordings(path, never)) {
    const { session, stream, info } = recording;
    const ref = { project: "default", session, stream };
    for await (const { id, size, mediaType, path: file } of recording.blobs(never)) {
      await app.blobs.put(ref.project, await readFile(file), never);
      await app.store.recordBlob(ref.project, { id, size, mediaType }, never);
    }
    const events: Uint8Array[] = [];
    for await (const { event } of recording.events(1n, never)) events.push(event);
    const { durableSeq } = await app.store.append({ ref, epoch: undefined, firstSeq: 1n, events, info }, never);
    const job = { kind: "validate", project: ref.project, session, priority: 5 };
    const streams = [{ stream, lastSeq: durableSeq }];
    await app.store.seal(
      { project: ref.project, session, streams, allowMissingBlobs: true, expectedVersion: undefined, jobs: [job] },
      never,
    );
  }
}
