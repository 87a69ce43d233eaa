import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fromBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openRecordings } from "../../../src/core/import/importer.ts";
import { readZipEntries, readZipEntry } from "../../../src/core/import/zip.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { checkEvent } from "../../../src/core/session/event-check.ts";
import { EventSchema, EventType, ScreenshotPhase } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { never } from "../../fixtures.ts";
import { collect, eventsOf, nameOf, only } from "./reading.ts";
import { call, HEAD, lines, traceArchive } from "./trace-lines.ts";
import { type ZippedFile, zipArchive } from "./zip-archive.ts";

const SHARED = fileURLToPath(new URL("../../../../shared/data/", import.meta.url));
const ASSETS = join(SHARED, "playwright/tests/assets");
const TASKS = join(SHARED, "cross-format");

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "sluice-playwright-"));
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

describe("a real trace of Playwright", () => {
  beforeEach((context) => {
    if (!existsSync(ASSETS)) context.skip("no traces at ../shared/data/playwright");
  });

  /** Counted by hand: lines of all its files, calls that are acts, pictures before them. */
  test.each([
    ["trace-1.31.zip", "trace", "4", 25, 3, "CLICK", 1],
    ["trace-1.37.zip", "0-trace", "4", 76, 2, "NAVIGATION", 0],
    ["test-trace1.zip", "0-trace", "6", 55, 2, "NAVIGATION", 0],
    ["test-trace2.zip", "0-trace", "6", 56, 2, "NAVIGATION", 0],
    ["trace-library-1.46.zip", "trace", "7", 19, 0, "", 0],
    // Its pictures are not in the archive.
    ["trace-remote-time-diff.zip", "0-trace", "7", 54, 3, "UNSPECIFIED NAVIGATION", 0],
  ])("%s", async (file, stream, version, items, told, types, pictures) => {
    const recording = await only(join(ASSETS, file));
    expect(recording.stream).toBe(stream);
    expect(recording.info.labels).toContainEqual({ name: "trace_version", value: version });
    expect(await recording.account(never)).toEqual({ items, told, context: items - told, duplicate: 0 });
    const events = await eventsOf(recording);
    expect(events.map(({ type }) => nameOf(type)).join(" ")).toBe(types);
    expect((await collect(recording.blobs(never))).length).toBe(pictures);
  });

  test("tells of version 4 what was clicked, where and when", async () => {
    const [click] = await eventsOf(await only(join(ASSETS, "trace-1.31.zip")));
    expect(click).toMatchObject({
      id: "call@13",
      timeMs: 1679595660422n,
      pointer: { x: 36.74, y: 18.48, button: 0, clicks: 1 },
      page: { url: "about:blank", viewportWidth: 1280, viewportHeight: 720, devicePixelRatio: 1 },
      target: { tag: "button", role: "button", name: "Submit", text: "Submit" },
      screenshots: [{ phase: ScreenshotPhase.BEFORE, width: 800, height: 450 }],
    });
    expect(click?.target?.selectors[0]).toMatchObject({
      value: "button",
      grounding: { matches: 1, findsTarget: true },
    });
    expect(click?.elements).toEqual([]);
  });

  test.each([
    ["trace-from-the-future.zip", "version 10000, newer than any that is known; the newest is 10"],
    ["blob-1.42.zip", "a blob report"],
    ["blob-1.52.zip", "a blob report"],
    ["har-fulfill.har", "a HAR"],
    ["har-redirect.har", "a HAR"],
    ["har-sha1.har", "a HAR"],
  ])("%s is none that is read, and says why", async (file, reason) => {
    await expect(collect(openRecordings(join(ASSETS, file), never))).rejects.toMatchObject({
      code: "invalid_argument",
      reason: "BAD_CAPTURE",
      message: expect.stringContaining(reason),
    });
  });

  test.each(["chromium-linux.zip", "har-sha1-main-response.txt"])("%s is nothing that is known", async (file) => {
    await expect(collect(openRecordings(join(ASSETS, file), never))).rejects.toMatchObject({
      reason: "UNKNOWN_FORMAT",
    });
  });
});

describe("a real trace of version 10", () => {
  beforeEach((context) => {
    if (!existsSync(TASKS)) context.skip("no traces at ../shared/data/cross-format");
  });

  test.each([
    ["book-flight", 17],
    ["choose-list", 12],
    ["navigate-tree", 13],
    ["terminal", 15],
  ])("of %s has every call that is an act, each valid, and its pictures whole", async (task, count) => {
    const recording = await only(join(TASKS, task, "trace.zip"));
    const recorded = await collect(recording.events(1n, never));
    expect(recorded.length).toBe(count);
    for (const { event, seq } of recorded) expect(checkEvent(event, seq, DEFAULT_LIMITS)).toHaveProperty("facts");
    expect(await collect(recording.events(9n, never))).toEqual(recorded.slice(8));
    const { items, told, context } = await recording.account(never);
    expect(told + context).toBe(items);

    const blobs = await collect(recording.blobs(never));
    expect(new Set(blobs.map(({ id }) => id))).toEqual(new Set(recorded.flatMap((event) => event.blobs)));
    for (const blob of blobs) {
      const bytes = Buffer.concat(await collect(blob.read(0, never)));
      expect(createHash("sha256").update(bytes).digest("hex")).toBe(blob.id);
      expect([bytes.length, blob.mediaType]).toEqual([blob.size, "image/jpeg"]);
      expect(Buffer.concat(await collect(blob.read(100, never)))).toEqual(bytes.subarray(100));
    }
  });

  test("finds what every aimed call was done to, in the page as it was, with the pointer in its box", async () => {
    const events = await eventsOf(await only(join(TASKS, "click-checkboxes-soft", "trace.zip")));
    const aimed = events.filter(({ target }) => target !== undefined);
    expect(aimed.length).toBe(6);
    for (const { target } of aimed) {
      const best = target?.selectors[0];
      expect(best?.grounding).toMatchObject({ matches: 1, findsTarget: true, boxHoldsPointer: true });
    }
    expect(aimed.map(({ before, after }) => [before?.checked, after?.checked])).toEqual([
      [false, false],
      ...Array.from({ length: 4 }, () => [false, true]),
      [false, false],
    ]);
  });

  test("is the same session and the same events when it was unpacked", async () => {
    const archive = join(TASKS, "choose-list", "trace.zip");
    for (const entry of (await readZipEntries(archive, never)).values()) {
      await mkdir(dirname(join(root, entry.name)), { recursive: true });
      await writeFile(join(root, entry.name), Buffer.concat(await collect(readZipEntry(archive, entry, never))));
    }
    const zipped = await only(archive);
    for (const path of [root, join(root, "trace.trace")]) {
      const unpacked = await only(path);
      expect(unpacked.session).toBe(zipped.session);
      expect(await collect(unpacked.events(1n, never))).toEqual(await collect(zipped.events(1n, never)));
      expect((await collect(unpacked.blobs(never))).map(({ id }) => id)).toEqual(
        (await collect(zipped.blobs(never))).map(({ id }) => id),
      );
    }
  });
});

describe("a trace", () => {
  const click = call({ id: "1", method: "click", start: 1, inputs: [{ point: { x: 1, y: 1 } }] });

  test("of several contexts is one session with a stream of each, the test runner's steps beside them", async () => {
    const step = { type: "before", callId: "s", class: "Test", method: "step", startTime: 1, params: {} };
    const files: ZippedFile[] = [
      { name: "test.trace", bytes: lines([step]) },
      { name: "0-trace.trace", bytes: lines([HEAD, ...click]) },
      { name: "1-trace.trace", bytes: lines([HEAD, ...click, ...click]) },
      { name: "0-trace.network", bytes: lines([{ type: "resource-snapshot" }, {}]) },
    ];
    const recordings = await collect(openRecordings(await write(zipArchive(files)), never));
    expect(recordings.map(({ stream }) => stream)).toEqual(["0-trace", "1-trace"]);
    expect(new Set(recordings.map(({ session }) => session)).size).toBe(1);
    const accounts = await Promise.all(recordings.map((recording) => recording.account(never)));
    expect(accounts.map(({ items }) => items)).toEqual([4 + 1 + 2, 7]);
  });

  test("is the same session whatever its file is called, and another with other records", async () => {
    const one = await only(await write(traceArchive([HEAD, ...click]), "a.zip"));
    const same = await only(await write(traceArchive([HEAD, ...click]), "b.bin"));
    const other = await only(await write(traceArchive([HEAD, ...click, {}].slice(0, -2)), "c.zip"));
    expect(same.session).toBe(one.session);
    expect(other.session).not.toBe(one.session);
    expect(one.session).toMatch(/^playwright-[0-9a-f]{32}$/);
  });

  test("whose run was cut off is read as far as it is whole, and what was cut is set aside", async () => {
    const whole = lines([HEAD, ...click]);
    const path = await write(Buffer.from(`${whole}{"type":"before","callId":"2","cla`), "run.trace");
    const recording = await only(path);
    const recorded = await collect(recording.events(1n, never));
    const [first, cut] = recorded.map(({ event }) => fromBinary(EventSchema, event));
    expect(first?.type).toBe(EventType.CLICK);
    expect(cut).toMatchObject({ type: EventType.UNSPECIFIED, rawJson: '{"type":"before","callId":"2","cla' });
    expect(recording.where(2n)).toBe(`${path}:5`);
    expect(await recording.account(never)).toEqual({ items: 5, told: 4, context: 1, duplicate: 0 });
    const odd = await only(await write(Buffer.concat([Buffer.from(whole), Buffer.from('{"é', "latin1")]), "odd.trace"));
    expect((await eventsOf(odd)).length).toBe(2);
  });

  test("of every known version is read by its own rules, and of no other", async () => {
    for (const version of [4, 5, 6, 7, 8, 9, 10]) {
      expect(await eventsOf(await only(await write(traceArchive([{ ...HEAD, version }, ...click]))))).toHaveLength(1);
    }
    for (const version of [undefined, null, "10", 3, 11, 10_000, 7.5]) {
      const path = await write(traceArchive([{ ...HEAD, version }, ...click]));
      await expect(collect(openRecordings(path, never))).rejects.toMatchObject({
        reason: "BAD_CAPTURE",
        metadata: { path: `${path}: trace.trace`, line: "1", field: "version" },
      });
    }
  });

  test("has times by the calls themselves where its head has none of its own clock", async () => {
    const { monotonicTime: _, ...old } = { ...HEAD, version: 4 };
    const [before, ...rest] = click;
    const records = [old, { ...before, wallTime: 1_600_000_000_000 }, ...rest];
    const [event] = await eventsOf(await only(await write(traceArchive(records))));
    expect(event?.timeMs).toBe(1_600_000_000_000n);
    const { wallTime: __, ...timeless } = HEAD;
    await expect(only(await write(traceArchive([timeless, ...click])))).rejects.toMatchObject({
      reason: "BAD_CAPTURE",
      metadata: { field: "wallTime" },
    });
  });

  test.each<[string, string | Buffer, number]>([
    ["a line that is no JSON", `${lines([HEAD])}{"type":"before",\n${lines(click)}`, 2],
    ["NaN", `${lines([HEAD])}{"type":"before","startTime":NaN}\n`, 2],
    ["a line without a type", lines([HEAD, ...click, { callId: "2" }]), 5],
    ["a line that is no UTF-8", Buffer.from(`${lines([HEAD])}{"type":"\xe9"}\n`, "latin1"), 2],
  ])("with %s is refused there, after what stands before it", async (_, bytes, line) => {
    const path = await write(Buffer.from(bytes), "bad.trace");
    await expect(readAll(path)).rejects.toMatchObject({
      reason: "BAD_CAPTURE",
      metadata: { path, line: String(line) },
    });
  });

  test("with dirt in its values loses nothing and never crashes", async () => {
    const dirty = [null, 7, "x", [], {}, "\ud800", { x: "1" }];
    const records = dirty.flatMap((value, at) => [
      {
        type: "before",
        callId: `${at}`,
        class: "Frame",
        method: "click",
        params: value,
        startTime: value,
        pageId: value,
      },
      { type: "input", callId: `${at}`, point: value, box: value },
      { type: "frame-snapshot", snapshot: value },
      {
        type: "frame-snapshot",
        snapshot: { callId: `${at}`, phase: "action", html: value, viewport: value, timestamp: value },
      },
      { type: "screencast-frame", pageId: value, file: value, timestamp: value },
      { type: "after", callId: `${at}`, error: value, result: value, log: value },
      { type: "log", callId: value, message: value },
    ]);
    const recording = await only(await write(traceArchive([HEAD, ...records])));
    const recorded = await collect(recording.events(1n, never));
    const own = recorded.map(({ event }) => fromBinary(EventSchema, event)).filter(({ id }) => id !== "");
    expect(own.map(({ id }) => id).toSorted()).toEqual(dirty.map((_, at) => String(at)));
    const { items, told, context } = await recording.account(never);
    expect([items, told + context]).toEqual([1 + records.length, items]);
  });

  test("whose calls never end does not hold them all", async () => {
    const records = Array.from({ length: 3_000 }, (_, at) =>
      call({ id: `${at}`, method: "click", start: at, after: null }),
    );
    const events = await eventsOf(await only(await write(traceArchive([HEAD, ...records.flat()]))));
    expect(events.map(({ id }) => id)).toEqual(records.map((_, at) => String(at)));
  });

  test("with what is longer than an event may be says so in its place", async () => {
    const long = call({ id: "1", method: "fill", start: 1, params: { value: "x", note: "y".repeat(200_000) } });
    const [event] = await eventsOf(await only(await write(traceArchive([HEAD, ...long]))));
    expect(JSON.parse(event?.rawJson ?? "")).toMatchObject({ callId: "1", method: "fill" });
    expect(event?.input?.value).toBe("x");
  });

  test("whose head or calls are nested as deep as one likes is read", async () => {
    const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    const head = `${JSON.stringify(HEAD).slice(0, -1)},"deep":${deep}}`;
    const before = `${JSON.stringify(click[0]).slice(0, -1)},"deep":${deep}}`;
    const recording = await only(
      await write(Buffer.from(`${head}\n${before}\n${lines(click.slice(1))}`), "deep.trace"),
    );
    expect(JSON.parse(recording.info.rawJson)).toMatchObject({ version: 10 });
    expect((await eventsOf(recording)).map(({ id }) => id)).toEqual(["1"]);
  });

  test("of a test runner alone, and an empty one, are refused", async () => {
    const step = { type: "before", callId: "s", class: "Test", method: "step", startTime: 1 };
    await expect(only(await write(traceArchive([step])))).rejects.toMatchObject({ reason: "BAD_CAPTURE" });
    await expect(only(await write(zipArchive([{ name: "trace.trace" }])))).rejects.toMatchObject({
      reason: "UNKNOWN_FORMAT",
    });
  });
});

async function write(bytes: Buffer, name = "trace.zip"): Promise<string> {
  const path = join(root, name);
  await writeFile(path, bytes);
  return path;
}

async function readAll(path: string): Promise<void> {
  for await (const recording of openRecordings(path, never)) await collect(recording.events(1n, never));
}
