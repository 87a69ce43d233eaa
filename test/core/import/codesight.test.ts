import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fromBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openRecordings, type RecordedEvent, type Recording } from "../../../src/core/import/importer.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { checkEvent } from "../../../src/core/session/event-check.ts";
import { type Event, EventSchema, EventType, SelectorKind } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { never } from "../../fixtures.ts";

const DATA = fileURLToPath(new URL("../../../../shared/data/codesight/", import.meta.url));
const NORDSTROM = join(DATA, "session-nordstrom-with-screenshot-rows.json");

interface Whole {
  readonly recording: Recording;
  readonly recorded: readonly RecordedEvent[];
  readonly events: readonly Event[];
}

async function readAll(path: string): Promise<Whole[]> {
  const found: Whole[] = [];
  for await (const recording of openRecordings(path, never)) {
    const recorded = await collect(recording.events(1n, never));
    found.push({ recording, recorded, events: recorded.map(({ event }) => fromBinary(EventSchema, event)) });
  }
  return found;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function readOne(path: string): Promise<Whole> {
  const [only, ...rest] = await readAll(path);
  expect(rest).toEqual([]);
  if (only === undefined) throw new Error("no recording");
  return only;
}

describe("real sessions", () => {
  beforeEach((context) => {
    if (!existsSync(DATA)) context.skip("no recordings at ../shared/data/codesight");
  });

  test("are all there, each event one the daemon takes, and counted without being read", async () => {
    const all = await readAll(DATA);
    expect(all.map(({ recording, events }) => [recording.session, recording.eventCount, events.length])).toEqual([
      ["session_1753397218246_hxcnmlv6i", 70, 70],
      ["session_1753910685015_fzus42zei", 85, 85],
      ["session_1753897349098_p9o66xuwm", 54, 54],
      ["session_1753894420339_mkfvw24za", 90, 90],
    ]);
    for (const { recorded, recording } of all) {
      expect(recording.stream).toBe("main");
      for (const { seq, event } of recorded) expect(checkEvent(event, seq, DEFAULT_LIMITS)).toHaveProperty("facts");
      expect(recorded.map(({ seq }) => seq)).toEqual(recorded.map((_, index) => BigInt(index + 1)));
      expect(await collect(recording.blobs(never))).toEqual([]);
    }
    const counts: Record<string, number> = {};
    for (const { type, customType } of all.flatMap(({ events }) => events)) {
      const name = Object.entries(EventType).find(([, number]) => number === type)?.[0] ?? "";
      counts[customType || name] = (counts[customType || name] ?? 0) + 1;
    }
    expect(counts).toEqual({
      FOCUS: 117,
      CLICK: 108,
      navigation_restored: 38,
      NAVIGATION: 16,
      INPUT: 15,
      FORM_SUBMIT: 3,
      KEY_PRESS: 2,
    });
  });

  test("keep every interaction exactly as it is in the file, and all else of the session", async () => {
    const text = await readFile(NORDSTROM, "utf8");
    const { recording, events } = await readOne(NORDSTROM);
    for (const { rawJson } of events) expect(text).toContain(rawJson);
    const whole = JSON.parse(text);
    expect(events.map(({ rawJson }) => JSON.parse(rawJson))).toEqual(whole.enhancedInteractions);
    const { enhancedInteractions: _, interactions: __, ...rest } = whole;
    expect(JSON.parse(recording.info.rawJson)).toEqual(rest);
    const { rawJson: json } = recording.info;
    expect(text).toContain(json.slice(json.indexOf('"generatedTask"'), json.indexOf(',"workerId"')));
    expect(recording.info).toMatchObject({
      task: whole.config.generatedTask.description,
      collector: "CodeSight",
      startUrl: "https://www.nordstrom.com/",
      userAgent: whole.userAgent,
      labels: [
        { name: "format", value: "codesight" },
        { name: "task_title", value: "Find a Casual Men's Outfit Under $150" },
        { name: "task_category", value: "men's fashion" },
        { name: "task_difficulty", value: "BEGINNER" },
      ],
    });
  });

  test("give the same bytes each time, and from any position", async () => {
    const first = await readOne(NORDSTROM);
    const again = await readOne(NORDSTROM);
    expect(again.recorded).toEqual(first.recorded);
    for (const from of [1, 2, 35, 70, 71, 500]) {
      const rest = await collect(first.recording.events(BigInt(from), never));
      expect(rest).toEqual(first.recorded.slice(from - 1));
    }
  });

  test("say in fields of their own what a rich click says", async () => {
    const { events } = await readOne(NORDSTROM);
    const click = events[9];
    const row = JSON.parse(click?.rawJson ?? "");
    expect(click).toMatchObject({
      id: row.id,
      type: EventType.CLICK,
      // When it happened; `timestamp` is when all of it was gathered, 342 ms later.
      timeMs: BigInt(Date.parse(row.action.timestamp)),
      page: {
        url: row.context.url,
        title: "Men's Deals, Sale & Clearance | Nordstrom",
        viewportWidth: 2967,
        viewportHeight: 1210,
        devicePixelRatio: 1,
        scrollX: 0,
        scrollY: 0,
      },
      pointer: { x: 722, y: 993, button: 0, clicks: 0 },
      before: { url: row.context.url, value: "", focused: true, visible: true, checked: false },
      target: {
        tag: "button",
        text: "70% off or more",
        role: "",
        name: "",
        attributes: [
          { name: "class", value: "NE_Bp krxMD" },
          { name: "tabindex", value: "-1" },
        ],
        box: { x: 733, y: 977.140625, width: 116.671875, height: 22.390625 },
        selectors: [
          { kind: SelectorKind.XPATH, value: row.selectors.xpath, reliability: 0.7 },
          { kind: SelectorKind.CSS, value: row.selectors.cssPath, reliability: 0.4 },
          { kind: SelectorKind.CSS, value: row.selectors.primary, reliability: 0.1666666666666667 },
          { kind: SelectorKind.CSS, value: 'button[type="submit"]', reliability: 0 },
          { kind: SelectorKind.CSS, value: row.elementDetails.cssSelector, reliability: 0 },
        ],
      },
    });
    expect(click?.target?.ancestors.slice(0, 3)).toMatchObject([
      { tag: "label", role: "", attributes: [{ name: "class", value: "TmdOV" }] },
      { tag: "div", role: "", attributes: [{ name: "class", value: "a8S2o" }] },
      {
        tag: "div",
        role: "region",
        attributes: [
          { name: "id", value: "discount-panel" },
          { name: "class", value: "zAOv5" },
        ],
      },
    ]);
    expect(click?.target?.ancestors.length).toBe(10);
    expect(click?.elements.map(({ tag, text, box }) => [tag, text, box?.width])).toEqual([
      ["input", "on", 13],
      ["button", "60% off or more", undefined],
      ["button", "50% off or more", undefined],
      ["button", "Fabric Care", undefined],
      ["label", "70% off or more", undefined],
      ["div", "20% off or more30% off or more40% off or more50% o", undefined],
      ["div", "Discount20% off or more30% off or more40% off or m", undefined],
      ["nav", "Page NavigationShipping & PickupAlderwood MallFree", undefined],
      ["h2", "Page Navigation", undefined],
    ]);
    expect([click?.input, click?.key, click?.after]).toEqual([undefined, undefined, undefined]);
  });

  test("lose no text that an interaction holds of its target or of what is around it", async () => {
    const all = await readAll(DATA);
    let texts = 0;
    for (const event of all.flatMap(({ events }) => events)) {
      const { element, contextData, elementDetails } = JSON.parse(event.rawJson);
      const lists = [element.nearbyElements, element.siblingElements, element.parentElements];
      const around = [...lists, contextData?.nearestClickable, contextData?.siblings].flatMap((list) => list ?? []);
      const held = new Set(["", ...event.elements.map(({ text }) => text)]);
      for (const { text } of around) expect(held.has(text)).toBe(true);
      const lengths = [element.text?.length ?? 0, elementDetails?.text.length ?? 0];
      expect(event.target?.text.length ?? 0).toBe(Math.max(...lengths));
      const outwards = [element.parentElements?.length ?? 0, contextData?.ancestors.length ?? 0];
      expect(event.target?.ancestors.length ?? 0).toBe(Math.max(...outwards));
      texts += around.length;
    }
    expect(texts).toBeGreaterThan(1000);
  });

  test("say what a shell says, and no more", async () => {
    const { events } = await readOne(NORDSTROM);
    const [focus] = events;
    expect(focus).toMatchObject({ type: EventType.FOCUS, page: { url: "https://www.nordstrom.com/", title: "" } });
    const { target, input, pointer, key, before, after, elements } = focus ?? {};
    expect([target, input, pointer, key, before, after]).toEqual(Array.from({ length: 6 }, () => undefined));
    expect(elements).toEqual([]);
  });

  test("hold fields whose value was kept back: it is the target's state, as it was told", async () => {
    const states = (await readAll(DATA)).flatMap(({ events }) => events.map(({ before }) => before?.value ?? ""));
    expect(states.filter((value) => value !== "")).toEqual(Array.from({ length: 8 }, () => "[PROTECTED]"));
  });
});

describe("an export", () => {
  let root: string;
  let path: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "sluice-codesight-"));
    path = join(root, "export.json");
  });
  afterEach(() => rm(root, { recursive: true }));

  const groups = { selectors: {}, visual: {}, element: {}, context: {}, state: {}, interaction: {} };
  const row = (more: object = {}) => ({ id: "r", type: "CLICK", timestamp: 1_753_397_223_054, ...groups, ...more });
  const session = (rows: unknown, more: object = {}) => ({ id: "s", config: {}, enhancedInteractions: rows, ...more });
  const write = async (value: unknown) => {
    await writeFile(path, typeof value === "string" ? value : JSON.stringify(value));
    return path;
  };
  const eventsOf = async (rows: unknown, more: object = {}) => (await readOne(await write(session(rows, more)))).events;

  test("of one session or of a list, pretty or not, is known by what is in it", async () => {
    for (const value of [session([row()]), [session([row()])]]) {
      expect((await readAll(await write(value))).map(({ recording }) => recording.session)).toEqual(["s"]);
      expect((await readAll(await write(JSON.stringify(value, undefined, 4)))).length).toBe(1);
    }
    await write({ enhanced: [] });
    await expect(readAll(path)).rejects.toMatchObject({ reason: "UNKNOWN_FORMAT" });
  });

  test("tells where in the file an event is, of one session or of a list", async () => {
    const { recording } = await readOne(await write(session([row(), row()])));
    expect(recording.where(2n)).toBe(`${path}: enhancedInteractions[1]`);
    const [, second] = await readAll(await write([session([row()]), session([row()], { id: "t" })]));
    expect(second?.recording.where(1n)).toBe(`${path}: [1].enhancedInteractions[0]`);
  });

  test("without interactions is a session without events", async () => {
    expect(await readOne(await write(session([])))).toMatchObject({ recording: { eventCount: 0 }, events: [] });
  });

  test("of older days has its interactions in the other list", async () => {
    const older = session([], { interactions: [row({ timestamp: "1753397223054" })] });
    expect((await readOne(await write(older))).events).toMatchObject([{ id: "r", timeMs: 1_753_397_223_054n }]);
  });

  test("has times in any form, and carries them as they are", async () => {
    const action = (timestamp: unknown) => ({ action: { timestamp } });
    const events = await eventsOf([
      row({ timestamp: "1753397223055" }),
      row({ timestamp: "1753397223056n" }),
      row({ timestamp: 1_753_397_223_057.9 }),
      row({ timestamp: "2025-07-24T22:47:03.058Z" }),
      row({ timestamp: "2025-07-25T00:47:03.059+02:00" }),
      row({ timestamp: 1_753_397_223 }),
      row(action("2025-07-24T22:47:03.001Z")),
      row(action("yesterday")),
    ]);
    expect(events.map(({ timeMs }) => Number(timeMs))).toEqual([
      1_753_397_223_055, 1_753_397_223_056, 1_753_397_223_057, 1_753_397_223_058, 1_753_397_223_059, 1_753_397_223,
      1_753_397_223_001, 1_753_397_223_054,
    ]);
  });

  test("gives a row without a time that of the row before, the first that of the session's beginning", async () => {
    // Without a zone a time is another on every machine: it is none.
    const none = [undefined, null, 0, -1, "soon", 1e300, "2025-07-24T22:47:03", {}].map((timestamp) =>
      row({ timestamp }),
    );
    const events = await eventsOf([...none, row(), row({ timestamp: "?" })], { startTime: "2025-07-24T22:46:59.053Z" });
    expect(events.map(({ timeMs }) => Number(timeMs))).toEqual([
      ...none.map(() => 1_753_397_219_053),
      1_753_397_223_054,
      1_753_397_223_054,
    ]);
    const { recorded } = await readOne(await write(session([row({ timestamp: null }), row()])));
    expect(recorded.map(({ seq, event }) => checkEvent(event, seq, DEFAULT_LIMITS))).toMatchObject([
      { flaw: { path: "time_ms" } },
      { facts: {} },
    ]);
  });

  test("has types of its own, which stay what they are; a row without one the daemon sets aside", async () => {
    const events = await eventsOf(
      ["SCROLL", "KEY_PRESS", "click", "CUSTOM", "UNSPECIFIED", "", 7].map((type) => row({ type })),
    );
    expect(events.map(({ type, customType }) => [type, customType])).toEqual([
      [EventType.SCROLL, ""],
      [EventType.CUSTOM, "KEY_PRESS"],
      [EventType.CUSTOM, "click"],
      [EventType.CUSTOM, "CUSTOM"],
      [EventType.CUSTOM, "UNSPECIFIED"],
      [EventType.UNSPECIFIED, ""],
      [EventType.UNSPECIFIED, ""],
    ]);
  });

  test("has what was typed, what was held, what was checked", async () => {
    const element = {
      tag: "INPUT",
      value: "[PROTECTED]",
      attributes: { type: "tel", "aria-checked": "true", disabled: "" },
    };
    const events = await eventsOf([
      row({
        type: "INPUT",
        element,
        interaction: { modifiers: { ctrlKey: true, altKey: false } },
        state: { before: { url: "https://a.example/" }, after: { url: "https://b.example/" } },
      }),
      row({ type: "INPUT", element: { value: "lamp" } }),
    ]);
    expect(events).toMatchObject([
      {
        input: { value: "[PROTECTED]", masked: true, kind: "tel" },
        key: { key: "", ctrl: true, alt: false },
        before: { url: "https://a.example/", value: "[PROTECTED]", checked: true, disabled: true, visible: false },
        after: { url: "https://b.example/" },
        target: { tag: "input" },
      },
      { input: { value: "lamp", masked: false, kind: "" }, before: { value: "lamp" } },
    ]);
  });

  test("that has but the second description of a target gives that one", async () => {
    const elementDetails = {
      tag: "A",
      text: "Men",
      attributes: { id: "m" },
      boundingBox: { x: 1, y: 2, width: 3, height: 4 },
      cssSelector: "#m",
      xpath: "//a",
    };
    const [event] = await eventsOf([
      row({ elementDetails, metadata: { pageUrl: "https://a.example/", pageTitle: "A" } }),
    ]);
    expect(event).toMatchObject({
      page: { url: "https://a.example/", title: "A" },
      target: {
        tag: "a",
        text: "Men",
        attributes: [{ name: "id", value: "m" }],
        box: { x: 1, y: 2, width: 3, height: 4 },
        selectors: [
          { kind: SelectorKind.CSS, value: "#m" },
          { kind: SelectorKind.XPATH, value: "//a" },
        ],
      },
    });
  });

  test("whose groups are of any other type than they should be gives what is left", async () => {
    const odd = ["[]", 7, null, [], "x", { viewport: 3, boundingBox: { x: "1" }, coordinates: { clientX: null } }];
    for (const value of odd) {
      const all = Object.fromEntries(Object.keys(groups).map((group) => [group, value]));
      expect(await eventsOf([row({ ...all, elementDetails: value, contextData: value })])).toMatchObject([{ id: "r" }]);
    }
  });

  test("whose outline of a page is very deep is read to its end", async () => {
    const deep = `${'{"children":['.repeat(8000)}${"]}".repeat(8000)}`;
    const outline = `{"text":"top","children":[${deep},{"text":"end","attributes":{}}]}`;
    const context = `{"pageContext":{"domSnapshot":${outline}}}`;
    const json = JSON.stringify(session([row({ context: "here" })], { archive: "deep" }));
    const text = json.replace('"here"', context).replace('"deep"', deep);
    const { events, recording } = await readOne(await write(text));
    expect(events[0]?.elements.map(({ text: shown }) => shown)).toEqual(["top", "end"]);
    expect(recording.info.rawJson).toContain(deep);
  });

  test("keeps a session's description to what the daemon takes, and says what to take out", async () => {
    const screenshots = Array.from({ length: 1000 }, (_, index) => ({ id: index, s3Key: "x".repeat(300) }));
    await write([session([]), session([row()], { id: "t", screenshots })]);
    await expect(readAll(path)).rejects.toMatchObject({ reason: "BAD_CAPTURE", metadata: { path, field: "[1]" } });
    await expect(readAll(path)).rejects.toThrow(/take out its screenshots/);
  });

  const good = JSON.stringify(row());
  test.each([
    ["no id", { config: {}, enhancedInteractions: [] }, "id"],
    ["an id that is no text", [session([]), { ...session([]), id: 7 }], "[1].id"],
    ["a list that is none", session("[]"), "enhancedInteractions"],
    ["two lists with interactions", session([row()], { interactions: [row()] }), "interactions"],
    ["an interaction that is no object", session([row(), 7]), "enhancedInteractions[1]"],
    ["an interaction in a list that is no object", [session([row(), null])], "[0].enhancedInteractions[1]"],
    ["a session that is none", `[{"id":"s","enhancedInteractions":[${good}]}, 7]`, "[1]"],
    [
      "an interaction that is no JSON",
      `{"id":"s","enhancedInteractions":[${good},{"a":tru}]}`,
      "enhancedInteractions[1]",
    ],
    ["a field that is no JSON", `{"id":s,"enhancedInteractions":[${good}]}`, "id"],
    ["an end in the middle", `{"id":"s","enhancedInteractions":[${good}`, undefined],
    ["something after the end", `{"id":"s","enhancedInteractions":[${good}]}]`, undefined],
  ])("with %s is refused, naming the file and the field", async (_, value, field) => {
    await write(value);
    await expect(readAll(path)).rejects.toMatchObject({
      code: "invalid_argument",
      reason: "BAD_CAPTURE",
      metadata: field === undefined ? { path } : { path, field },
    });
  });
});
