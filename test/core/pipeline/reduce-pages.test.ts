import { describe, expect, test } from "vitest";
import type { ReduceOutput } from "../../../src/core/pipeline/outputs.ts";
import type { SessionEvent } from "../../../src/core/pipeline/recorded.ts";
import {
  element,
  eventsOf,
  field,
  HOME,
  key,
  pageAt,
  pointAt,
  reduce,
  reduceEvents,
  SESSION,
  shot,
  state,
  type Told,
} from "./acts.ts";

const NEXT = "https://shop.example/cart";

const click = (timeMs: number, more: Partial<Told> = {}): Told => ({
  type: "click",
  timeMs,
  target: element("go"),
  pointer: pointAt(5, 5),
  ...more,
});
const enter = (timeMs: number, more: Partial<Told> = {}): Told => ({
  type: "key",
  timeMs,
  target: field("query"),
  key: key("Enter"),
  ...more,
});
const input = (timeMs: number, value: string, more: Partial<Told> = {}): Told => ({
  type: "input",
  timeMs,
  target: field("query"),
  input: { value, masked: false, kind: "text" },
  ...more,
});
const submit = (timeMs: number): Told => ({ type: "submit", timeMs, target: element("form", { tag: "form" }) });
const navigation = (timeMs: number, url: string = NEXT): Told => ({ type: "navigation", timeMs, page: pageAt(url) });
const scroll = (timeMs: number): Told => ({
  type: "scroll",
  timeMs,
  pointer: pointAt(5, 5, { delta: { x: 0, y: 9 } }),
});

const brief = ({ actions }: ReduceOutput): string[] =>
  actions.map(({ kind, value, navigatedTo }) =>
    [kind, value, navigatedTo && `-> ${navigatedTo}`].filter(Boolean).join(" "),
  );
const codes = ({ unused }: ReduceOutput): string[] => unused.map(({ code }) => code);

describe("a navigation", () => {
  test("that follows a click, Enter or a choice is that action's effect", () => {
    expect(brief(reduce([click(1000), navigation(6000)]))).toEqual([`click -> ${NEXT}`]);
    expect(brief(reduce([enter(1000), navigation(2000)]))).toEqual([`key Enter -> ${NEXT}`]);
    const choice = input(1000, "L", { target: field("size", { tag: "select" }) });
    expect(brief(reduce([choice, navigation(2000)]))).toEqual([`select L -> ${NEXT}`]);
  });

  test("goes on over redirects, and while the old page still scrolls", () => {
    const told = [click(1000), scroll(1500), navigation(2000), navigation(2500, `${NEXT}/1`)];
    expect(brief(reduce(told))).toEqual([`click -> ${NEXT}/1`, "scroll"]);
  });

  test("after something that leads nowhere was typed, whatever was done before that", () => {
    expect(brief(reduce([click(1000), input(2000, "x"), navigation(3000)]))).toEqual([
      "click",
      "type x",
      `navigate ${NEXT}`,
    ]);
  });

  test("while a button is held is no effect of its release", () => {
    const raw = (customType: string, timeMs: number): Told => ({
      type: "custom",
      customType,
      timeMs,
      pointer: pointAt(5, 5),
    });
    const told = [raw("mousedown", 1000), navigation(9000), raw("mouseup", 9100)];
    expect(brief(reduce(told))).toEqual(["click", `navigate ${NEXT}`]);
  });

  test("long after an act was typed, and tells the page it left", () => {
    const output = reduce([click(1000), navigation(6001)]);
    expect(brief(output)).toEqual(["click", `navigate ${NEXT}`]);
    expect(output.actions[1]).toMatchObject({ page: { url: HOME.url }, targets: [] });
  });

  test("long after a submit, or a click on a link to there, is still the effect", () => {
    expect(brief(reduce([click(1000), submit(1010), navigation(31_000)]))).toEqual([`click -> ${NEXT}`]);
    expect(brief(reduce([click(1000), submit(1010), navigation(31_001)]))).toEqual(["click", `navigate ${NEXT}`]);
    const twice = [click(1000), submit(1010), navigation(2000), navigation(9000, `${NEXT}/1`)];
    expect(brief(reduce(twice))).toEqual([`click -> ${NEXT}`, `navigate ${NEXT}/1`]);
    const link = element("cart", { attributes: [{ name: "href", value: "/cart" }] });
    expect(brief(reduce([click(1000, { target: link }), navigation(9000)]))).toEqual([`click -> ${NEXT}`]);
    expect(brief(reduce([click(1000, { target: link }), navigation(9000, "https://other.example/")]))).toEqual([
      "click",
      "navigate https://other.example/",
    ]);
  });

  test("after typing or scrolling is an effect only where it rewrites the address of the same page", () => {
    const found = "https://shop.example/?q=lamp";
    expect(brief(reduce([input(1000, "lamp"), navigation(1100, found)]))).toEqual([`type lamp -> ${found}`]);
    expect(brief(reduce([input(1000, "lamp"), navigation(1100)]))).toEqual(["type lamp", `navigate ${NEXT}`]);
    const more = [input(1000, "l"), navigation(1100, found), input(1200, "lamp", { page: pageAt(found) })];
    expect(brief(reduce(more))).toEqual([`type lamp -> ${found}`]);
  });

  test("told before the click that caused it is the click's", () => {
    const output = reduce([scroll(1000), navigation(7000), click(7112)]);
    expect(brief(output)).toEqual(["scroll", `click -> ${NEXT}`]);
    expect(output.actions[1]?.events.map(({ seq }) => seq)).toEqual([2, 3]);
    const [action] = reduce([navigation(7000), click(7112, { screenshots: [shot("a")] })]).actions;
    expect(action?.screenshot).toEqual(shot("a"));
    expect(brief(reduce([scroll(1000), navigation(7000), click(7501)]))).toContain(`navigate ${NEXT}`);
    expect(brief(reduce([scroll(1000), navigation(7000), click(7112, { page: pageAt(NEXT) })]))).toContain("click");
  });

  test("to where the session starts is no act, nor is where that leads", () => {
    const output = reduce([
      navigation(1000, "https://shop.example/"),
      navigation(1100, "https://shop.example/home"),
      click(2000),
    ]);
    expect(codes(output)).toEqual(["START_PAGE", "START_PAGE"]);
    expect(brief(reduce([navigation(1000, HOME.url)], {}, { startUrl: "" }))).toEqual([`navigate ${HOME.url}`]);
    expect(brief(reduce([click(1000), navigation(9000, HOME.url)]))).toEqual(["click", `navigate ${HOME.url}`]);
  });

  test("that does not say where it led went to the next page that is told", () => {
    const events = eventsOf([click(1000), navigation(1100), click(9000, { page: pageAt(NEXT) })]);
    const [first, second, third] = events;
    if (first === undefined || second === undefined || third === undefined) throw new Error("three events");
    const { page: _, ...silent } = second;
    const [action] = reduceEvents(SESSION, [first, silent, third]).actions;
    expect(action).toMatchObject({ kind: "click", navigatedTo: NEXT, inferred: ["URL_OF_NEXT_PAGE"] });
    const [same] = reduceEvents(SESSION, [first, { ...second, page: pageAt("") }, third]).actions;
    expect(same).toEqual(action);
    expect(codes(reduceEvents(SESSION, [silent]))).toEqual(["NAVIGATION_UNKNOWN"]);
  });

  test("that nobody told is inferred from the next page, and says so", () => {
    const [action] = reduce([click(1000), scroll(9000), click(9500, { page: pageAt(NEXT) })]).actions;
    expect(action).not.toHaveProperty("navigatedTo");
    const [inferred] = reduce([click(1000), click(9500, { page: pageAt(NEXT) })]).actions;
    expect(inferred).toMatchObject({ navigatedTo: NEXT, inferred: ["NAVIGATION_BY_PAGE"] });
    expect(brief(reduce([input(1000, "a"), click(9500, { page: pageAt(NEXT) })]))).toEqual(["type a", "click"]);
  });
});

describe("a submit", () => {
  test("is part of the click or the key that made it", () => {
    expect(brief(reduce([enter(1000), submit(1002)]))).toEqual(["key Enter"]);
    expect(brief(reduce([click(1000), submit(1500)]))).toEqual(["click"]);
  });

  test("that nothing was seen to make is Enter, and says so", () => {
    const output = reduce([input(1000, "lamp"), submit(1500)]);
    expect(brief(output)).toEqual(["type lamp", "key Enter"]);
    expect(output.actions[1]?.inferred).toEqual(["ENTER_FOR_SUBMIT"]);
  });
});

describe("what was copied", () => {
  const copy: Told = { type: "custom", customType: "copy", timeMs: 1001 };

  test("is part of the hotkey that copied it, or an act of its own name", () => {
    const hotkey = enter(1000, { key: key("c", { ctrl: true }) });
    expect(brief(reduce([hotkey, copy]))).toEqual(["hotkey ctrl+c"]);
    expect(reduce([copy]).actions).toMatchObject([{ kind: "other", name: "copy" }]);
  });
});

test("what only the page does is no act", () => {
  const noise = ["load", "resize", "visibilitychange"].map(
    (customType): Told => ({ type: "custom", customType, timeMs: 1 }),
  );
  expect(codes(reduce(noise))).toEqual(["NOT_AN_ACT", "NOT_AN_ACT", "NOT_AN_ACT"]);
});

describe("a wait", () => {
  const ready = click(9000, { before: state(), after: state() });
  const looked: Told = {
    type: "focus",
    timeMs: 1100,
    target: element("go"),
    before: state(),
    after: state({ disabled: true }),
  };

  test("is idle time in which the next element changed", () => {
    const output = reduce([click(1000, { target: element("other") }), looked, ready]);
    expect(output.actions).toMatchObject([
      { kind: "click" },
      { kind: "wait", events: [], startMs: 1000, endMs: 9000, durationMs: 8000 },
      { kind: "click" },
    ]);
  });

  test("is not idle time in which it did not, nor a short time in which it did", () => {
    const same = { ...looked, after: state() };
    expect(brief(reduce([click(1000, { target: element("other") }), same, ready]))).toEqual(["click", "click"]);
    const soon = { ...ready, timeMs: 4000 };
    expect(brief(reduce([click(1000, { target: element("other") }), looked, soon]))).toEqual(["click", "click"]);
  });

  test("is not idle time before which the action itself changed it", () => {
    const early = { ...looked, timeMs: 900 };
    expect(brief(reduce([early, click(1000, { target: element("other") }), ready]))).toEqual(["click", "click"]);
  });

  test("that was told lasts until the next act", () => {
    const told: Told = { type: "custom", customType: "wait", timeMs: 1000 };
    expect(reduce([told, click(3500)]).actions).toMatchObject([{ kind: "wait", durationMs: 2500 }, { kind: "click" }]);
  });
});

describe("the screenshot of an action", () => {
  const blobs = (told: Told[]) => reduce(told).actions.map(({ screenshot }) => screenshot?.blob[0]);

  test("is the one from before its first event", () => {
    const told = [
      click(1000, { screenshots: [shot("a"), shot("b", "after")] }),
      click(1200, { screenshots: [shot("c")] }),
    ];
    expect(blobs(told)).toEqual(["a"]);
  });

  test("is else what was left right before, on the same page", () => {
    const left = click(1000, { screenshots: [shot("a"), shot("b", "after")] });
    expect(blobs([left, input(2000, "x")])).toEqual(["a", "b"]);
    expect(blobs([left, input(2000, "x", { page: pageAt(NEXT) })])).toEqual(["a", undefined]);
    expect(blobs([click(1000, { screenshots: [shot("b", "unknown")] }), input(2000, "x")])).toEqual([undefined, "b"]);
  });

  test("is never one from later, or from before something else was done", () => {
    expect(blobs([input(1000, "x", { screenshots: [shot("a", "after"), shot("b", "unknown")] })])).toEqual([undefined]);
    const [first, second] = [input(1000, "x"), input(1100, "xy", { screenshots: [shot("a")] })];
    expect(blobs([first, second])).toEqual([undefined]);
    expect(blobs([click(1000, { screenshots: [shot("a")] }), input(2000, "x")])).toEqual(["a", undefined]);
  });

  test("may be from before what changes nothing that can be seen", () => {
    const focus: Told = { type: "focus", timeMs: 900, screenshots: [shot("a")] };
    expect(blobs([focus, { type: "blur", timeMs: 950 }, input(1000, "x")])).toEqual(["a"]);
  });

  test("of a page is what its navigation left", () => {
    const opened = { ...navigation(1100), screenshots: [shot("b", "after")] } satisfies Told;
    expect(blobs([click(1000), opened, click(3000, { page: pageAt(NEXT) })])).toEqual([undefined, "b"]);
    const leaving = { ...navigation(1100), screenshots: [shot("b")] } satisfies Told;
    expect(blobs([click(1000), leaving, click(3000, { page: pageAt(NEXT) })])).toEqual([undefined, undefined]);
  });
});

describe("a session of actions told without times", () => {
  const ORDER_ONLY = { labels: [{ name: "times", value: "order-only" }] };
  const told = (events: readonly Partial<SessionEvent>[]) =>
    reduce(
      events.map((event, index): Told => ({ type: "click", timeMs: index + 1, ...event })),
      {},
      ORDER_ONLY,
    );

  test("passes through unchanged, one action an event", () => {
    const press = { type: "key", key: key("a") } as const;
    const write = { type: "input", input: { value: "x", masked: false, kind: "" } } as const;
    const events = [
      { pointer: pointAt(1, 1) },
      { pointer: pointAt(1, 1) },
      press,
      press,
      write,
      write,
      { type: "hover" },
    ] as const;
    expect(told(events).actions.map(({ kind }) => kind)).toEqual([
      "click",
      "click",
      "key",
      "key",
      "type",
      "type",
      "hover",
    ]);
    expect(told([{ type: "custom", customType: "terminate" }]).actions).toMatchObject([
      { kind: "other", name: "terminate" },
    ]);
    expect(told([{ type: "custom", customType: "wait" }]).actions).toMatchObject([{ kind: "wait" }]);
    expect(told([{ type: "focus" }])).toMatchObject({ actions: [], unused: [{ code: "FOCUS_NOISE" }] });
  });

  test("tells clicks without a place by the DOM's names for them", () => {
    const names = ["dblclick", "contextmenu", "auxclick"];
    const { actions } = told(names.map((customType) => ({ type: "custom", customType })));
    expect(actions).toMatchObject([
      { kind: "double_click" },
      { kind: "click", button: 2 },
      { kind: "click", button: 1 },
    ]);
    for (const action of actions) expect(action).not.toHaveProperty("name");
  });

  test("has one screenshot for all actions of a step", () => {
    const { actions } = told([{ screenshots: [shot("a")] }, {}, { screenshots: [shot("b")] }]);
    expect(actions.map(({ screenshot }) => screenshot?.blob[0])).toEqual(["a", "a", "b"]);
  });
});
