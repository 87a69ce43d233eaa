import { describe, expect, test } from "vitest";
import type { ReduceOutput } from "../../../src/core/pipeline/outputs.ts";
import { element, field, HOME, pageAt, pointAt, reduce, state, type Told } from "./acts.ts";

const click = (timeMs: number, x: number, y: number, more: Partial<Told> = {}): Told => ({
  type: "click",
  timeMs,
  pointer: pointAt(x, y),
  ...more,
});

const raw = (customType: string, timeMs: number, x: number, y: number, more: Partial<Told> = {}): Told => ({
  type: "custom",
  customType,
  timeMs,
  pointer: pointAt(x, y, { clicks: 0 }),
  ...more,
});

const kinds = ({ actions }: ReduceOutput): string[] => actions.map((action) => action.kind);
const codes = ({ unused }: ReduceOutput): string[] => unused.map(({ code }) => code);
const seqs = ({ actions }: ReduceOutput): number[][] => actions.map(({ events }) => events.map(({ seq }) => seq));

describe("clicks", () => {
  test("less than 0.5 s apart and less than 4 px apart are one double click, and three a triple click", () => {
    expect(kinds(reduce([click(1000, 10, 10), click(1499, 13, 10)]))).toEqual(["double_click"]);
    expect(kinds(reduce([click(1000, 10, 10), click(1400, 10, 10), click(1800, 10, 10)]))).toEqual(["triple_click"]);
  });

  test("farther apart in time or place are two, and so are those of two buttons", () => {
    expect(kinds(reduce([click(1000, 10, 10), click(1500, 10, 10)]))).toEqual(["click", "click"]);
    expect(kinds(reduce([click(1000, 10, 10), click(1200, 14, 10)]))).toEqual(["click", "click"]);
    const secondary = click(1200, 10, 10, { pointer: pointAt(10, 10, { button: 2 }) });
    expect(kinds(reduce([click(1000, 10, 10), secondary]))).toEqual(["click", "click"]);
  });

  test("begin anew after the third", () => {
    const four = [1000, 1100, 1200, 1300].map((timeMs) => click(timeMs, 10, 10));
    expect(seqs(reduce(four))).toEqual([[1, 2, 3], [4]]);
  });

  test("told as several are what they are told as", () => {
    const times = (clicks: number) => reduce([click(1, 1, 1, { pointer: pointAt(1, 1, { clicks }) })]).actions[0];
    expect(times(2)).toMatchObject({ kind: "double_click" });
    expect(times(3)).toMatchObject({ kind: "triple_click" });
    expect(times(5)).toMatchObject({ kind: "click", clicks: 5 });
    expect(times(1)).not.toHaveProperty("clicks");
    const twice = click(1000, 10, 10, { pointer: pointAt(10, 10, { clicks: 2 }) });
    expect(kinds(reduce([twice, click(1200, 10, 10)]))).toEqual(["double_click", "click"]);
  });

  test("with another action between are two", () => {
    const between: Told = { type: "key", timeMs: 1100, key: { key: "Escape", code: "", ...NO_KEYS } };
    expect(kinds(reduce([click(1000, 10, 10), between, click(1200, 10, 10)]))).toEqual(["click", "key", "click"]);
  });

  test("stay apart where their collector counts them, unless it tells of a double click", () => {
    const counted = { labels: [{ name: "clicks", value: "counted" }] };
    const two = [click(1000, 10, 10), click(1100, 10, 10)];
    expect(seqs(reduce(two, {}, counted))).toEqual([[1], [2]]);
    const third = click(1300, 10, 10, { pointer: pointAt(10, 10, { clicks: 3 }) });
    const told = reduce([...two, raw("dblclick", 1101, 10, 10), third], {}, counted);
    expect([kinds(told), seqs(told)]).toEqual([["triple_click"], [[1, 2, 3, 4]]]);
    const placeless = [1000, 1100].map((timeMs): Told => ({ type: "click", timeMs, target: element("a") }));
    const named: Told = { type: "custom", customType: "dblclick", timeMs: 1101, target: element("a") };
    expect(kinds(reduce([...placeless, named], {}, counted))).toEqual(["double_click"]);
    expect(seqs(reduce([...two, raw("dblclick", 1600, 10, 10)], {}, counted))).not.toEqual([[1, 2, 3]]);
  });

  test("of a press that opened a menu are of the secondary button, though it did not say which it was", () => {
    const press = [raw("mousedown", 1000, 10, 10), raw("mouseup", 1080, 10, 10)];
    const menu = click(1010, 10, 10, { pointer: pointAt(10, 10, { button: 2, clicks: 0 }) });
    const opened = reduce([...press, menu].toSorted((a, b) => a.timeMs - b.timeMs));
    expect(opened.actions).toMatchObject([{ kind: "click", button: 2 }]);
    const elsewhere = click(1100, 50, 10, { pointer: pointAt(50, 10, { button: 2 }) });
    expect(reduce([...press, elsewhere]).actions).toMatchObject([{ button: 0 }, { button: 2 }]);
  });

  test("become a drag where the page's own drag and drop took what was pressed, and no release was told", () => {
    const dragged = [raw("mousedown", 1000, 10, 10), raw("dragover", 1400, 60, 10), raw("dragover", 1900, 90, 80)];
    expect(reduce(dragged).actions).toMatchObject([
      { kind: "drag", point: { x: 10, y: 10 }, to: { x: 90, y: 80 }, endMs: 1900, inferred: ["SYNTHETIC_RELEASE"] },
    ]);
  });

  test("told as a double click as well are one", () => {
    const told = [click(1000, 10, 10), click(1100, 10, 10), raw("dblclick", 1101, 10, 10)];
    expect(seqs(reduce(told))).toEqual([[1, 2, 3]]);
    expect(kinds(reduce(told))).toEqual(["double_click"]);
    expect(kinds(reduce([raw("dblclick", 1101, 10, 10)]))).toEqual(["double_click"]);
    const counted = click(1101, 10, 10, { pointer: pointAt(10, 10, { clicks: 2 }) });
    expect(seqs(reduce([click(1000, 10, 10), click(1100, 10, 10), counted]))).toEqual([[1, 2, 3]]);
  });

  test("of the secondary button are told as a context menu, alone or besides", () => {
    const menu = raw("contextmenu", 1001, 10, 10);
    expect(reduce([menu]).actions).toMatchObject([{ kind: "click", button: 2 }]);
    const secondary = click(1000, 10, 10, { pointer: pointAt(10, 10, { button: 2 }) });
    expect(seqs(reduce([secondary, menu]))).toEqual([[1, 2]]);
  });
});

describe("what the browser clicks by itself", () => {
  test("after Enter or the space bar is part of the key", () => {
    const enter: Told = { type: "key", timeMs: 1000, key: { key: "Enter", code: "", ...NO_KEYS }, target: field("q") };
    const made = click(1001, 0, 0, { pointer: pointAt(0, 0, { clicks: 0 }), target: element("go") });
    expect(kinds(reduce([enter, made]))).toEqual(["key"]);
    expect(kinds(reduce([enter, click(1040, 5, 5)]))).toEqual(["key", "click"]);
  });

  test("for a label is part of the click, and the field is one more way to find it", () => {
    const label = element("label", { role: "LabelText", name: "", tag: "label", text: "Moss" });
    const radio = element("moss", { role: "radio", name: "Moss", tag: "input" });
    const told: Told[] = [
      click(1000, 10, 10, { target: label }),
      click(1000, 10, 10, { target: radio }),
      { type: "input", timeMs: 1002, target: radio, input: { value: "moss", masked: false, kind: "radio" } },
    ];
    const [action, ...more] = reduce(told).actions;
    expect(more).toEqual([]);
    expect(action).toMatchObject({ kind: "click", element: { role: "radio", name: "Moss", tag: "label" } });
    expect(action?.targets).toContainEqual({ kind: "id", value: "moss", reliability: 0.95 });
    expect(action?.events).toHaveLength(3);
  });

  test("after a tap is part of the tap", () => {
    const tap: Told = { type: "touch", timeMs: 1000, pointer: pointAt(10, 10) };
    expect(seqs(reduce([tap, click(1300, 10, 11)]))).toEqual([[1, 2]]);
    expect(kinds(reduce([tap, click(1300, 10, 11)]))).toEqual(["click"]);
  });
});

describe("a checkbox and a radio button", () => {
  const box = element("agree", { role: "checkbox", tag: "input" });
  const change = (timeMs: number): Told => ({
    type: "input",
    timeMs,
    target: box,
    input: { value: "true", masked: false, kind: "checkbox" },
  });

  test("that change after a click are that click", () => {
    expect(seqs(reduce([click(1000, 5, 5, { target: box }), change(1004)]))).toEqual([[1, 2]]);
  });

  test("that change alone are clicked", () => {
    expect(reduce([change(1000)]).actions).toMatchObject([{ kind: "click", element: { name: "agree" } }]);
  });

  test("that change long after a click are clicked once more", () => {
    expect(kinds(reduce([click(1000, 5, 5, { target: box }), change(2000)]))).toEqual(["click", "click"]);
  });
});

describe("presses and releases", () => {
  test("at one place are a click, farther apart than 6 px a drag with the moves in it", () => {
    const at = (x: number) => [
      raw("pointerdown", 1000, 10, 10),
      raw("pointermove", 1050, x, 10),
      raw("pointerup", 1100, x, 10),
    ];
    expect(reduce(at(16)).actions).toMatchObject([{ kind: "click", point: { x: 10, y: 10 } }]);
    expect(reduce(at(17)).actions).toMatchObject([{ kind: "drag", point: { x: 10, y: 10 }, to: { x: 17, y: 10 } }]);
    expect(seqs(reduce(at(17)))).toEqual([[1, 2, 3]]);
  });

  test("far apart in time are a click that tells how long it was held", () => {
    const held = (ms: number) => reduce([raw("mousedown", 1000, 10, 10), raw("mouseup", 1000 + ms, 10, 10)]).actions[0];
    expect(held(1001)).toMatchObject({ kind: "click", durationMs: 1001, startMs: 1000, endMs: 2001 });
    expect(held(1000)).not.toHaveProperty("durationMs");
  });

  test("that pair off badly: a press without a release gets one, a release without a press is left out", () => {
    const output = reduce([
      raw("mousedown", 1000, 10, 10),
      raw("mousedown", 2000, 50, 50),
      raw("mouseup", 2100, 50, 50),
    ]);
    expect(output.actions).toMatchObject([
      { kind: "click", inferred: ["SYNTHETIC_RELEASE"], point: { x: 10 } },
      { kind: "click", point: { x: 50 } },
    ]);
    expect(output.actions[1]).not.toHaveProperty("inferred");
    expect(codes(reduce([raw("mouseup", 1000, 1, 1)]))).toEqual(["UNMATCHED_RELEASE"]);
  });

  test("told by the pointer and by the mouse, and as a click, are one click of what the browser says was clicked", () => {
    const output = reduce([
      raw("pointerdown", 1000, 10, 10),
      raw("mousedown", 1000, 10, 10),
      raw("pointerup", 1080, 10, 10),
      raw("mouseup", 1080, 10, 10),
      click(1081, 10, 10, { target: element("go") }),
    ]);
    expect(output.actions).toMatchObject([{ kind: "click", element: { name: "go" }, startMs: 1000 }]);
    expect(codes(output)).toEqual(["DUPLICATE_EVENT", "DUPLICATE_EVENT"]);
  });

  test("tell nothing more than the clicks that end them, or that stand for them", () => {
    const lost = [
      raw("mousedown", 1000, 10, 10),
      click(1090, 10, 10),
      raw("mousedown", 3000, 50, 50),
      raw("mouseup", 3080, 50, 50),
    ];
    expect(reduce(lost).actions).toMatchObject([
      { startMs: 1000, endMs: 1090 },
      { startMs: 3000, endMs: 3080 },
    ]);
    const pressed = [click(1000, 10, 10), raw("mousedown", 1020, 10, 10)];
    expect(kinds(reduce(pressed))).toEqual(["click"]);
    expect(codes(reduce(pressed))).toEqual(["DUPLICATE_EVENT"]);
  });

  test("are counted as double clicks from press to press", () => {
    const press = (ms: number) => [raw("mousedown", ms, 10, 10), raw("mouseup", ms + 400, 10, 10)];
    expect(kinds(reduce([...press(1000), ...press(1450)]))).toEqual(["double_click"]);
  });

  test("moves between them are no acts", () => {
    expect(codes(reduce([raw("mousemove", 1000, 10, 10)]))).toEqual(["POINTER_MOVE"]);
  });
});

describe("drags", () => {
  const slider = element("price", { role: "slider", tag: "input" });
  const value = (timeMs: number, text: string): Told => ({
    type: "input",
    timeMs,
    target: slider,
    input: { value: text, masked: false, kind: "range" },
  });
  const drag: Told = { type: "drag", timeMs: 1000, target: slider, pointer: pointAt(10, 10, { to: { x: 50, y: 10 } }) };

  test("of a slider tell what it holds then, whichever was told first", () => {
    const expected = { kind: "drag", value: "200", to: { x: 50, y: 10 } };
    expect(reduce([drag, value(1000, "300"), value(1001, "200")]).actions).toMatchObject([expected]);
    expect(reduce([value(900, "300"), value(950, "200"), drag]).actions).toMatchObject([expected]);
  });

  test("end where what was dragged was dropped", () => {
    const { to: _, ...from } = pointAt(10, 10);
    const output = reduce([
      { type: "drag", timeMs: 1000, pointer: from },
      { type: "drop", timeMs: 1500, pointer: pointAt(90, 20) },
    ]);
    expect(output.actions).toMatchObject([{ kind: "drag", to: { x: 90, y: 20 } }]);
    expect(reduce([{ type: "drop", timeMs: 1 }]).actions).toMatchObject([{ kind: "other", name: "drop" }]);
  });
});

describe("a hover", () => {
  const menu = element("menu", { attributes: [{ name: "aria-haspopup", value: "true" }] });
  const inside = element("shirts", { role: "menuitem", ancestors: [{ tag: "ul", role: "menu", attributes: [] }] });
  const hover: Told = { type: "hover", timeMs: 1000, target: menu, pointer: pointAt(5, 5) };

  test("that shows nothing is left out", () => {
    expect(codes(reduce([hover]))).toEqual(["HOVER_NO_EFFECT"]);
    expect(codes(reduce([hover, click(2000, 9, 9, { target: element("cart") })]))).toEqual(["HOVER_NO_EFFECT"]);
  });

  test("that opened the element is kept", () => {
    expect(kinds(reduce([{ ...hover, before: state(), after: state({ expanded: true }) }]))).toEqual(["hover"]);
    expect(kinds(reduce([{ ...hover, before: state({ visible: false }), after: state() }]))).toEqual(["hover"]);
  });

  test("over what says it opens something is kept when the next act is in that", () => {
    expect(kinds(reduce([hover, click(2000, 9, 40, { target: inside })]))).toEqual(["hover", "click"]);
    const closed = element("menu", { attributes: [{ name: "aria-haspopup", value: "false" }] });
    expect(kinds(reduce([{ ...hover, target: closed }, click(2000, 9, 40, { target: inside })]))).toEqual(["click"]);
    const plain = { ...hover, target: element("menu") };
    expect(kinds(reduce([plain, click(2000, 9, 40, { target: inside })]))).toEqual(["click"]);
  });

  test("with which the next act's element appeared is kept", () => {
    const told = { tag: "button", role: "menuitem", name: "shirts", attributes: [] };
    const rest: Told = { type: "focus", timeMs: 900, target: element("menu"), elements: [] };
    const showing = { ...hover, target: element("menu"), elements: [told] };
    const next = click(2000, 9, 40, { target: element("shirts", { role: "menuitem" }) });
    expect(kinds(reduce([rest, showing, next]))).toEqual(["hover", "click"]);
    expect(kinds(reduce([{ ...rest, elements: [told] }, showing, next]))).toEqual(["click"]);
  });

  test("over the same element again shows nothing more", () => {
    const opening = { ...hover, before: state(), after: state({ expanded: true }) };
    expect(seqs(reduce([opening, { ...opening, timeMs: 1500 }]))).toEqual([[2]]);
    expect(kinds(reduce([hover, { ...hover, timeMs: 1500 }, click(2000, 9, 40, { target: inside })]))).toEqual([
      "hover",
      "click",
    ]);
  });
});

describe("scrolls", () => {
  const scroll = (timeMs: number, y: number, more: Partial<Told> = {}): Told => ({
    type: "scroll",
    timeMs,
    pointer: pointAt(5, 5, { delta: { x: 0, y } }),
    ...more,
  });

  test("in one direction are one, with their distances added", () => {
    expect(reduce([scroll(1000, 100), scroll(1500, 50), scroll(2000, 25)]).actions).toMatchObject([
      { kind: "scroll", delta: { x: 0, y: 175 } },
    ]);
  });

  test("the other way, after a pause, or after something else are others", () => {
    expect(kinds(reduce([scroll(1000, 100), scroll(1100, -100)]))).toEqual(["scroll", "scroll"]);
    expect(kinds(reduce([scroll(1000, 100), scroll(4001, 100)]))).toEqual(["scroll", "scroll"]);
    expect(kinds(reduce([scroll(1000, 100), scroll(4000, 100)]))).toEqual(["scroll"]);
    expect(kinds(reduce([scroll(1000, 9), click(1100, 1, 1), scroll(1200, 9)]))).toEqual(["scroll", "click", "scroll"]);
  });

  test("of two elements are two, and of the page name no element", () => {
    const list = element("list", { tag: "div" });
    const page = element("page", { tag: "html", role: "", name: "", selectors: [] });
    const output = reduce([scroll(1000, 10, { target: page }), scroll(1100, 10, { target: list })]);
    expect(output.actions).toMatchObject([
      { kind: "scroll", targets: [] },
      { kind: "scroll", element: { tag: "div" } },
    ]);
    expect(output.actions[0]).not.toHaveProperty("element");
  });

  test("that the page does as it opens, at once or gliding, are no acts", () => {
    const opened: Told = { type: "navigation", timeMs: 1000, page: pageAt("https://shop.example/returns#how") };
    const output = reduce([click(900, 1, 1), opened, scroll(1200, 100), scroll(1450, 100), scroll(2000, 100)]);
    expect(codes(output)).toEqual(["SCROLL_BY_PAGE", "SCROLL_BY_PAGE"]);
    expect(kinds(output)).toEqual(["click", "scroll"]);
  });

  test("that a list answers with another address go on", () => {
    const rewritten: Told = { type: "navigation", timeMs: 1100, page: pageAt("https://shop.example/?page=2") };
    const output = reduce([scroll(1000, 100), rewritten, scroll(1200, 100)]);
    expect(output.actions).toMatchObject([{ kind: "scroll", delta: { x: 0, y: 200 } }]);
  });

  test("that do not say how far are as far as the page then is from where it was", () => {
    const at = (timeMs: number, y: number, more: Partial<Told> = {}): Told => ({
      type: "scroll",
      timeMs,
      page: { ...HOME, scroll: { x: 0, y } },
      ...more,
    });
    const output = reduce([click(900, 1, 1), at(1000, 300), at(1200, 500), at(1300, 500), at(1400, 450)]);
    expect(output.actions).toMatchObject([
      { kind: "click" },
      { kind: "scroll", delta: { x: 0, y: 500 }, inferred: ["DISTANCE_FROM_PAGE"] },
      { kind: "scroll", delta: { x: 0, y: -50 } },
    ]);
    expect(codes(output)).toEqual(["SCROLL_NO_MOVE"]);
    const list = { target: element("list", { tag: "div" }) };
    expect(reduce([click(900, 1, 1), at(1000, 300, list)]).actions[1]).not.toHaveProperty("delta");
    expect(reduce([at(1000, 300)]).actions[0]).not.toHaveProperty("delta");
  });

  test("that go nowhere are no acts", () => {
    expect(codes(reduce([scroll(1000, 0)]))).toEqual(["SCROLL_NO_MOVE"]);
  });

  test("of more than a number holds stay a number", () => {
    const [action] = reduce([scroll(1000, Number.MAX_VALUE), scroll(1100, Number.MAX_VALUE)]).actions;
    expect(action?.delta?.y).toBe(Number.MAX_VALUE);
  });
});

const NO_KEYS = { alt: false, ctrl: false, meta: false, shift: false };
