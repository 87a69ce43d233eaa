import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fromBinary } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, test } from "vitest";
import { openRecordings, type RecordedBlob, type Recording } from "../../../src/core/import/importer.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { checkEvent } from "../../../src/core/session/event-check.ts";
import { type Event, EventSchema, EventType, ScreenshotPhase } from "../../../src/wire/gen/sluice/v1/event_pb.ts";

const SAMPLE = fileURLToPath(new URL("../../../dev/sample/", import.meta.url));
const signal = AbortSignal.timeout(60_000);

interface Read {
  readonly recording: Recording;
  readonly events: readonly Event[];
  readonly blobs: readonly RecordedBlob[];
}

let sample: Read[];

beforeAll(async () => {
  sample = [];
  for await (const recording of openRecordings(SAMPLE, signal)) {
    const events = [];
    for await (const { event, seq } of recording.events(1n, signal)) {
      expect(checkEvent(event, seq, DEFAULT_LIMITS)).toHaveProperty("facts");
      events.push(fromBinary(EventSchema, event));
    }
    const blobs = [];
    for await (const blob of recording.blobs(signal)) blobs.push(blob);
    sample.push({ recording, events, blobs });
  }
});

describe("the sample", () => {
  test("is three recordings of 20 to 80 events, each with its task", () => {
    expect(sample.map((read) => read.recording.session)).toEqual([
      "filter-and-compare",
      "return-policy-lookup",
      "search-and-buy",
    ]);
    for (const { recording, events } of sample) {
      expect(recording.eventCount).toBe(events.length);
      expect(events.length).toBeGreaterThanOrEqual(20);
      expect(events.length).toBeLessThanOrEqual(80);
      expect(recording.info.task).not.toBe("");
      expect(recording.info.startUrl).toBe("http://shop.example.com/");
    }
  });

  test("takes less than 4 MB", async () => {
    let bytes = 0;
    for (const entry of await readdir(SAMPLE, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
    }
    expect(bytes).toBeLessThan(4_000_000);
  });

  test("holds every screenshot that an event names, at the size it names, and no other", async () => {
    for (const { events, blobs } of sample) {
      const shots = events.flatMap((event) => event.screenshots);
      expect(new Set(blobs.map((blob) => blob.id))).toEqual(new Set(shots.map((shot) => shot.blobId)));
      const sizes = new Map<string, string>();
      for (const blob of blobs) sizes.set(blob.id, webpSize(await readFile(blob.path)));
      for (const shot of shots) {
        expect(shot.phase).toBe(ScreenshotPhase.BEFORE);
        expect(sizes.get(shot.blobId)).toBe(`${shot.width}x${shot.height}`);
      }
    }
  });

  test("has a screenshot before every first click, and none of a page not painted yet", () => {
    for (const { events, blobs } of sample) {
      const bare = events.filter(
        (e) => e.type === EventType.CLICK && e.pointer?.clicks === 1 && e.screenshots.length === 0,
      );
      expect(bare).toEqual([]);
      expect(blobs.length).toBeGreaterThan(10);
      // A page that was not painted packs to almost nothing.
      for (const blob of blobs) expect(blob.size).toBeGreaterThan(4000);
    }
  });

  test("has the kinds of events a collector sees", () => {
    const types = new Set(sample.flatMap(({ events }) => events.map((event) => event.type)));
    for (const type of [
      EventType.CLICK,
      EventType.INPUT,
      EventType.SCROLL,
      EventType.NAVIGATION,
      EventType.HOVER,
      EventType.FOCUS,
      EventType.BLUR,
      EventType.SUBMIT,
      EventType.KEY,
      EventType.DRAG,
      EventType.CUSTOM,
    ]) {
      expect(types).toContain(type);
    }
  });

  test("tells where, on what and in what state each thing happened", () => {
    for (const { events } of sample) {
      for (const event of events) {
        expect(event.page?.url).toMatch(/^http:\/\/shop\.example\.com\//);
        expect(event.page?.title).toContain("Harbour & Pine");
        expect(event.page).toMatchObject({ viewportWidth: 1280, viewportHeight: 720, devicePixelRatio: 1 });
        expect(JSON.parse(event.rawJson)).toMatchObject({ recorder: "sluice-demo-recorder/1" });
        if (event.screenshots.length > 0) {
          expect(event.elements.length).toBeGreaterThan(10);
          expect(event.elements.every(({ box }) => (box?.width ?? 0) > 0)).toBe(true);
        }
        if (event.type === EventType.NAVIGATION) continue;
        const reliabilities = event.target?.selectors.map((selector) => selector.reliability) ?? [];
        expect(reliabilities.length).toBeGreaterThan(0);
        expect(reliabilities).toEqual(reliabilities.toSorted((a, b) => b - a));
        expect(event.target?.tag).not.toBe("");
        expect(event.target?.box?.width).toBeGreaterThan(0);
        expect(event.after).toBeDefined();
      }
      for (const { pointer, target, type } of events) {
        if (type !== EventType.CLICK || pointer === undefined || target?.box === undefined) continue;
        const { x, y, width, height } = target.box;
        expect(pointer.x >= x && pointer.x <= x + width && pointer.y >= y && pointer.y <= y + height).toBe(true);
      }
    }
  });

  test("tells what changed: typing, ticking and choosing differ before and after", () => {
    const inputs = sample.flatMap(({ events }) => events.filter((event) => event.type === EventType.INPUT));
    expect(inputs.length).toBeGreaterThan(15);
    for (const { before, after } of inputs) {
      expect(`${before?.value} ${before?.checked}`).not.toBe(`${after?.value} ${after?.checked}`);
    }
  });

  test("has times that never go back within a recording", () => {
    for (const { events } of sample) {
      const times = events.map((event) => event.timeMs);
      expect(times).toEqual(times.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
    }
  });

  test("keeps no secret that was typed, in no field and not in the raw JSON", async () => {
    const masked = sample.flatMap(({ events }) => events.filter((event) => event.input?.masked));
    const autocomplete = masked.map((e) => e.target?.attributes.find((a) => a.name === "autocomplete")?.value);
    expect(autocomplete).toEqual(["new-password", "cc-number", "cc-exp", "cc-csc"]);
    for (const event of masked) {
      expect(event.input?.value).toBe("••••••••");
      expect(event.after?.value).toBe("••••••••");
    }
    for (const { recording } of sample) {
      const text = await readFile(join(SAMPLE, recording.session, "events.ndjson"), "utf8");
      for (const secret of TYPED_SECRETS) expect(text).not.toMatch(secret);
    }
  });
});

/** What dev/tasks.ts types into masked fields. */
const TYPED_SECRETS = [/correct-horse-7/, /4242/, /12\/34/, /"737"/, /\\"737\\"/];

/** Width and height from the header of an extended WebP, which is what Chromium writes. */
function webpSize(bytes: Buffer): string {
  expect(bytes.toString("latin1", 0, 4) + bytes.toString("latin1", 8, 16)).toBe("RIFFWEBPVP8X");
  return `${bytes.readUIntLE(24, 3) + 1}x${bytes.readUIntLE(27, 3) + 1}`;
}
