import { describe, expect, test } from "vitest";
import type { Finding, SessionEvent } from "../../../src/core/pipeline/recorded.ts";
import { CODES } from "../../../src/core/pipeline/validate/findings.ts";
import { EventType, ScreenshotPhase, SelectorKind } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { readDocument, rowsOf } from "../../docs/markdown.ts";
import { type EventInit, recordingOf, START, validated } from "./recorded.ts";

const PAGE = { url: "https://shop.example.com/", title: "Shop", viewportWidth: 1280, viewportHeight: 720 };
const CLICK = { page: PAGE, pointer: { x: 10, y: 20 } };
const BLOB = "ab".repeat(32);

/** What is found in the one event, without its ref; and the event. */
async function alone(event: EventInit, missingBlobs: readonly string[] = []) {
  const { events, findings, dropped } = await validated(recordingOf({ main: [event] }, { missingBlobs }));
  expect(findings.every(({ ref }) => ref?.stream === "main" && ref.seq === 1)).toBe(true);
  return { found: findings.map(({ ref: _, ...finding }) => finding), event: events[0], dropped };
}

interface Case {
  readonly name: string;
  readonly event: EventInit;
  readonly found: readonly Omit<Finding, "ref">[];
  /** What the event is afterwards, in the parts named. */
  readonly gives?: Partial<SessionEvent>;
}

const mended = (code: string, path: string) => ({ code, action: "mended" as const, path });
const kept = (code: string, path: string) => ({ code, action: "kept" as const, path });
const page = { url: PAGE.url, title: "Shop", scroll: { x: 0, y: 0 } };
const groups = { selectors: {}, visual: {}, element: {}, context: {}, state: {}, interaction: {} };
const noTarget = { selectors: [], attributes: [], ancestors: [] };

const CASES: readonly Case[] = [
  { name: "nothing in an event that is as it should be", event: CLICK, found: [] },
  {
    name: "a raw record that is no JSON",
    event: { ...CLICK, rawJson: "{oops" },
    found: [kept("RAW_NOT_JSON", "raw_json")],
  },
  {
    name: "a raw record encoded twice and more",
    event: { ...CLICK, rawJson: JSON.stringify(JSON.stringify(JSON.stringify({ timestamp: "1700000000000" }))) },
    found: [mended("RAW_DOUBLE_ENCODED", "raw_json"), kept("RAW_TIME_STRING", "raw_json.timestamp")],
  },
  { name: "nothing in a raw record that is a plain string", event: { ...CLICK, rawJson: '"seen"' }, found: [] },
  {
    name: "what a CodeSight interaction says and the event does not",
    event: {
      page: PAGE,
      rawJson: JSON.stringify({
        timestamp: 1_753_397_223_054,
        ...groups,
        context: { url: "https://other.example.com/" },
        visual: JSON.stringify({ coordinates: { clientX: 3, clientY: 4 } }),
      }),
    },
    found: [mended("RAW_DOUBLE_ENCODED", "raw_json.visual"), mended("RAW_FIELDS_READ", "pointer")],
    gives: {
      page: { ...page, viewport: { width: 1280, height: 720 } },
      pointer: { x: 3, y: 4, button: 0, clicks: 0 },
    },
  },
  {
    name: "nothing to fill where the collector told of the page and the target itself",
    event: {
      page: PAGE,
      target: { tag: "a" },
      rawJson: JSON.stringify({ timestamp: 1, ...groups, visual: { coordinates: { clientX: 3, clientY: 4 } } }),
    },
    found: [],
    gives: { target: { ...noTarget, tag: "a" } },
  },
  {
    name: "a CodeSight interaction without a time",
    event: { ...CLICK, rawJson: JSON.stringify({ timestamp: "soon", ...groups }) },
    found: [kept("RAW_TIME_STRING", "raw_json.timestamp"), kept("RAW_TIME_MISSING", "raw_json.timestamp")],
  },
  {
    name: "nothing to read in a record of another shape",
    event: { ...CLICK, rawJson: JSON.stringify({ visual: { coordinates: { clientX: 3, clientY: 4 } } }) },
    found: [],
  },
  {
    name: "a time in seconds",
    event: { ...CLICK, timeMs: 1_700_000_000n },
    found: [mended("TIME_IN_SECONDS", "time_ms")],
    gives: { timeMs: 1_700_000_000_000 },
  },
  {
    name: "nothing in times that only tell the order",
    event: { ...CLICK, timeMs: 3n },
    found: [],
    gives: { timeMs: 3 },
  },
  {
    name: "a time that can't be",
    event: { ...CLICK, timeMs: -5n },
    found: [mended("TIME_IMPOSSIBLE", "time_ms")],
    gives: { timeMs: 1 },
  },
  {
    name: "a known type in another spelling",
    event: { ...CLICK, type: EventType.CUSTOM, customType: "Mouse-Click" },
    found: [mended("TYPE_RESPELLED", "custom_type")],
    gives: { type: "click" },
  },
  {
    name: "nothing in a type that is another's own",
    event: { ...CLICK, type: EventType.CUSTOM, customType: "lasso" },
    found: [],
    gives: { type: "custom", customType: "lasso" },
  },
  {
    name: "an event with nothing but its page",
    event: { page: PAGE, type: EventType.FOCUS },
    found: [{ code: "ONLY_PAGE", action: "kept" }],
    gives: { type: "focus" },
  },
  {
    name: "nothing in a navigation that has only its page",
    event: { page: PAGE, type: EventType.NAVIGATION },
    found: [],
  },
  {
    name: "an attribute's value encoded twice, one finding for all of them",
    event: {
      ...CLICK,
      target: {
        tag: "a",
        attributes: [
          { name: "data-a", value: '"say \\"hi\\""' },
          { name: "data-b", value: '"a\\u0020b"' },
          { name: "data-c", value: '"typed in quotes"' },
          { name: "data-d", value: '{"props":1}' },
        ],
      },
    },
    found: [mended("VALUE_DOUBLE_ENCODED", "target.attributes.value")],
    gives: {
      target: {
        ...noTarget,
        tag: "a",
        attributes: [
          { name: "data-a", value: 'say "hi"' },
          { name: "data-b", value: "a b" },
          { name: "data-c", value: '"typed in quotes"' },
          { name: "data-d", value: '{"props":1}' },
        ],
      },
    },
  },
  {
    name: "values encoded three times",
    event: { ...CLICK, input: { value: JSON.stringify(JSON.stringify('"a"\n')) } },
    found: [mended("VALUE_DOUBLE_ENCODED", "input.value")],
    gives: { input: { value: '"a"\n', masked: false, kind: "" } },
  },
  {
    name: "half a surrogate pair that came out of a value encoded twice",
    event: { ...CLICK, before: { value: '"a\\ud800"' } },
    found: [mended("VALUE_DOUBLE_ENCODED", "before.value")],
    gives: {
      before: {
        value: "a\ufffd",
        checked: false,
        focused: false,
        disabled: false,
        visible: false,
        expanded: false,
        selected: false,
      },
    },
  },
  {
    name: "control characters, but not line breaks and tabs",
    event: { ...CLICK, page: { ...PAGE, title: "Sh\u0000op\u0085\tfor\r\nall\u007f" } },
    found: [mended("TEXT_CONTROL_CHARACTERS", "page.title")],
    gives: { page: { ...page, title: "Shop\tfor\r\nall", viewport: { width: 1280, height: 720 } } },
  },
  {
    name: "a text of nothing but control characters: it is absent then",
    event: { ...CLICK, target: { text: "\u0001", tag: "a" } },
    found: [mended("TEXT_CONTROL_CHARACTERS", "target.text")],
    gives: { target: { ...noTarget, tag: "a" } },
  },
  {
    name: "addresses that don't parse",
    event: { ...CLICK, page: { ...PAGE, url: "shop.example.com/" }, after: { url: "//" } },
    found: [kept("URL_UNPARSED", "page.url"), kept("URL_UNPARSED", "after.url")],
  },
  {
    name: "a viewport that can't be",
    event: { ...CLICK, page: { ...PAGE, viewportWidth: 1280, viewportHeight: 0 } },
    found: [mended("VIEWPORT_IMPOSSIBLE", "page.viewport")],
    gives: { page },
  },
  {
    name: "a viewport that is no number",
    event: { ...CLICK, page: { ...PAGE, viewportWidth: Number.NaN } },
    found: [mended("VIEWPORT_IMPOSSIBLE", "page.viewport")],
    gives: { page },
  },
  {
    name: "a pixel ratio that can't be",
    event: { ...CLICK, page: { ...PAGE, devicePixelRatio: -2 } },
    found: [mended("PIXEL_RATIO_IMPOSSIBLE", "page.device_pixel_ratio")],
    gives: { page: { ...page, viewport: { width: 1280, height: 720 } } },
  },
  {
    name: "a scroll offset that is no number",
    event: { ...CLICK, page: { ...PAGE, scrollY: Number.POSITIVE_INFINITY } },
    found: [mended("NUMBER_NOT_FINITE", "page.scroll")],
    gives: { page: { ...page, viewport: { width: 1280, height: 720 } } },
  },
  {
    name: "a pointer at no place",
    event: { ...CLICK, target: { tag: "a" }, pointer: { x: Number.NaN, y: 0 } },
    found: [mended("NUMBER_NOT_FINITE", "pointer")],
    gives: { target: { ...noTarget, tag: "a" } },
  },
  {
    name: "a drag that ends at no place",
    event: { ...CLICK, type: EventType.DRAG, pointer: { x: 1, y: 2, toX: Number.NaN } },
    found: [mended("NUMBER_NOT_FINITE", "pointer")],
    gives: { pointer: { x: 1, y: 2, button: 0, clicks: 0 } },
  },
  {
    name: "a box given from its far corner",
    event: { ...CLICK, target: { box: { x: 100, y: 50, width: -40, height: 10 } } },
    found: [mended("BOX_NEGATIVE", "target.box")],
    gives: { target: { ...noTarget, box: { x: 60, y: 50, width: 40, height: 10 } } },
  },
  {
    name: "boxes without an extent",
    event: {
      ...CLICK,
      target: { tag: "a", box: { x: 100, y: 50, width: 0, height: 10 } },
      elements: [{ text: "x", box: {} }, { text: "y" }],
    },
    found: [mended("BOX_EMPTY", "target.box"), mended("BOX_EMPTY", "elements.box")],
    gives: {
      target: { ...noTarget, tag: "a" },
      elements: [
        { text: "x", attributes: [] },
        { text: "y", attributes: [] },
      ],
    },
  },
  {
    name: "a box that is no place",
    event: { ...CLICK, elements: [{ value: "v", box: { x: Number.NaN, y: 0, width: 1, height: 1 } }] },
    found: [mended("NUMBER_NOT_FINITE", "elements.box")],
    gives: { elements: [{ value: "v", attributes: [] }] },
  },
  {
    name: "a target out of view, but not other elements out of view",
    event: {
      ...CLICK,
      target: { box: { x: 100, y: -50, width: 10, height: 10 } },
      elements: [{ text: "x", box: { x: -999, y: 0, width: 10, height: 10 } }],
    },
    found: [kept("BOX_OFF_SCREEN", "target.box")],
  },
  {
    name: "nothing in a target partly in view",
    event: { ...CLICK, target: { box: { x: -5, y: 719, width: 10, height: 1000 } } },
    found: [],
  },
  {
    name: "reliabilities that are none",
    event: {
      ...CLICK,
      target: {
        selectors: [
          { kind: SelectorKind.CSS, value: "a", reliability: 1.5 },
          { kind: SelectorKind.ID, value: "b", reliability: -1 },
          { kind: SelectorKind.ID, value: "c", reliability: Number.NaN },
        ],
      },
    },
    found: [
      mended("NUMBER_NOT_FINITE", "target.selectors.reliability"),
      mended("RELIABILITY_OUT_OF_RANGE", "target.selectors.reliability"),
    ],
    gives: {
      target: {
        ...noTarget,
        selectors: [
          { kind: "css", value: "a", reliability: 1 },
          { kind: "id", value: "b", reliability: 0 },
          { kind: "id", value: "c", reliability: 0 },
        ],
      },
    },
  },
  {
    name: "a screenshot whose size is not known",
    event: { ...CLICK, screenshots: [{ blobId: BLOB, phase: ScreenshotPhase.AFTER, width: 10 }] },
    found: [kept("SCREENSHOT_SIZE_ABSENT", "screenshots.size")],
    gives: { screenshots: [{ blob: BLOB, phase: "after" }] },
  },
  {
    name: "a page that is not there",
    event: { pointer: { x: 1, y: 1 }, page: { title: "Shop" } },
    found: [kept("PAGE_URL_ABSENT", "page.url")],
  },
];

describe("validate finds, and mends what it can:", () => {
  test.each(CASES)("$name", async ({ event, found, gives }) => {
    const result = await alone(event);
    expect(result.found).toEqual(found);
    expect(result.dropped).toEqual([]);
    expect(result.event).toMatchObject(gives ?? {});
    for (const part of ["page", "target", "pointer"] as const) {
      if (gives?.[part] !== undefined) expect(result.event?.[part]).toEqual(gives[part]);
    }
  });

  test("screenshots whose bytes never came, and ids that are none", async () => {
    const shots = [BLOB, "cd".repeat(32), "no id"].map((blobId) => ({ blobId, width: 10, height: 10 }));
    const { found, event } = await alone({ ...CLICK, screenshots: shots }, [BLOB]);
    expect(found).toEqual([mended("SCREENSHOT_MISSING", "screenshots")]);
    expect(event?.screenshots.map(({ blob }) => blob)).toEqual(["cd".repeat(32)]);
  });

  test("an event of nothing but its type and time, which is left out", async () => {
    const { found, event, dropped } = await alone({ type: EventType.FOCUS, page: {}, target: {}, key: {}, before: {} });
    expect(found).toEqual([{ code: "EMPTY_SHELL", action: "dropped" }]);
    expect(event).toBeUndefined();
    expect(dropped).toEqual([{ ref: { stream: "main", seq: 1 }, code: "EMPTY_SHELL" }]);
  });

  test("what the session says of itself", async () => {
    const info = {
      task: "buy\u0007 a \ud83d lamp",
      collector: "c",
      startUrl: "nowhere",
      userAgent: "",
      labels: [{ name: "a", value: "\u0000b" }],
      rawJson: '{"secret":1}',
    };
    const { session, findings } = await validated(recordingOf({ main: [CLICK] }, { info }));
    expect(session).toEqual({
      id: "s",
      task: "buy a \ufffd lamp",
      collector: "c",
      startUrl: "nowhere",
      userAgent: "",
      labels: [{ name: "a", value: "b" }],
    });
    expect(findings).toEqual([
      mended("TEXT_LONE_SURROGATE", "session.task"),
      mended("TEXT_CONTROL_CHARACTERS", "session.task"),
      mended("TEXT_CONTROL_CHARACTERS", "session.labels"),
      kept("URL_UNPARSED", "session.start_url"),
    ]);
  });

  test("what a selector was proven to find, where somebody looked", async () => {
    const css = { kind: SelectorKind.CSS, value: "b", reliability: 0.5 };
    const proofs = [{ matches: 0 }, { matches: 2, findsTarget: true, boxHoldsPointer: false }];
    const selectors = [css, ...proofs.map((grounding) => ({ ...css, grounding }))];
    const { event } = await alone({ ...CLICK, target: { selectors } });
    expect(event?.target?.selectors.map(({ grounding }) => grounding)).toEqual([
      undefined,
      { matches: 0, findsTarget: false },
      { matches: 2, findsTarget: true, boxHoldsPointer: false },
    ]);
    expect(event?.target?.selectors[0]).not.toHaveProperty("grounding");
  });

  test("a type of a later vocabulary", async () => {
    const recording = recordingOf({ main: [CLICK] });
    // Of a field given twice the last counts: here type, field 4, as 99.
    const later = recording.events.map((each) => ({ ...each, event: Uint8Array.of(...each.event, 0x20, 99) }));
    const { events, findings } = await validated({ ...recording, events: later });
    expect(findings).toEqual([{ ...kept("TYPE_UNKNOWN", "type"), ref: { stream: "main", seq: 1 } }]);
    expect(events).toMatchObject([{ type: "custom", pointer: { x: 10, y: 20 } }]);
    expect(events[0]).not.toHaveProperty("customType");
  });

  test("findings come by stream and seq, whatever order they were made in", async () => {
    const dirty = { ...CLICK, timeMs: 1_700_000_000n };
    const away = { type: EventType.NAVIGATION, page: { title: "t" } };
    const { findings } = await validated(recordingOf({ a: [away, dirty], b: [away] }));
    expect(findings.map(({ ref, code }) => `${ref?.stream} ${ref?.seq} ${code}`)).toEqual([
      "a 1 PAGE_URL_ABSENT",
      "a 2 TIME_IN_SECONDS",
      "a 2 TIME_DUPLICATE",
      "b 1 PAGE_URL_ABSENT",
    ]);
  });

  test("what it counted before, it passes on", async () => {
    const given = { quarantined: 3, missingBlobs: [BLOB] };
    expect(await validated(recordingOf({ main: [CLICK] }, given))).toMatchObject(given);
  });

  test("an event damaged in the store is refused", async () => {
    const recording = recordingOf({ main: [CLICK] });
    const damaged = recording.events.map((each) => ({ ...each, event: each.event.subarray(0, -1) }));
    await expect(validated({ ...recording, events: damaged })).rejects.toMatchObject({
      code: "data_loss",
      reason: "EVENT_UNREADABLE",
    });
  });
});

describe("names of types", () => {
  const named = (customType: string, more: EventInit = CLICK): EventInit => ({
    ...more,
    type: EventType.CUSTOM,
    customType,
  });
  const typesOf = async (events: readonly EventInit[]) =>
    (await validated(recordingOf({ main: events }))).events.map(({ type, customType }) => customType ?? type);

  test.each([
    ["CLICK", "click"],
    ["EVENT_TYPE_CLICK", "click"],
    ["onclick", "click"],
    ["pointerdown", "click"],
    ["keydown", "key"],
    ["KEY_PRESS", "key"],
    ["change", "input"],
    ["wheel", "scroll"],
    ["page_view", "navigation"],
    ["navigation_restored", "navigation"],
    ["FORM_SUBMIT", "submit"],
    ["mouseover", "hover"],
    ["focusin", "focus"],
    ["tap", "touch"],
    ["mousemove", "mousemove"],
    ["keyup", "keyup"],
  ])("%s is %s", async (name, type) => {
    expect(await typesOf([named(name)])).toEqual([type]);
  });

  test("what a name says beyond the type goes to the pointer, and without one the name stays", async () => {
    const { events } = await validated(
      recordingOf({ main: [named("dblclick"), named("contextmenu"), named("dblclick", { page: PAGE })] }),
    );
    expect(events.map(({ customType, pointer }) => [customType, pointer?.clicks, pointer?.button])).toEqual([
      [undefined, 2, 0],
      [undefined, 0, 2],
      ["dblclick", undefined, undefined],
    ]);
  });

  test("a part stands for the whole only where the stream has neither the whole nor another part", async () => {
    expect(await typesOf([named("pointerdown"), named("mousedown"), named("pointerdown")])).toEqual([
      "click",
      "mousedown",
      "click",
    ]);
    expect(await typesOf([named("mousedown"), named("Click")])).toEqual(["mousedown", "click"]);
    expect(await typesOf([named("keydown"), named("keypress")])).toEqual(["key", "keypress"]);
    expect(await typesOf([named("wheel"), named("scroll")])).toEqual(["wheel", "scroll"]);
    expect(await typesOf([named("mousedown"), named("mouseup")])).toEqual(["mousedown", "mouseup"]);
    // A click that is left out for saying nothing is no click of the stream.
    expect(await typesOf([{}, named("mousedown")])).toEqual(["click"]);
  });

  test("each stream has names of its own", async () => {
    const { events } = await validated(recordingOf({ a: [CLICK], b: [named("mousedown")] }));
    expect(events.map(({ type }) => type)).toEqual(["click", "click"]);
  });
});

describe("pages", () => {
  const place = { pointer: { x: 1, y: 1 } };
  const urlsOf = async (events: readonly EventInit[]) => {
    const { events: given, findings } = await validated(recordingOf({ main: events }));
    return {
      urls: given.map(({ page: on }) => on?.url),
      codes: findings.map(({ code, ref }) => `${ref?.seq} ${code}`),
    };
  };

  test("come from the event before where there is none, or no address", async () => {
    const { urls, codes } = await urlsOf([CLICK, place, { ...place, page: { title: "t" } }]);
    expect(urls).toEqual([PAGE.url, PAGE.url, PAGE.url]);
    expect(codes).toEqual(["2 PAGE_FILLED", "3 PAGE_FILLED"]);
  });

  test("are not guessed for a navigation, nor after one that leads nobody knows where", async () => {
    const away = { type: EventType.NAVIGATION, page: { title: "t" } };
    const { urls, codes } = await urlsOf([CLICK, away, place]);
    expect(urls).toEqual([PAGE.url, "", undefined]);
    expect(codes).toEqual(["2 PAGE_URL_ABSENT", "3 PAGE_MISSING"]);
  });

  test("come from the same stream only", async () => {
    const { events } = await validated(recordingOf({ a: [CLICK], b: [place] }));
    expect(events.map(({ page: on }) => on?.url)).toEqual([PAGE.url, undefined]);
  });

  test("that a recording has none of at all are missed once", async () => {
    const { findings } = await validated(recordingOf({ main: [place, place] }));
    expect(findings).toEqual([{ code: "PAGE_MISSING", action: "kept", path: "page" }]);
  });
});

test("an event is decoded whole, and what was not given is absent", async () => {
  const box = { x: 1, y: 2, width: 3, height: 4 };
  const attributes = [{ name: "id", value: "q" }];
  const flags = { checked: true, focused: false, disabled: false, visible: true, expanded: false, selected: false };
  const { found, event } = await alone({
    type: EventType.SCROLL,
    page: { ...PAGE, devicePixelRatio: 2, scrollX: 5, scrollY: 6 },
    target: {
      selectors: [{ kind: SelectorKind.TEST_ID, value: "q", reliability: 0.5 }, { value: "?" }],
      role: "searchbox",
      name: "Search",
      text: "t",
      tag: "input",
      attributes,
      box,
      ancestors: [{ tag: "form", role: "search", attributes }, { tag: "body" }],
    },
    input: { value: "lamp", masked: true, kind: "text" },
    pointer: { x: 7, y: 8, button: 1, clicks: 2, deltaY: 9 },
    key: { key: "a", ctrl: true },
    before: { value: "l", checked: true, visible: true },
    after: { url: PAGE.url, text: "t", checked: true, visible: true },
    screenshots: [{ blobId: BLOB, phase: ScreenshotPhase.BEFORE, width: 10, height: 20 }],
    elements: [{ tag: "input", role: "textbox", name: "Mail", text: "x", value: "v", attributes, box }, {}],
  });
  expect(found).toEqual([]);
  expect(event).toEqual({
    ref: { stream: "main", seq: 1 },
    timeMs: START,
    type: "scroll",
    page: {
      url: PAGE.url,
      title: "Shop",
      viewport: { width: 1280, height: 720 },
      devicePixelRatio: 2,
      scroll: { x: 5, y: 6 },
    },
    target: {
      selectors: [
        { kind: "test_id", value: "q", reliability: 0.5 },
        { kind: "unknown", value: "?", reliability: 0 },
      ],
      role: "searchbox",
      name: "Search",
      text: "t",
      tag: "input",
      attributes,
      box,
      ancestors: [
        { tag: "form", role: "search", attributes },
        { tag: "body", attributes: [] },
      ],
    },
    input: { value: "lamp", masked: true, kind: "text" },
    pointer: { x: 7, y: 8, button: 1, clicks: 2, delta: { x: 0, y: 9 } },
    key: { key: "a", code: "", alt: false, ctrl: true, meta: false, shift: false },
    before: { value: "l", ...flags },
    after: { url: PAGE.url, text: "t", ...flags },
    screenshots: [{ blob: BLOB, phase: "before", size: { width: 10, height: 20 } }],
    elements: [
      { tag: "input", role: "textbox", name: "Mail", text: "x", value: "v", attributes, box },
      { attributes: [] },
    ],
  });
});

test("the document's table has every code with what is done, and no other", () => {
  const rows = rowsOf(readDocument("docs/pipeline.md"), "code").filter((row) => row.length === 4);
  const written = rows.map(([code, action]) => [code?.replaceAll("`", ""), action]);
  const declared = (["mended", "kept", "dropped"] as const).flatMap((action) =>
    CODES[action].map((code) => [code, action]),
  );
  expect(written.toSorted()).toEqual(declared.toSorted());
});
