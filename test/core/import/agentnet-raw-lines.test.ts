import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { holdsOne, openRecordings } from "../../../src/core/import/importer.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { checkEvent } from "../../../src/core/session/event-check.ts";
import type { Event } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { never } from "../../fixtures.ts";
import { reduceEvents } from "../pipeline/acts.ts";
import { countCodes, importedFrom, validated } from "../pipeline/recorded.ts";
import { collect, eventsOf, only } from "./reading.ts";

describe("a raw recording", () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "sluice-agentnet-raw-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  type Line = Readonly<Record<string, unknown>> | string;

  async function write(files: Readonly<Record<string, readonly Line[]>>, place = directory): Promise<void> {
    for (const [name, lines] of Object.entries(files)) {
      const texts = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line)));
      await writeFile(join(place, `${name}.jsonl`), texts.join("\n"));
    }
  }

  const move = (time_stamp: number, event_idx = 0): Line => ({ time_stamp, action: "move", x: 1, y: 2, event_idx });
  const click = (time_stamp: number, pressed: boolean, more: object = {}): Line => ({
    ...{ time_stamp, action: "click", x: 10, y: 20, button: "left", pressed },
    ...more,
  });
  const key = (time_stamp: number, action: "press" | "release", name: string, pynput_key = `'${name}'`): Line => ({
    ...{ time_stamp, action, name, pynput_key },
  });
  const tree = (Name: string, [left, top, right, bottom]: readonly number[], Children: object[] = []): object => ({
    ...{ Name, ControlType: "ButtonControl", BoundingRectangle: { left, top, right, bottom }, Depth: 0, Children },
  });

  const read = async (): Promise<Event[]> => eventsOf(await only(directory));
  const reduced = async () => {
    const [recorded] = await importedFrom(directory);
    if (recorded === undefined) throw new Error("no recording");
    const { session, events, findings } = await validated(recorded);
    return { ...reduceEvents(session, events), findings: countCodes(findings) };
  };
  const flawOf = async (seq: bigint) => {
    const recorded = await collect((await only(directory)).events(1n, never));
    const event = recorded.find((each) => each.seq === seq)?.event ?? new Uint8Array();
    return checkEvent(event, seq, DEFAULT_LIMITS);
  };

  test("of events alone says what is not there, and its times tell their distances", async () => {
    await write({ events: [move(900_000.5), click(900_001, true), click(900_001.25, false)] });
    const { absent, info } = await only(directory);
    expect(absent).toContain("elements");
    expect(absent).toContain("the task");
    expect(absent).toContain("when it was recorded");
    expect(info).toMatchObject({ task: "", rawJson: '{"metadata":null,"task_name":null}' });
    expect(info.labels).toContainEqual({ name: "times", value: "relative" });
    expect((await read()).map(({ timeMs }) => timeMs)).toEqual([86_400_000n, 86_400_500n, 86_400_750n]);
    expect((await reduced()).findings).toEqual({ PAGE_MISSING: 1 });
  });

  test("names keys as the DOM does, and what is held makes hotkeys and capitals", async () => {
    await write({
      events: [
        key(1, "press", "shift_r", "Key.shift_r"),
        key(1.1, "press", "H"),
        key(1.2, "release", "H"),
        key(1.3, "release", "shift_r", "Key.shift_r"),
        key(1.4, "press", "i"),
        key(1.5, "release", "i"),
        key(2, "press", "page_down", "Key.page_down"),
        key(2.1, "release", "page_down", "Key.page_down"),
        key(3, "press", "ctrl_l", "Key.ctrl_l"),
        key(3.1, "press", "\u0003", "'\\x03'"),
        key(3.2, "release", "C", "<67>"),
        key(3.3, "release", "ctrl_l", "Key.ctrl_l"),
        key(3.4, "press", "ctrl_l", "Key.ctrl_l"),
        key(3.5, "press", "alt_gr", "Key.alt_gr"),
        key(3.6, "press", "@"),
        key(3.7, "release", "@"),
        key(3.8, "release", "alt_gr", "Key.alt_gr"),
        key(3.9, "release", "ctrl_l", "Key.ctrl_l"),
        key(4, "press", "cmd", "Key.cmd"),
        key(4.1, "release", "cmd", "Key.cmd"),
      ],
    });
    const keys = (await read()).map(({ key: told }) => [told?.key, told?.code]);
    expect(keys.filter((_, index) => [0, 1, 6, 9, 10, 18].includes(index))).toEqual([
      ["Shift", "ShiftRight"],
      ["H", ""],
      ["PageDown", ""],
      ["c", ""],
      ["c", "KeyC"],
      ["Meta", ""],
    ]);
    const { actions } = await reduced();
    expect(actions.map(({ kind, value }) => [kind, value])).toEqual([
      ["type", "Hi"],
      ["key", "PageDown"],
      ["hotkey", "ctrl+c"],
      ["type", "@"],
      ["key", "Meta"],
    ]);
  });

  test("numbers buttons as the DOM does, and names one that the DOM has no number for", async () => {
    const names = ["left", "middle", "right", "x1", "button9", "unknown"];
    await write({ events: names.flatMap((button, at) => [click(at, true, { button }), click(at, false, { button })]) });
    const told = (await read()).filter((_, index) => index % 2 === 0);
    expect(told.map(({ customType, pointer }) => [customType, pointer?.button])).toEqual([
      ...[0, 1, 2, 3, 4].map((button) => ["mousedown", button]),
      ["unknown_down", 0],
    ]);
  });

  test("gives a press the row nearest to it, also one that came late or stands behind the next", async () => {
    const row = (time_stamp: number, name: string, box = [0, 0, 100, 100]): Line => ({
      ...{ time_stamp, a11y_tree: tree(name, box) },
    });
    await write({
      events: [1, 1.2, 3, 10, 20].flatMap((at) => [click(at, true), click(at + 0.1, false)]),
      element: [
        row(1.201, "second"),
        row(1.001, "first"),
        row(2.8, "early"),
        row(5, "of no press"),
        row(10.001, "elsewhere", [200, 200, 300, 300]),
        "{cut off",
      ],
    });
    const events = await read();
    const pressed = events.filter(({ customType }) => customType === "mousedown");
    expect(pressed.map(({ target }) => target?.name)).toEqual(["first", "second", "early", undefined, undefined]);
    expect(JSON.parse(pressed[3]?.rawJson ?? "")).toMatchObject({
      event: { time_stamp: 10 },
      element: [{ time_stamp: 5 }, { time_stamp: 10.001 }],
    });
    expect(JSON.parse(pressed[4]?.rawJson ?? "")).toMatchObject({ element: ["{cut off"] });
  });

  test("tells the innermost element that has a name, and what it stands in", async () => {
    const thumb = tree("", [5, 15, 15, 25]);
    const a11y_tree = tree(
      "window",
      [0, 0, 500, 500],
      [tree("large", [0, 0, 400, 400]), tree("small", [0, 0, 50, 50], [thumb]), tree("beside", [11, 0, 12, 500])],
    );
    await write({ events: [click(1, true), click(1.1, false)], element: [{ time_stamp: 1, a11y_tree }] });
    const [event] = await read();
    expect(event?.target).toMatchObject({ role: "button", name: "small", box: { x: 0, y: 0, width: 50, height: 50 } });
    expect(event?.target?.ancestors.map(({ name }) => name)).toEqual(["window"]);
  });

  test("keeps what is written after its last event with that, also where that was cut off", async () => {
    const window = { time_stamp: 9, top_window_name: "explorer" };
    const cut = '{"time_stamp": 1.5, "act';
    await write({ events: [click(0, true), click(0.1, false), click(1, true), cut], top_window: [window] });
    const events = await read();
    expect(JSON.parse(events[3]?.rawJson ?? "")).toEqual({ event: cut, top_window: [window] });
    expect(await flawOf(4n)).toMatchObject({ flaw: { path: "type" } });
    expect(events[3]?.timeMs).toBe(events[2]?.timeMs);
    const { actions } = await reduced();
    expect(actions).toMatchObject([{ kind: "click" }, { kind: "click", inferred: ["SYNTHETIC_RELEASE"] }]);
  });

  test("sets aside what says too little of itself, and carries what it has no name for under its own", async () => {
    await write({
      events: [
        move(1),
        { time_stamp: 2, action: "click", x: 1, y: 1, button: "left" },
        { time_stamp: 3, action: "move", x: 1 },
        { time_stamp: 4, action: "scroll", x: 1, y: 1, dx: 0 },
        { time_stamp: 5 },
        "[1]",
        { time_stamp: 6, action: "gesture", x: 7, y: 8, fingers: 3 },
      ],
    });
    for (const seq of [2n, 3n, 4n, 5n, 6n]) expect(await flawOf(seq)).toMatchObject({ flaw: { path: "type" } });
    const events = await read();
    expect(events[6]).toMatchObject({ customType: "gesture", pointer: { x: 7, y: 8 } });
    expect(events.map(({ rawJson }) => JSON.parse(rawJson)).slice(4, 6)).toEqual([{ time_stamp: 5 }, [1]]);
    expect((await reduced()).actions).toMatchObject([{ kind: "other", name: "gesture" }]);
  });

  test("carries times that run back as they are, and releases without a press", async () => {
    await write({ events: [click(5, false), click(7, true), click(6, false), move(8)] });
    expect((await read()).map(({ timeMs }) => timeMs)).toEqual([86_400_000n, 86_402_000n, 86_401_000n, 86_403_000n]);
    const { actions, unused, findings } = await reduced();
    expect(actions.map(({ kind, startMs }) => [kind, startMs])).toEqual([["click", 86_402_000]]);
    expect(unused.map(({ code }) => code)).toEqual(["UNMATCHED_RELEASE", "POINTER_MOVE"]);
    expect(findings).toMatchObject({ TIME_REVERSED: 1 });
  });

  test("counts a line that was written twice as a duplicate, and tells a pause with what follows it", async () => {
    const pause = { time_stamp: 2, action: "pause", event_idx: 1 };
    const resume = { time_stamp: 3, action: "resume", event_idx: 2 };
    const stop = { time_stamp: 5, action: "pause", event_idx: 4 };
    await write({ events: [move(1), move(1), pause, resume, "", click(4, true, { event_idx: 3 }), stop] });
    const recording = await only(directory);
    expect(await recording.account(never)).toEqual({ items: 6, told: 2, context: 3, duplicate: 1 });
    const events = await eventsOf(recording);
    expect(JSON.parse(events[1]?.rawJson ?? "")).toMatchObject({ recorder: [pause, resume, stop] });
    expect(recording.where(2n)).toMatch(/events\.jsonl:6$/);
  });

  test("with another behind it is refused where that begins", async () => {
    const long = Array.from({ length: 1100 }, (_, index) => move(index, index));
    await write({ events: [...long, ...long] });
    await expect(read()).rejects.toMatchObject({
      reason: "BAD_CAPTURE",
      metadata: { line: "1101", field: "event_idx" },
    });
  });

  test("leaves out rows that are longer or deeper than the daemon takes, and says how many", async () => {
    const deep = `{"time_stamp":1,"a11y_tree":${"[".repeat(300)}${"]".repeat(300)}}`;
    const html = (length: number): Line => ({ time_stamp: 1, url: "https://a.example/", html: "x".repeat(length) });
    await write({
      events: [click(1, true), click(2, false)],
      element: [deep],
      html: [html(600_000), ...Array.from({ length: 9 }, () => html(100_000))],
    });
    const [event, last] = await read();
    const raw = JSON.parse(event?.rawJson ?? "");
    expect(raw.leftOut).toEqual({ element: 1, html: 5 });
    expect(raw.html).toHaveLength(5);
    expect(JSON.parse(last?.rawJson ?? "")).not.toHaveProperty("html");
    for (const seq of [1n, 2n]) expect(await flawOf(seq)).toHaveProperty("facts");
  });

  test("is known by its lines, whatever lies beside them", async () => {
    const inner = join(directory, "one");
    await mkdir(inner);
    await write({ events: ["damaged", move(1)] }, inner);
    await write({ events: [{ time_stamp: 1, action: "click", start_time: 1, key: [] }] });
    expect(await holdsOne(directory, never)).toBe(false);
    expect(await holdsOne(inner, never)).toBe(true);
    const found = await collect(openRecordings(directory, never));
    expect(found.map(({ where }) => where(1n))).toEqual([`${join(inner, "events.jsonl")}:?`]);
    // Beside what is none it would hide that: a backfill enters the directory, and tells of both.
    await mkdir(join(directory, "two"));
    for (const path of [directory, join(directory, "events.jsonl")]) {
      await expect(collect(openRecordings(path, never))).rejects.toMatchObject({ reason: "UNKNOWN_FORMAT" });
    }
  });

  test("in bytes that are no UTF-8, or in a line without an end, is refused with its place", async () => {
    await writeFile(
      join(directory, "events.jsonl"),
      Buffer.from(`${JSON.stringify(move(1))}\n{"action":"\xff"}`, "latin1"),
    );
    await expect(only(directory)).rejects.toMatchObject({ reason: "BAD_CAPTURE", metadata: { line: "2" } });
    await write({ events: [move(1), "x".repeat(2 * 1024 * 1024)] });
    await expect(only(directory)).rejects.toMatchObject({ reason: "BAD_CAPTURE", metadata: { line: "2" } });
  });
});
