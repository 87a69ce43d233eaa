import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { checkEvent } from "../../../src/core/session/event-check.ts";
import { EventSchema, EventType } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { never } from "../../fixtures.ts";
import { collect, eventsOf, nameOf, only } from "./reading.ts";
import { call, HEAD, lines, picture, traceArchive } from "./trace-lines.ts";

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "sluice-playwright-"));
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const FIELD = ["INPUT", { __playwright_target__: "", __playwright_value_: "", id: "q", type: "email" }];
const PAGE = ["HTML", { __playwright_scroll_top_: "40" }, ["HEAD", {}, ["TITLE", {}, "Shop"]], ["BODY", {}, FIELD]];

describe("what a call of Playwright is as an event", () => {
  const point = { x: 10, y: 20 };
  const box = { x: 0, y: 0, width: 100, height: 40 };
  const told = async (...calls: Parameters<typeof call>[0][]) =>
    await eventsOf(await only(await write(traceArchive([HEAD, ...calls.flatMap(call)]))));
  const one = async (method: string, more: Partial<Parameters<typeof call>[0]>) =>
    await told({ id: "1", method, start: 1000, ...more });

  test("a click, with all that is known of the page", async () => {
    const [click] = await one("click", {
      params: { selector: "#q", button: "right" },
      html: PAGE,
      inputs: [{ point, box }],
    });
    expect(click).toMatchObject({
      type: EventType.CLICK,
      timeMs: 1_700_000_001_005n,
      pointer: { ...point, button: 2, clicks: 1 },
      page: { url: "http://a.example/", title: "Shop", scrollY: 40, viewportWidth: 1280 },
      target: { tag: "input", role: "textbox", box },
    });
  });

  test("with all else that the page shows, in every frame, and holds in its fields", async () => {
    const body = [
      ["STYLE", {}, "p { }"],
      ["P", {}, "Dear ", ["B", {}, "Ann"], ", hello"],
      ["INPUT", { __playwright_value_: "9", name: "n", style: "x" }],
      ["INPUT", { __playwright_value_: "on", __playwright_checked_: "true", type: "checkbox" }],
      ["SELECT", {}, ["OPTION", { __playwright_selected_: "true", value: "b" }, "Bee"]],
      ["DIV", {}, ["template", { __playwright_shadow_root_: "open" }, ["I", {}, "in a shadow"]]],
      FIELD,
    ];
    const inner = { callId: "1", phase: "action", pageId: "p", frameId: "g", html: ["HTML", {}, "framed"] };
    const records: object[] = call({ id: "1", method: "click", start: 1, html: ["BODY", {}, ...body] });
    records.splice(-1, 0, { type: "frame-snapshot", snapshot: { ...inner, timestamp: 1 } });
    const [click] = await eventsOf(await only(await write(traceArchive([HEAD, ...records]))));
    expect(click?.elements.map(({ tag, text, value }) => [tag, text, value])).toEqual([
      ["p", "Dear , hello", ""],
      ["b", "Ann", ""],
      ["input", "", "9"],
      ["select", "", "b"],
      ["option", "Bee", ""],
      ["i", "in a shadow", ""],
      ["html", "framed", ""],
    ]);
    expect(click?.elements[2]?.attributes).toMatchObject([{ name: "name", value: "n" }]);
  });

  test("stays below the limit of an event however much the page and the call say, in any script", async () => {
    const items = Array.from({ length: 3_000 }, () => ["P", { id: "漢".repeat(900) }, "漢"]);
    const html = ["BODY", {}, ...items];
    const params = { selector: "#q", note: "漢".repeat(120_000) };
    const path = await write(traceArchive([HEAD, ...call({ id: "1", method: "click", start: 1, html, params })]));
    const [{ event, seq } = { event: new Uint8Array(), seq: 0n }] = await collect((await only(path)).events(1n, never));
    expect(checkEvent(event, seq, DEFAULT_LIMITS)).toHaveProperty("facts");
    expect(fromBinary(EventSchema, event).elements.length).toBeGreaterThan(50);
  });

  test.each<[string, Partial<Parameters<typeof call>[0]>, object]>([
    ["dblclick", { inputs: [{ point }] }, { type: EventType.CLICK, pointer: { clicks: 2 } }],
    ["hover", { inputs: [{ point }] }, { type: EventType.HOVER, pointer: point }],
    ["tap", { inputs: [{ point }] }, { type: EventType.TOUCH, pointer: point }],
    ["check", { inputs: [{ point }] }, { type: EventType.CLICK, pointer: point }],
    [
      "fill",
      { params: { value: "x@a.example" }, html: PAGE },
      { type: EventType.INPUT, input: { value: "x@a.example", kind: "email" } },
    ],
    [
      "selectOption",
      { after: { result: { values: ["a", "b"] } } },
      { type: EventType.INPUT, input: { value: "a,b", kind: "select" } },
    ],
    [
      "setInputFiles",
      { params: { localPaths: ["/home/me/a.txt", "C:\\b.txt"] } },
      { input: { value: "a.txt,b.txt", kind: "file" } },
    ],
    [
      "press",
      { params: { key: "Control+Shift+KeyT" } },
      { type: EventType.KEY, key: { key: "T", code: "KeyT", ctrl: true, shift: true } },
    ],
    ["press", { params: { key: "ControlOrMeta++" } }, { key: { key: "+", ctrl: true, meta: false } }],
    ["focus", {}, { type: EventType.FOCUS }],
    [
      "goto",
      { params: { url: "http://b.example/" }, html: PAGE },
      { type: EventType.NAVIGATION, page: { url: "http://b.example/", title: "", scrollY: 0, viewportWidth: 1280 } },
    ],
    ["dispatchEvent", { params: { type: "click" } }, { type: EventType.CUSTOM, customType: "dispatchEvent" }],
    [
      "dragAndDrop",
      { inputs: [{ point }, { point: { x: 50, y: 60 } }] },
      { type: EventType.DRAG, pointer: { ...point, toX: 50, toY: 60 } },
    ],
    ["dragAndDrop", { inputs: [{ point }] }, { type: EventType.CUSTOM, customType: "dragAndDrop" }],
  ])("%s %j", async (method, more, event) => {
    expect(await one(method, more)).toMatchObject([event]);
  });

  test("the mouse, by itself and where it was last", async () => {
    const mouse = (method: string, start: number, params: object, at?: object) =>
      ({ id: String(start), of: "Page", method, start, params, ...(at && { inputs: [{ point: at }] }) }) as const;
    const events = await told(
      mouse("mouseWheel", 1, { deltaX: 0, deltaY: 5 }),
      mouse("mouseMove", 2, { x: 10, y: 20 }, point),
      mouse("mouseDown", 3, { button: "middle" }),
      mouse("mouseUp", 4, {}, { x: 30, y: 40 }),
      mouse("mouseWheel", 5, { deltaX: 1, deltaY: 240 }),
      mouse("mouseClick", 6, { x: 7, y: 8, clickCount: 2 }),
    );
    expect(events.map(({ customType, pointer }) => [customType, pointer?.x, pointer?.y, pointer?.button])).toEqual([
      ["", 0, 0, 0],
      ["mousemove", 10, 20, 0],
      ["mousedown", 10, 20, 1],
      ["mouseup", 30, 40, 0],
      ["", 30, 40, 0],
      ["", 7, 8, 0],
    ]);
    expect(events.at(-1)?.pointer?.clicks).toBe(2);
  });

  test("keys that are held count until they are let go", async () => {
    const key = (method: string, start: number, params: object) => ({
      id: `${start}`,
      of: "Page",
      method,
      start,
      params,
    });
    const events = await told(
      key("keyboardDown", 1, { key: "Shift" }),
      key("keyboardPress", 2, { key: "KeyA" }),
      key("keyboardUp", 3, { key: "Shift" }),
      key("keyboardType", 4, { text: "é\n" }),
    );
    expect(events.map(({ customType, key: told }) => [customType, told?.key, told?.shift])).toEqual([
      ["keydown", "Shift", true],
      ["", "A", true],
      ["keyup", "Shift", false],
      ["", "é", false],
      ["", "Enter", false],
    ]);
    expect(events.map(({ id }) => id)).toEqual(["1", "2", "3", "4.0", "4.1"]);
  });

  test("what was typed is what the field held then; where nothing says so, the keys", async () => {
    const field = (value: string) => ["INPUT", { __playwright_target__: "", __playwright_value_: value }];
    const type = (more: object) => one("type", { params: { text: "ab" }, ...more });
    expect(await type({ html: field("x"), htmlAfter: field("xab") })).toMatchObject([{ input: { value: "xab" } }]);
    expect(await type({ html: field("") })).toMatchObject([{ input: { value: "ab" } }]);
    expect(await type({ html: field("x") })).toMatchObject([{ key: { key: "a" } }, { key: { key: "b" } }]);
  });

  test("a box that was as it should be is no act, and neither is looking, waiting or asking", async () => {
    const asked = ["check", "expect", "waitForSelector", "evaluateExpression", "textContent", "setContent"];
    const calls = asked.map((method, at) => ({ id: method, method, start: at }));
    const recording = await only(await write(traceArchive([HEAD, ...calls.flatMap(call)])));
    expect(await eventsOf(recording)).toEqual([]);
    expect(await recording.account(never)).toEqual({ items: 13, told: 0, context: 13, duplicate: 0 });
  });

  test("one that failed, or never ended, is kept and not told as done; one that failed later was done", async () => {
    const error = { error: { name: "TimeoutError", message: "too late" } };
    const [failed, late, open] = await told(
      { id: "1", method: "click", start: 1, after: error, inputs: [{ point }], log: ["attempting click action"] },
      { id: "2", method: "click", start: 2, after: error, inputs: [{ point }], log: ["  performing click action"] },
      { id: "3", method: "click", start: 3, after: null, inputs: [{ point }] },
    );
    expect([failed?.customType, late?.type, open?.customType]).toEqual(["error", EventType.CLICK, "error"]);
    expect(JSON.parse(failed?.rawJson ?? "")).toMatchObject({
      before: { method: "click" },
      input: [{ point }],
      after: error,
    });
    expect(JSON.parse(open?.rawJson ?? "")).toMatchObject({ after: null });
  });

  test("stands in the order in which things were done, however long a call waits before it or after", async () => {
    const begin = (callId: string, startTime: number) => {
      return { type: "before", callId, class: "Frame", method: "click", params: {}, startTime };
    };
    const seen = (callId: string, timestamp: number) => {
      const shown = { phase: "action", pageId: "p", frameId: "f", html: ["HTML"] };
      return { type: "frame-snapshot", snapshot: { callId, timestamp, ...shown } };
    };
    const records = [
      ...[HEAD, begin("late", 1), begin("long", 2), seen("long", 10)],
      ...call({ id: "one", method: "hover", start: 20 }),
      ...call({ id: "two", method: "hover", start: 30 }),
      ...call({ id: "three", method: "hover", start: 40 }),
      ...[{ type: "after", callId: "long" }, seen("late", 50), { type: "after", callId: "late" }],
    ];
    const events = await eventsOf(await only(await write(traceArchive(records))));
    expect(events.map(({ id, timeMs }) => [id, Number(timeMs - 1_700_000_000_000n)])).toEqual([
      ["long", 10],
      ["one", 20],
      ["two", 30],
      ["three", 40],
      ["late", 50],
    ]);
  });
});

describe("the picture before an act", () => {
  const image = (format: "png" | "jpeg" | "webp", width: number) =>
    sharp({ create: { width, height: 9, channels: 3, background: "red" } })
      .toFormat(format)
      .toBuffer();
  const click = (id: string, start: number) =>
    call({ id, method: "click", start, inputs: [{ point: { x: 1, y: 1 } }] });

  test("is the page's last one, by what its bytes are", async () => {
    const files = {
      "screencast/p-1.jpeg": await image("webp", 20),
      "screencast/p-2.jpeg": await image("png", 30),
      "screencast/o-1.jpeg": await image("jpeg", 40),
    };
    const records = [
      ...[HEAD, picture("screencast/p-1.jpeg", 1), ...click("a", 2), ...click("b", 3)],
      ...[picture("screencast/p-2.jpeg", 4), picture("screencast/o-1.jpeg", 5, "other"), ...click("c", 6)],
    ];
    const recording = await only(await write(traceArchive(records, files)));
    const shots = (await eventsOf(recording)).flatMap(({ screenshots }) => screenshots);
    expect(shots.map(({ width, height }) => [width, height])).toEqual([
      [20, 9],
      [20, 9],
      [30, 9],
    ]);
    expect((await collect(recording.blobs(never))).map(({ mediaType }) => mediaType)).toEqual([
      "image/webp",
      "image/png",
    ]);
  });

  test.each<[string, string, Record<string, string>]>([
    ["is missing", "screencast/none.jpeg", {}],
    ["is no image", "screencast/a.jpeg", { "screencast/a.jpeg": "<html>" }],
    ["has an image's head and no more", "screencast/a.png", { "screencast/a.png": "\x89PNG\r\n\x1a\n" }],
    ["lies elsewhere", "../../etc/passwd", {}],
  ])("that %s is set aside once, and the act is told without it", async (_, file, files) => {
    const path = await write(traceArchive([HEAD, picture(file, 1), ...click("a", 2), ...click("b", 3)], files));
    const recording = await only(path);
    const recorded = await collect(recording.events(1n, never));
    const events = recorded.map(({ event }) => fromBinary(EventSchema, event));
    expect(events.map(({ type }) => nameOf(type))).toEqual(["UNSPECIFIED", "CLICK", "CLICK"]);
    expect(JSON.parse(events[0]?.rawJson ?? "")).toMatchObject({ type: "screencast-frame", file });
    expect(recording.where(1n)).toBe(`${path}: trace.trace:2`);
    expect(recorded.map(({ event, seq }) => "flaw" in checkEvent(event, seq, DEFAULT_LIMITS))).toEqual([
      true,
      false,
      false,
    ]);
    expect(await recording.account(never)).toMatchObject({ told: 1 + 2 * 3 });
    expect(await collect(recording.blobs(never))).toEqual([]);
  });

  test("is not read from outside a directory, by a link or by its name", async () => {
    await writeFile(join(root, "secret.png"), await image("png", 20));
    const trace = join(root, "run");
    await mkdir(join(trace, "screencast"), { recursive: true });
    await symlink(join(root, "secret.png"), join(trace, "screencast", "a.png"));
    for (const file of ["screencast/a.png", "../secret.png", "screencast/../../secret.png", "screencast"]) {
      await writeFile(join(trace, "trace.trace"), lines([HEAD, picture(file, 1), ...click("a", 2)]));
      expect((await eventsOf(await only(trace))).map(({ type }) => nameOf(type))).toEqual(["UNSPECIFIED", "CLICK"]);
    }
  });
});

async function write(bytes: Buffer, name = "trace.zip"): Promise<string> {
  const path = join(root, name);
  await writeFile(path, bytes);
  return path;
}
