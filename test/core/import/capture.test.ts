import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AppError } from "../../../src/core/errors.ts";
import { openRecordings, type Recording } from "../../../src/core/import/importer.ts";
import { EventSchema, EventType } from "../../../src/wire/gen/sluice/v1/event_pb.ts";

const signal = AbortSignal.timeout(60_000);
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "sluice-capture-"));
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

describe("a native capture", () => {
  test("gives its session, its events in order and its blobs", async () => {
    const image = Buffer.from("not really an image");
    const id = sha256(image);
    const dir = await capture({
      session: {
        id: "s-1",
        info: { task: "Buy a lamp", collector: "c/1", labels: [{ name: "site", value: "shop" }] },
      },
      lines: [
        '{"timeMs":"1700000000000","type":"EVENT_TYPE_NAVIGATION","page":{"url":"https://shop.example.com/"}}',
        `{"seq":"2","timeMs":"1700000000500","type":"EVENT_TYPE_CLICK","screenshots":[{"blobId":"${id}","phase":"SCREENSHOT_PHASE_BEFORE","width":1,"height":1}]}`,
      ],
      blobs: { [`${id}.webp`]: image },
    });
    const recording = await only(dir);
    expect(recording).toMatchObject({ session: "s-1", stream: "main", eventCount: 2 });
    expect(recording.where(2n)).toBe(join(dir, "events.ndjson:2"));
    expect(recording.info).toEqual({
      task: "Buy a lamp",
      collector: "c/1",
      startUrl: "",
      userAgent: "",
      labels: [{ name: "site", value: "shop" }],
      rawJson: "",
    });
    const events = await collect(recording.events(1n, signal));
    expect(events.map((e) => e.seq)).toEqual([1n, 2n]);
    expect(events.map((e) => e.blobs)).toEqual([[], [id]]);
    expect(events.map((e) => fromBinary(EventSchema, e.event).type)).toEqual([EventType.NAVIGATION, EventType.CLICK]);
    expect(await collect(recording.blobs(signal))).toEqual([
      {
        id,
        size: image.length,
        mediaType: "image/webp",
        path: join(dir, "blobs", `${id}.webp`),
        read: expect.any(Function),
      },
    ]);
    expect(await recording.account(signal)).toEqual({ items: 2, told: 2, context: 0, duplicate: 0 });
  });

  test("gives the same bytes each time it is read, and from any position", async () => {
    const dir = await capture({ lines: lines(40) });
    const recording = await only(dir);
    const whole = await collect(recording.events(1n, signal));
    const again = await collect((await only(dir)).events(1n, signal));
    expect(again).toEqual(whole);
    expect(await collect(recording.events(31n, signal))).toEqual(whole.slice(30));
    expect(await collect(recording.events(41n, signal))).toEqual([]);
  });

  test("is read across chunk borders, with CRLF, and with no line break at the end", async () => {
    const wide = Array.from({ length: 300 }, (_, i) =>
      JSON.stringify({
        timeMs: String(1_700_000_000_000 + i),
        type: "EVENT_TYPE_HOVER",
        target: { text: "é".repeat(1000 + i) },
      }),
    );
    const dir = await capture({ lines: wide, separator: "\r\n", end: "" });
    const recording = await only(dir);
    expect(recording.eventCount).toBe(300);
    const events = await collect(recording.events(1n, signal));
    expect(events.map((e) => fromBinary(EventSchema, e.event).target?.text.length)).toEqual(
      wide.map((_, i) => 1000 + i),
    );
  });

  test("may stand in a directory of captures, which are read by name", async () => {
    await capture({ name: "b", session: { id: "second" }, lines: lines(1) });
    await capture({ name: "a", session: { id: "first" }, lines: lines(1) });
    const recordings = await collect(openRecordings(root, signal));
    expect(recordings.map((r) => r.session)).toEqual(["first", "second"]);
  });

  test("with no events and no blobs is an empty recording", async () => {
    const recording = await only(await capture({ lines: [] }));
    expect(recording.eventCount).toBe(0);
    expect(await collect(recording.events(1n, signal))).toEqual([]);
    expect(await collect(recording.blobs(signal))).toEqual([]);
  });
});

describe("a bad capture is refused with the file, the line, the field and what to do", () => {
  const good = '{"timeMs":"1","type":"EVENT_TYPE_CLICK"}';
  test.each([
    ["a line that is not JSON", '{"timeMs":"1","type":', "", "not JSON"],
    ["an empty line", "", "", "empty"],
    [
      "a value of another type",
      '{"timeMs":"1","page":{"viewportWidth":"wide"}}',
      "page.viewportWidth",
      "not a valid value",
    ],
    ["an unknown field", '{"timeMs":"1","page":{"href":"x"}}', "page.href", "no such field"],
    ["an unknown type of event", '{"timeMs":"1","type":"EVENT_TYPE_POKE"}', "type", "EventType"],
    [
      "a bad element of a list",
      '{"target":{"selectors":[{"kind":"SELECTOR_KIND_CSS"},{"kind":"NONE"}]}}',
      "target.selectors[1].kind",
      "SelectorKind",
    ],
    ["a field given twice", '{"timeMs":"1","time_ms":"2"}', "time_ms", "twice"],
    ["half a surrogate pair", '{"id":"\\ud800"}', "id", "not a valid value"],
    ["a number that is no integer", '{"timeMs":1.5}', "timeMs", "not a valid value"],
    ["a seq that is not the line's number", '{"seq":"7","timeMs":"1"}', "seq", "line's number"],
    ["a list", "[]", "", "expected an object"],
  ])("%s", async (_, bad, field, problem) => {
    const dir = await capture({ lines: [good, bad, good] });
    const error = await failure(collect((await only(dir)).events(1n, signal)));
    expect(error).toMatchObject({ code: "invalid_argument", reason: "BAD_CAPTURE" });
    expect(error.metadata).toEqual({ path: join(dir, "events.ndjson"), line: "2", ...(field === "" ? {} : { field }) });
    expect(error.message).toContain("events.ndjson:2");
    expect(error.message).toContain(problem);
  });

  test("and what came before the bad line was given", async () => {
    const dir = await capture({ lines: [good, good, "{"] });
    const seqs: bigint[] = [];
    const reading = (async () => {
      for await (const { seq } of (await only(dir)).events(1n, signal)) seqs.push(seq);
    })();
    await failure(reading);
    expect(seqs).toEqual([1n, 2n]);
  });

  test("without telling a recorded value", async () => {
    const dir = await capture({ lines: ['{"timeMs":"1","input":{"value":"hunter2","masked":"hunter2"}}'] });
    const error = await failure(collect((await only(dir)).events(1n, signal)));
    expect(error.message).not.toContain("hunter2");
    expect(error.metadata).toMatchObject({ field: "input.masked" });
  });

  test("bytes that are not UTF-8", async () => {
    const dir = await capture({ lines: [good] });
    await writeFile(
      join(dir, "events.ndjson"),
      Buffer.concat([Buffer.from(`${good}\n{"id":"`), Buffer.from([0xff]), Buffer.from('"}\n')]),
    );
    const error = await failure(collect((await only(dir)).events(1n, signal)));
    expect(error.message).toContain("events.ndjson:2");
    expect(error.message).toContain("UTF-8");
  });

  test("a line without an end does not fill the memory", async () => {
    const dir = await capture({ lines: [good] });
    await writeFile(join(dir, "events.ndjson"), Buffer.alloc(12 * 1024 * 1024, 0x20));
    const error = await failure(collect((await only(dir)).events(1n, signal)));
    expect(error.message).toContain("longer than");
  });

  test.each([
    ["no id", { stream: "main" }, "id"],
    ["an id that is no id", { id: "../up" }, "id"],
    ["an unknown field", { id: "a", sesion: 1 }, "sesion"],
    ["an unknown field of the info", { id: "a", info: { tsak: "x" } }, "info.tsak"],
    ["a label without text", { id: "a", info: { labels: [{ name: 5 }] } }, "info.labels.0.name"],
  ])("a session.json with %s", async (_, session, field) => {
    const error = await failure(only(await capture({ session, lines: lines(1) })));
    expect(error).toMatchObject({ reason: "BAD_CAPTURE", metadata: { field } });
    expect(error.message).toContain("session.json");
  });

  test("a session without its events, and events without their session", async () => {
    const dir = await capture({ lines: lines(1) });
    await rm(join(dir, "events.ndjson"));
    expect((await failure(only(dir))).message).toContain("events.ndjson");
    const other = await capture({ name: "other", lines: lines(1) });
    await rm(join(other, "session.json"));
    expect((await failure(only(other))).message).toContain("session.json");
  });

  test("one that is no capture among captures", async () => {
    await capture({ name: "a", lines: lines(1) });
    await mkdir(join(root, "b"));
    expect((await failure(collect(openRecordings(root, signal)))).message).toContain(join("b", "session.json"));
  });

  test("a blob whose bytes do not hash to its name", async () => {
    const name = `${sha256(Buffer.from("one"))}.png`;
    const dir = await capture({ lines: lines(1), blobs: { [name]: Buffer.from("two") } });
    const error = await failure(collect((await only(dir)).blobs(signal)));
    expect(error).toMatchObject({ code: "invalid_argument", reason: "BAD_CAPTURE" });
    expect(error.metadata).toEqual({ path: join(dir, "blobs", name) });
  });

  test("blobs that are no directory", async () => {
    const dir = await capture({ lines: lines(1) });
    await writeFile(join(dir, "blobs"), "x");
    expect((await failure(collect((await only(dir)).blobs(signal)))).message).toContain(join(dir, "blobs"));
  });

  test.each(["readme.txt", `${"a".repeat(64)}.gif`, `${"A".repeat(64)}.png`])(
    "a stray file %s among the blobs",
    async (name) => {
      const dir = await capture({ lines: lines(1), blobs: { [name]: Buffer.from("x") } });
      expect((await failure(collect((await only(dir)).blobs(signal)))).message).toContain(name);
    },
  );
});

describe("a path", () => {
  test("with nothing at it is not found", async () => {
    expect(await failure(only(join(root, "nothing")))).toMatchObject({ code: "not_found", reason: "NO_SUCH_FILE" });
  });

  test("in no known format is refused with the formats tried", async () => {
    await writeFile(join(root, "notes.txt"), "hello");
    for (const path of [root, join(root, "notes.txt")]) {
      const error = await failure(only(path));
      expect(error).toMatchObject({ code: "invalid_argument", reason: "UNKNOWN_FORMAT" });
      expect(error.message).toContain("native capture");
    }
  });

  test("is no longer read when the signal aborts", async () => {
    const dir = await capture({ lines: lines(20_000) });
    const recording = await only(dir);
    const stop = new AbortController();
    let read = 0;
    const reading = (async () => {
      for await (const _ of recording.events(1n, stop.signal)) {
        read += 1;
        if (read === 1) stop.abort();
      }
    })();
    await expect(reading).rejects.toMatchObject({ name: "AbortError" });
    expect(read).toBeLessThan(20_000);
  });
});

interface CaptureParts {
  readonly name?: string;
  readonly session?: unknown;
  readonly lines: readonly string[];
  readonly separator?: string;
  readonly end?: string;
  readonly blobs?: Readonly<Record<string, Buffer>>;
}

async function capture(parts: CaptureParts): Promise<string> {
  const dir = join(root, parts.name ?? "capture");
  await mkdir(dir);
  await writeFile(join(dir, "session.json"), JSON.stringify(parts.session ?? { id: "s" }));
  const separator = parts.separator ?? "\n";
  const end = parts.lines.length === 0 ? "" : (parts.end ?? separator);
  await writeFile(join(dir, "events.ndjson"), parts.lines.join(separator) + end);
  if (parts.blobs !== undefined) {
    await mkdir(join(dir, "blobs"));
    for (const [name, bytes] of Object.entries(parts.blobs)) await writeFile(join(dir, "blobs", name), bytes);
  }
  return dir;
}

function lines(count: number): string[] {
  return Array.from({ length: count }, (_, i) =>
    JSON.stringify({ id: `e${i}`, timeMs: String(1_700_000_000_000 + i), type: "EVENT_TYPE_CLICK" }),
  );
}

async function only(path: string): Promise<Recording> {
  const [recording, ...rest] = await collect(openRecordings(path, signal));
  expect(rest).toEqual([]);
  if (recording === undefined) throw new Error("no recording");
  return recording;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function failure(promise: Promise<unknown>): Promise<AppError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof AppError) return error;
  throw new Error("expected an AppError", { cause: error });
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
