import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fromBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AppError } from "../../../src/core/errors.ts";
import {
  openRecordings,
  type RecordedBlob,
  type RecordedEvent,
  type Recording,
} from "../../../src/core/import/importer.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { checkEvent } from "../../../src/core/session/event-check.ts";
import { type Event, EventSchema, EventType, ScreenshotPhase } from "../../../src/wire/gen/sluice/v1/event_pb.ts";

const DATA = fileURLToPath(new URL("../../../../shared/data/agentnet/", import.meta.url));
const there = existsSync(DATA);
const signal = AbortSignal.timeout(60_000);

/** What each file holds, counted by hand from its code. */
const FILES = [
  {
    file: "bench/s_7f27a11115e596eb.json",
    id: "s_7f27a11115e596eb",
    steps: 11,
    events: 14,
    size: [1212, 758],
    list: "steps",
  },
  {
    file: "bench/s_df0fd37049f470c2.json",
    id: "s_df0fd37049f470c2",
    steps: 7,
    events: 8,
    size: [1280, 720],
    list: "steps",
  },
  { file: "cot/raw_example.jsonl", id: "task_example_0", steps: 15, events: 17, size: [1276, 718], list: "traj" },
] as const;

describe("a real AgentNet trajectory", () => {
  beforeEach((context) => {
    if (!there) context.skip("no AgentNet recordings at ../shared/data/agentnet");
  });

  describe.each(FILES)("$file", ({ file, id, steps, events, size, list }) => {
    test("gives every action and every screenshot, and each event is one the daemon takes", async () => {
      const { recording, recorded, read, blobs } = await readOnly(join(DATA, file));
      expect(recording).toMatchObject({ session: id, stream: "main", eventCount: events });
      expect(recorded.map(({ seq }) => seq)).toEqual(recorded.map((_, i) => BigInt(i + 1)));
      expect(recorded.length).toBe(events);
      expect(recording.where(1n)).toMatch(new RegExp(`${basename(file)}(:1)?: ${list}\\.0$`));
      expect(recording.where(BigInt(events))).toMatch(new RegExp(`: ${list}\\.${steps - 1}$`));
      for (const { event, seq } of recorded) expect(checkEvent(event, seq, DEFAULT_LIMITS)).toHaveProperty("facts");

      const shots = read.flatMap((event) => event.screenshots);
      expect(shots.length).toBe(steps);
      for (const shot of shots) {
        expect(shot).toMatchObject({ phase: ScreenshotPhase.BEFORE, width: size[0], height: size[1] });
      }
      expect(blobs.map((blob) => blob.id)).toEqual([...new Set(shots.map((shot) => shot.blobId))]);
      for (const blob of blobs) {
        const bytes = await readFile(blob.path);
        expect({ id: createHash("sha256").update(bytes).digest("hex"), size: bytes.length }).toEqual({
          id: blob.id,
          size: blob.size,
        });
      }
      expect(recorded.flatMap((event) => event.blobs)).toEqual(shots.map((shot) => shot.blobId));
    });

    test("keeps every step exactly as it is in the file, and the rest of the trajectory", async () => {
      const text = await readFile(join(DATA, file), "utf8");
      const { recording, read } = await readOnly(join(DATA, file));
      const raw = read.filter((event) => event.rawJson !== "").map((event) => event.rawJson);
      for (const json of raw) expect(text).toContain(json);
      const whole = JSON.parse(text);
      expect(raw.map((json) => JSON.parse(json))).toEqual(whole[list]);
      expect({ ...JSON.parse(recording.info.rawJson), [list]: whole[list] }).toEqual(whole);
      expect(recording.info.task).toBe(whole.user_task_description ?? whole.instruction);
    });

    test("matches each screenshot with its own step", async () => {
      const { read, blobs } = await readOnly(join(DATA, file));
      const names = new Map(blobs.map((blob) => [blob.id, basename(blob.path)]));
      for (const event of read.filter((e) => e.screenshots.length > 0)) {
        // Two steps may show the same picture; it is then one blob, told under its first name.
        const path = join(DATA, file, "../images", JSON.parse(event.rawJson).image);
        const hash = createHash("sha256")
          .update(await readFile(path))
          .digest("hex");
        expect(event.screenshots.map((shot) => shot.blobId)).toEqual([hash]);
        expect(names.has(hash)).toBe(true);
      }
    });

    test("gives the same bytes each time, and from any position", async () => {
      const first = await readOnly(join(DATA, file));
      const second = await readOnly(join(DATA, file));
      expect(second.recorded).toEqual(first.recorded);
      for (let from = 1; from <= events + 1; from += 1) {
        expect(await collect(second.recording.events(BigInt(from), signal))).toEqual(first.recorded.slice(from - 1));
      }
    });

    test("places every pointer on the screen, and invents no time, page or name", async () => {
      const { recording, read } = await readOnly(join(DATA, file));
      expect(read.map((event) => event.timeMs)).toEqual(read.map((_, i) => BigInt(i + 1)));
      expect(recording.info.labels).toContainEqual({ name: "times", value: "order-only" });
      for (const { pointer, page, target, before, after } of read) {
        expect([page, before, after]).toEqual([undefined, undefined, undefined]);
        expect(target?.name ?? "").toBe("");
        if (pointer === undefined) continue;
        expect(pointer.x > 0 && pointer.x < size[0] && pointer.y > 0 && pointer.y < size[1]).toBe(true);
      }
    });
  });

  test("gives the actions that its code says", async () => {
    const { read } = await readOnly(join(DATA, "cot/raw_example.jsonl"));
    expect(read.map((event) => event.id)).toEqual(
      "0.0 1.0 2.0 3.0 3.1 4.0 5.0 5.1 6.0 7.0 8.0 9.0 10.0 11.0 12.0 13.0 14.0".split(" "),
    );
    const [click, right, , move, drag, , , scroll] = read;
    expect(click).toMatchObject({
      type: EventType.CLICK,
      pointer: { x: 0.9722 * 1276, y: 0.9701 * 718, button: 0, clicks: 1 },
    });
    expect(right).toMatchObject({ type: EventType.CLICK, pointer: { button: 2 } });
    expect(move).toMatchObject({ type: EventType.HOVER });
    expect(drag).toMatchObject({
      type: EventType.DRAG,
      pointer: { x: 0.4546 * 1276, y: 0.2682 * 718, toX: 0.4107 * 1276, toY: 0.2773 * 718 },
    });
    expect(scroll).toMatchObject({ type: EventType.SCROLL, pointer: { x: 0.396 * 1276, y: 0.7839 * 718, deltaY: 3 } });
    expect(read.at(-1)).toMatchObject({ type: EventType.CUSTOM, customType: "terminate" });
  });

  test("tells the box the benchmark gives for what was aimed at, around the pointer", async () => {
    const { read } = await readOnly(join(DATA, "bench/s_7f27a11115e596eb.json"));
    const aimed = read.filter((event) => event.target?.box !== undefined);
    expect(aimed.length).toBe(9);
    expect(aimed[0]?.target?.box).toMatchObject({ x: 281.25, y: 453.34, width: 794.05, height: 59.76 });
    for (const { pointer, target } of aimed) {
      const { x = 0, y = 0, width = 0, height = 0 } = target?.box ?? {};
      expect(pointer !== undefined && pointer.x >= x && pointer.x <= x + width).toBe(true);
      expect(pointer !== undefined && pointer.y >= y && pointer.y <= y + height).toBe(true);
    }
  });

  test("may stand in a directory with others, which are read by name", async () => {
    const recordings = await collect(openRecordings(join(DATA, "bench"), signal));
    expect(recordings.map((recording) => recording.session)).toEqual(["s_7f27a11115e596eb", "s_df0fd37049f470c2"]);
  });

  test("is not seen in the files of the raw recording beside it", async () => {
    for (const path of [
      "raw-recording/reduced_events_complete.jsonl",
      "raw-recording/metadata.json",
      "raw-recording/event_buffer.jsonl",
      "UPSTREAM-LICENSE",
    ]) {
      expect(await failure(collect(openRecordings(join(DATA, path), signal)))).toMatchObject({
        reason: "UNKNOWN_FORMAT",
      });
    }
  });
});

describe("a bad trajectory is refused with the file, the line, the field and what to do", () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "sluice-agentnet-"));
    await mkdir(join(root, "images"));
    await writeFile(join(root, "images", "0.png"), png(640, 480));
  });

  afterEach(async () => {
    await rm(root, { recursive: true, force: true });
  });

  const good = {
    task_id: "t",
    instruction: "Do it",
    traj: [{ index: 0, image: "0.png", value: { code: "pyautogui.click(x=0.5, y=0.5)" } }],
  };

  async function write(...lines: unknown[]): Promise<string> {
    const path = join(root, "t.jsonl");
    await writeFile(path, lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"));
    return path;
  }

  test("one that is good is read", async () => {
    const { read } = await readOnly(await write(good));
    expect(read).toMatchObject([{ pointer: { x: 320, y: 240 }, screenshots: [{ width: 640, height: 480 }] }]);
  });

  test("a file of one line is read whatever its name, and a picture shown twice is one blob", async () => {
    const [step] = good.traj;
    const path = join(root, "t.json");
    await writeFile(path, JSON.stringify({ ...good, traj: [step, { ...step, index: 1 }] }));
    const { read, blobs } = await readOnly(path);
    expect(read.map((event) => event.id)).toEqual(["0.0", "1.0"]);
    expect(blobs.length).toBe(1);
    await writeFile(path, `${JSON.stringify(good)}\n${JSON.stringify({ ...good, task_id: "u" })}\n`);
    expect((await collect(openRecordings(path, signal))).map(({ session }) => session)).toEqual(["t", "u"]);
  });

  test("a line that was cut off, after those that are whole", async () => {
    const sessions: string[] = [];
    const reading = (async () => {
      for await (const { session } of openRecordings(await write(good, '{"task_id": "cut", "traj": [{"in'), signal))
        sessions.push(session);
    })();
    const error = await failure(reading);
    expect(sessions).toEqual(["t"]);
    expect(error).toMatchObject({ code: "invalid_argument", reason: "BAD_CAPTURE", metadata: { line: "2" } });
    expect(error.message).toContain("t.jsonl:2");
  });

  test.each([
    ["a task without an id", { ...good, task_id: undefined }, "task_id"],
    ["a step without code", { ...good, traj: [{ index: 0, image: "0.png", value: {} }] }, "traj.0.value.code"],
    ["a step whose number is none", { ...good, traj: [{ ...good.traj[0], index: "0" }] }, "traj.0.index"],
  ])("%s", async (_, bad, field) => {
    // The first line is what makes it a trajectory.
    const error = await failure(collect(openRecordings(await write(good, bad), signal)));
    expect(error).toMatchObject({ reason: "BAD_CAPTURE", metadata: { line: "2", field } });
  });

  test.each(["9.png", "../secret.png", "/etc/hostname", "a/b.png", ""])(
    "an image %j that is not in images/",
    async (image) => {
      await copyFile(join(root, "images", "0.png"), join(root, "secret.png"));
      const [recording] = await collect(
        openRecordings(await write({ ...good, traj: [{ ...good.traj[0], image }] }), signal),
      );
      if (recording === undefined) throw new Error("no recording");
      for (const items of [recording.events(1n, signal), recording.blobs(signal)]) {
        expect(await failure(collect<unknown>(items))).toMatchObject({
          reason: "BAD_CAPTURE",
          metadata: { line: "1", field: "traj.0.image" },
        });
      }
    },
  );

  test("a screenshot that is no PNG", async () => {
    await writeFile(join(root, "images", "0.png"), "<html>404</html>");
    const [recording] = await collect(openRecordings(await write(good), signal));
    if (recording === undefined) throw new Error("no recording");
    const error = await failure(collect(recording.events(1n, signal)));
    expect(error).toMatchObject({ reason: "BAD_CAPTURE", metadata: { path: join(root, "images", "0.png") } });
  });

  test("a task's id that is no session id becomes one that is its own", async () => {
    const odd = ["a b", "a/b", "é", "x".repeat(200), "-"];
    const recordings = await collect(
      openRecordings(await write(...odd.map((task_id) => ({ ...good, task_id }))), signal),
    );
    const ids = recordings.map((recording) => recording.session);
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/);
    expect(new Set(ids).size).toBe(odd.length);
  });
});

interface Whole {
  readonly recording: Recording;
  readonly recorded: readonly RecordedEvent[];
  readonly read: readonly Event[];
  readonly blobs: readonly RecordedBlob[];
}

async function readOnly(path: string): Promise<Whole> {
  const [recording, ...rest] = await collect(openRecordings(path, signal));
  expect(rest).toEqual([]);
  if (recording === undefined) throw new Error("no recording");
  const recorded = await collect(recording.events(1n, signal));
  const read = recorded.map(({ event }) => fromBinary(EventSchema, event));
  return { recording, recorded, read, blobs: await collect(recording.blobs(signal)) };
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

/** The head of a PNG: enough to tell its size. */
function png(width: number, height: number): Buffer {
  const head = Buffer.from("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0\0\0\0\0\x08\x02\0\0\0", "latin1");
  head.writeUInt32BE(width, 16);
  head.writeUInt32BE(height, 20);
  return head;
}
