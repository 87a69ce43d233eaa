import { describe, expect, test } from "vitest";
import type { ReduceOutput } from "../../../src/core/pipeline/outputs.ts";
import { element, eventsOf, field, key, pageAt, pointAt, reduce, reduceEvents, SESSION, type Told } from "./acts.ts";

const input = (timeMs: number, value: string, more: Partial<Told> = {}, kind = "text"): Told => ({
  type: "input",
  timeMs,
  target: field("query"),
  input: { value, masked: false, kind },
  ...more,
});

const press = (timeMs: number, name: string, more: Partial<Told> = {}, held = {}): Told => ({
  type: "key",
  timeMs,
  target: field("query"),
  key: key(name, held),
  ...more,
});

const click = (timeMs: number, id: string, more: Partial<Told> = {}): Told => ({
  type: "click",
  timeMs,
  target: element(id),
  pointer: pointAt(5, 5),
  ...more,
});

const brief = ({ actions }: ReduceOutput): string[] =>
  actions.map(({ kind, value }) => `${kind} ${value ?? ""}`.trim());
const codes = ({ unused }: ReduceOutput): string[] => unused.map(({ code }) => code);

describe("typing", () => {
  test("in one field is one action, whose value is the last one told", () => {
    expect(brief(reduce([input(1000, "d"), input(1100, "de"), input(5000, "desk")]))).toEqual(["type desk"]);
  });

  test("goes on over focus, blur and a pointer at rest", () => {
    const noise = (["focus", "blur", "hover"] as const).map(
      (type, index): Told => ({ type, timeMs: 1100 + index * 50 }),
    );
    const output = reduce([input(1000, "d"), ...noise, input(1300, "desk")]);
    expect(brief(output)).toEqual(["type desk"]);
    expect(codes(output)).toEqual(["FOCUS_NOISE", "FOCUS_NOISE", "HOVER_NO_EFFECT"]);
  });

  test("in another field, or after something else was done, is another action", () => {
    expect(brief(reduce([input(1000, "a"), input(1100, "b", { target: field("other") })]))).toEqual([
      "type a",
      "type b",
    ]);
    expect(brief(reduce([input(1000, "a"), click(1100, "go"), input(5000, "ab")]))).toEqual([
      "type a",
      "click",
      "type ab",
    ]);
  });

  test("in the same field of another page is another action", () => {
    const elsewhere = { page: pageAt("https://shop.example/other") };
    expect(brief(reduce([input(1000, "a"), input(1100, "b", elsewhere)]))).toEqual(["type a", "type b"]);
  });

  test("carries that a value was masked", () => {
    const masked = input(1100, "••", { input: { value: "••", masked: true, kind: "password" } });
    expect(reduce([input(1000, "•"), masked]).actions).toMatchObject([{ kind: "type", value: "••", masked: true }]);
  });

  test("takes the value from the field's state where the event has none, and says when there is no value at all", () => {
    const { input: _, ...bare } = input(1000, "");
    const after = {
      value: "lamp",
      checked: false,
      focused: true,
      disabled: false,
      visible: true,
      expanded: false,
      selected: false,
    };
    expect(brief(reduce([{ ...bare, after }]))).toEqual(["type lamp"]);
    expect(reduce([bare]).actions).toMatchObject([{ kind: "type", inferred: ["VALUE_UNKNOWN"] }]);
    expect(reduce([bare, input(1100, "lamp")]).actions[0]).not.toHaveProperty("inferred");
  });

  test("takes in the keys that made the value, whichever comes first", () => {
    const keys = [press(1000, "d"), input(1001, "d"), press(1100, "x"), press(1150, "Backspace"), input(1200, "d")];
    expect(brief(reduce(keys))).toEqual(["type d"]);
    const typed = reduce([press(1000, "d"), press(1050, "e"), input(1100, "de"), press(1200, "s")]);
    expect(brief(typed)).toEqual(["type de"]);
    expect(typed.actions[0]).not.toHaveProperty("inferred");
    const pasted = [press(1000, "v", {}, { ctrl: true }), input(1001, "pasted")];
    expect(brief(reduce(pasted))).toEqual(["type pasted"]);
  });

  test("leaves alone the keys that do something else", () => {
    expect(brief(reduce([press(1000, "a", {}, { ctrl: true }), input(1100, "2")]))).toEqual([
      "hotkey ctrl+a",
      "type 2",
    ]);
    expect(brief(reduce([input(1000, "a"), press(1100, "Enter")]))).toEqual(["type a", "key Enter"]);
    expect(brief(reduce([press(1000, "Tab"), input(1100, "a")]))).toEqual(["key Tab", "type a"]);
  });

  test("takes in Enter where it makes a new line", () => {
    const area = field("note", { tag: "textarea" });
    const told = [press(1000, "Enter", { target: area }), input(1001, "a\nb", { target: area })];
    expect(brief(reduce(told))).toEqual(["type a\nb"]);
  });

  test("is not told again when the press that leaves the field tells the change", () => {
    const output = reduce([input(1000, "a"), click(3000, "go"), input(3010, "a")]);
    expect(brief(output)).toEqual(["type a", "click"]);
    expect(codes(output)).toEqual(["VALUE_UNCHANGED"]);
    const again = [input(1000, "a"), click(3000, "go"), input(3100, "a")];
    expect(brief(reduce(again))).toEqual(["type a", "click", "type a"]);
  });
});

describe("keys that no field tells of", () => {
  test("are one text, which says that it is what the keys put in", () => {
    const told = ["h", "i", " ", "😀", "Backspace", "!"].map((name, index) => withoutTarget(press(1000 + index, name)));
    expect(reduce(told).actions).toMatchObject([{ kind: "type", value: "hi !", inferred: ["VALUE_FROM_KEYS"] }]);
  });

  test("are shortcuts where nothing can be typed into, and text once there is more than one", () => {
    const body = { target: element("body", { tag: "body", role: "" }) };
    expect(brief(reduce([press(1000, "j", body)]))).toEqual(["key j"]);
    expect(brief(reduce([press(1000, " ", body)]))).toEqual(["key Space"]);
    expect(brief(reduce([press(1000, "g", body), press(1100, "i", body)]))).toEqual(["type gi"]);
  });

  test("are masked in a field for passwords", () => {
    const secret = field("password", { attributes: [{ name: "type", value: "password" }] });
    const [action] = reduce(["s", "3"].map((name, index) => press(1000 + index, name, { target: secret }))).actions;
    expect(action).toMatchObject({ kind: "type", value: "****", masked: true });
  });

  test("are masked as a whole where one of them was taken out", () => {
    const told = ["a", "Unidentified", "Unidentified", "b", "Backspace"].map((name, index) =>
      press(1000 + index * 20, name),
    );
    expect(reduce(told).actions).toMatchObject([{ kind: "type", value: "****", masked: true }]);
    expect(brief(reduce([...told, input(1200, "<EMAIL_1>")]))).toEqual(["type <EMAIL_1>"]);
  });

  test("with a modifier held are hotkeys, named in one order", () => {
    const named = (name: string, held: object) => brief(reduce([press(1000, name, {}, held)]))[0];
    expect(named("C", { ctrl: true, shift: true })).toBe("hotkey ctrl+shift+c");
    expect(named("ArrowLeft", { alt: true })).toBe("hotkey alt+ArrowLeft");
    expect(named("Tab", { shift: true })).toBe("hotkey shift+Tab");
    expect(named("A", { shift: true })).toBe("type A");
    expect(named("@", { ctrl: true, alt: true })).toBe("type @");
  });

  test("that are modifiers, or have no name, are no acts", () => {
    expect(codes(reduce([press(1000, "Shift"), press(1001, "")]))).toEqual(["MODIFIER_ALONE", "KEY_UNKNOWN"]);
  });
});

describe("raw key presses", () => {
  const down = (timeMs: number, name: string): Told => ({
    type: "custom",
    customType: "keydown",
    timeMs,
    key: key(name),
  });
  const up = (timeMs: number, name: string): Told => ({ type: "custom", customType: "keyup", timeMs, key: key(name) });
  const seqs = ({ actions }: ReduceOutput): number[][] => actions.map(({ events }) => events.map(({ seq }) => seq));

  test("are hotkeys while a modifier is held, from its press to its release", () => {
    const told = [
      down(1, "Control"),
      down(2, "c"),
      up(3, "c"),
      down(4, "v"),
      up(5, "v"),
      up(6, "Control"),
      down(7, "x"),
      up(8, "x"),
    ];
    const output = reduce(told);
    expect(brief(output)).toEqual(["hotkey ctrl+c", "hotkey ctrl+v", "type x"]);
    expect(seqs(output)).toEqual([
      [1, 2, 3],
      [4, 5, 6],
      [7, 8],
    ]);
    expect(output.actions.map(({ inferred }) => inferred)).toEqual([undefined, undefined, ["VALUE_FROM_KEYS"]]);
  });

  test("tell hotkeys whatever name the press has", () => {
    const press = (timeMs: number, name: string): Told => ({ type: "key", timeMs, key: key(name) });
    expect(brief(reduce([press(1, "Control"), press(2, "c"), up(3, "c"), up(4, "Control")]))).toEqual([
      "hotkey ctrl+c",
    ]);
  });

  test("without a release get one, and a modifier is held for one key and no longer", () => {
    const output = reduce([down(1, "Control"), down(2, "t"), up(3, "t"), down(4, "a"), up(5, "a")]);
    expect(brief(output)).toEqual(["hotkey ctrl+t", "type a"]);
    expect(output.actions[0]?.inferred).toEqual(["SYNTHETIC_RELEASE"]);
  });

  test("of the keys that open menus are acts when they are pressed alone", () => {
    expect(brief(reduce([down(1, "Meta"), up(2, "Meta")]))).toEqual(["key Meta"]);
    expect(codes(reduce([down(1, "Shift"), up(2, "Shift")]))).toEqual(["MODIFIER_ALONE", "MODIFIER_ALONE"]);
  });

  test("that repeat while a key is held are told once for a modifier", () => {
    const output = reduce([down(1, "Shift"), down(2, "Shift"), down(3, "Tab"), up(4, "Tab"), up(5, "Shift")]);
    expect(brief(output)).toEqual(["hotkey shift+Tab"]);
    expect(codes(output)).toEqual(["DUPLICATE_EVENT"]);
  });

  test("that were redacted are one masked text, whichever was released first", () => {
    const hidden = "Unidentified";
    const output = reduce([down(1, hidden), down(2, hidden), up(3, hidden), up(4, hidden)]);
    expect(output.actions).toMatchObject([
      { kind: "type", value: "****", masked: true, inferred: ["VALUE_FROM_KEYS"] },
    ]);
  });

  test("released that were never pressed are no acts", () => {
    expect(codes(reduce([up(1, "a")]))).toEqual(["UNMATCHED_RELEASE"]);
  });
});

describe("a list", () => {
  const list = field("size", { tag: "select", role: "combobox" });
  const choose = (timeMs: number, value: string): Told => input(timeMs, value, { target: list }, "select-one");

  test("that is chosen from is one action, with the click and the keys that led to it", () => {
    const open = click(1000, "size", { target: list });
    const down = press(2000, "ArrowDown", { target: list });
    expect(brief(reduce([open, down, choose(2001, "M"), choose(3000, "L")]))).toEqual(["select L"]);
    expect(brief(reduce([choose(1000, "S"), press(1500, "ArrowDown", { target: list }), choose(1501, "M")]))).toEqual([
      "select M",
    ]);
  });

  test("takes in nothing that was done to something else", () => {
    expect(brief(reduce([click(1000, "cart"), choose(1100, "L")]))).toEqual(["click", "select L"]);
    const [open, opened] = [click(1000, "size", { target: list }), { type: "navigation", timeMs: 1100 } as const];
    expect(brief(reduce([open, opened, choose(2000, "L")]))).toEqual(["click", "select L"]);
  });
});

test("the same event of the same element told twice within a few milliseconds counts once", () => {
  const output = reduce([click(1000, "go"), click(1008, "go"), click(1019, "go")]);
  expect(codes(output)).toEqual(["DUPLICATE_EVENT"]);
  expect(brief(output)).toEqual(["double_click"]);
  expect(codes(reduce([click(1000, "go"), click(1008, "stop")]))).toEqual([]);
  expect(codes(reduce([click(1000, "go"), click(1008, "go", { pointer: pointAt(6, 5) })]))).toEqual([]);
});

test("turns of a wheel that come as fast as duplicates all count", () => {
  const turn = (timeMs: number): Told => ({
    type: "scroll",
    timeMs,
    pointer: pointAt(1, 1, { delta: { x: 0, y: 9 } }),
  });
  const events = eventsOf([turn(1000), turn(1002)]).map(({ page: _, ...event }) => event);
  expect(reduceEvents(SESSION, events).actions).toMatchObject([{ kind: "scroll", delta: { x: 0, y: 18 } }]);
});

function withoutTarget({ target: _, ...told }: Told): Told {
  return told;
}
