import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type App, openApp } from "../../../src/core/app.ts";
import type { BlobStore } from "../../../src/core/blobs/blobs.ts";
import { findOriginal, readOriginal } from "../../../src/core/blobs/originals.ts";
import { retainOriginals } from "../../../src/core/blobs/retention.ts";
import { loadConfig } from "../../../src/core/config.ts";
import { Metrics } from "../../../src/core/metrics.ts";
import { loadPipeline } from "../../../src/core/pipeline/load.ts";
import type { Pipeline } from "../../../src/core/pipeline/pipeline.ts";
import { runStage } from "../../../src/core/pipeline/run.ts";
import type { StageName } from "../../../src/core/pipeline/stage.ts";
import { Ingest } from "../../../src/core/session/ingest.ts";
import type { Expired } from "../../../src/core/store/retention.ts";
import { EventSchema, EventType, ScreenshotPhase } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { claimOne, settleDone } from "../../contract/job-fixtures.ts";
import { eventually } from "../../daemon/daemon.ts";
import { never } from "../../fixtures.ts";
import { ManualClock } from "../../manual-clock.ts";

const DAY_MS = 86_400_000;
const AGE_MS = 30 * DAY_MS;

let dir: string;
let app: App;
let ingest: Ingest;
let pipeline: Pipeline;
let metrics: Metrics;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sluice-retention-"));
  const flags = { store: `sqlite:${dir}/sluice.db`, blobs: `file:${dir}/blobs` };
  const { values } = await loadConfig({ flags, env: {}, cwd: dir, file: undefined });
  app = await openApp(values, { create: true });
  metrics = new Metrics({ version: "0" });
  ({ pipeline } = await loadPipeline(undefined));
  const { store, blobs } = app;
  ingest = new Ingest({ store, blobs, limits: values.limits, metrics, onSealed: () => undefined });
});
afterEach(async () => {
  metrics[Symbol.dispose]();
  await app[Symbol.asyncDispose]();
  await rm(dir, { recursive: true });
});

/** A picture, sent as a collector sends it. */
async function send(shade: number): Promise<string> {
  const data = await sharp({ create: { width: 32, height: 16, channels: 3, background: { r: shade, g: 9, b: 9 } } })
    .png()
    .toBuffer();
  const id = sha256Of(data);
  await ingest.putBlob("p", { id, size: data.length, offset: 0, data, mediaType: "image/png" }, never);
  return id;
}

async function seal(session: string, blobs: readonly string[]): Promise<void> {
  const event = toBinary(
    EventSchema,
    create(EventSchema, {
      timeMs: 1n,
      type: EventType.CLICK,
      page: { url: "http://shop.example.com/", title: "Shop" },
      screenshots: blobs.map((blobId) => ({ blobId, phase: ScreenshotPhase.BEFORE })),
    }),
  );
  const ref = { project: "p", session, stream: "main" };
  await app.store.append({ ref, epoch: undefined, firstSeq: 1n, events: [event], info: undefined }, never);
  const streams = [{ stream: "main", lastSeq: 1n }];
  await ingest.seal({ project: "p", session, streams, allowMissingBlobs: false, expectedVersion: undefined }, never);
}

/** Runs the stages that are due up to redact, as a worker does. */
async function redact(session: string): Promise<void> {
  for (const stage of ["validate", "redact"] as const) {
    const run = await runOne(session, stage);
    const job = { kind: `${stage}-${session}`, project: "p", session, priority: 5 };
    await app.store.enqueue([job], 1_000, never);
    await settleDone(app.store, await claimOne(app.store, job.kind, 1_000), 2_000, run.artifact);
  }
}

async function runOne(session: string, stage: StageName) {
  const io = (project: string, derived: Set<string>) => ({
    readBlob: (id: string) => readOriginal(app, project, id, never),
    writeDerived: async (data: Uint8Array) => {
      const id = await app.derived.put(project, data, never);
      derived.add(id);
      return id;
    },
    signal: never,
  });
  const world = { store: app.store, pipeline, io, elapsed: () => 0 };
  return await runStage(world, { project: "p", session, stage, stages: undefined }, never);
}

/** Lets the sweep begin `days` from now, and gives back what it removed at its first turn. */
async function sweepIn(
  days: number,
  blobs: Pick<BlobStore, "remove"> = app.blobs,
): Promise<{ removed: Expired; failed: unknown[] }> {
  const clock = new ManualClock(Date.now() + days * DAY_MS);
  const stop = new AbortController();
  let removed: Expired = { sessions: 0, blobs: 0 };
  const failed: unknown[] = [];
  const sweeping = retainOriginals(
    {
      ...{ store: app.store, blobs, clock, ageMs: AGE_MS },
      definitions: (project) => pipeline.definitions(project),
      onRemoved: (told) => {
        removed = told;
      },
      onFailure: (error) => failed.push(error),
    },
    stop.signal,
  );
  await eventually(async () => expect(clock.sleepers).toBe(1));
  stop.abort();
  await sweeping;
  return { removed, failed };
}

async function isThere(id: string): Promise<boolean> {
  return (await app.blobs.progress("p", id, never)).stored;
}

describe("recorded screenshots", () => {
  test("go when they are old and redacted, with their bytes; whoever asks is told when; derived ones stay", async () => {
    const [one, two] = [await send(1), await send(2)];
    await seal("a", [one, two]);
    await redact("a");
    expect((await sweepIn(29)).removed).toEqual({ sessions: 0, blobs: 0 });
    expect(await isThere(one)).toBe(true);
    expect((await sweepIn(31)).removed).toEqual({ sessions: 1, blobs: 2 });
    expect([await isThere(one), await isThere(two)]).toEqual([false, false]);
    await expect(findOriginal(app.store, "p", one, never)).rejects.toMatchObject({
      code: "not_found",
      reason: "BLOB_EXPIRED",
      message: expect.stringMatching(/removed at \d{4}-\d\d-\d\dT/),
      metadata: { blob: one, removed_at_ms: expect.stringMatching(/^\d+$/) },
    });
    // The picture had nothing to paint, so its derived one has the same name.
    expect((await app.derived.progress("p", one, never)).stored).toBe(true);
    expect((await sweepIn(32)).removed).toEqual({ sessions: 0, blobs: 0 });
  });

  test("stay while they are not redacted, or were by another definition of it", async () => {
    const id = await send(1);
    await seal("a", [id]);
    expect((await sweepIn(31)).removed.sessions).toBe(0);
    await redact("a");
    const before = pipeline;
    ({ pipeline } = await loadPipeline(await settings({ unlocated: "keep" })));
    expect((await sweepIn(31)).removed.sessions).toBe(0);
    expect(await isThere(id)).toBe(true);
    pipeline = before;
    expect((await sweepIn(31)).removed.sessions).toBe(1);
  });

  test("that another session names stay until that is as far", async () => {
    const id = await send(1);
    await seal("a", [id]);
    await redact("a");
    await seal("b", [id]);
    expect((await sweepIn(31)).removed).toEqual({ sessions: 1, blobs: 0 });
    expect(await isThere(id)).toBe(true);
    await redact("b");
    expect((await sweepIn(32)).removed).toEqual({ sessions: 1, blobs: 1 });
    expect(await isThere(id)).toBe(false);
  });

  test("once gone make redacting anew fail, saying why, for good", async () => {
    const id = await send(1);
    await seal("a", [id]);
    await redact("a");
    await sweepIn(31);
    ({ pipeline } = await loadPipeline(await settings({ unlocated: "keep" })));
    await expect(runOne("a", "redact")).rejects.toMatchObject({ code: "failed_precondition", reason: "BLOB_EXPIRED" });
  });

  test("whose bytes a killed process left go at the next turn", async () => {
    const id = await send(1);
    await seal("a", [id]);
    await redact("a");
    const killed = new Error("killed");
    const dying = { remove: () => Promise.reject(killed) };
    const { failed } = await sweepIn(31, dying);
    expect(failed).toMatchObject([{ cause: killed }]);
    expect(await isThere(id)).toBe(true);
    await expect(findOriginal(app.store, "p", id, never)).rejects.toMatchObject({ reason: "BLOB_EXPIRED" });
    await sweepIn(31);
    expect(await isThere(id)).toBe(false);
  });

  test("sent again by a session that is new are there for it, whether their bytes had gone or not", async () => {
    const id = await send(1);
    await seal("a", [id]);
    await redact("a");
    const dying = { remove: () => Promise.reject(new Error("killed")) };
    await sweepIn(31, dying);
    for (const session of ["b", "c"]) {
      expect(await ingest.missingBlobs("p", [id], session, never)).toMatchObject([{ id, stored: false }]);
      await send(1);
      await seal(session, [id]);
      await sweepIn(31);
      expect(await isThere(id)).toBe(true);
      await redact(session);
      await sweepIn(31);
      expect(await isThere(id)).toBe(false);
    }
  });
});

async function settings(params: object): Promise<string> {
  const file = join(dir, "pipeline.yaml");
  await writeFile(file, JSON.stringify({ stages: { redact: params } }));
  return file;
}

function sha256Of(data: Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}
