import fc from "fast-check";
import { EVENT_TYPES, type SessionEvent, type SessionFacts, type Target } from "../../../src/core/pipeline/recorded.ts";
import { element, field, HOME, key, pageAt, pointAt, SESSION, state, type Told } from "./acts.ts";

const PAGES = [
  HOME,
  pageAt("https://shop.example/?q=lamp"),
  pageAt("https://shop.example/cart"),
  pageAt("https://other.example/"),
];

const LABEL = element("moss-label", { role: "", name: "", tag: "label", text: "Moss" });
const RADIO = element("moss", {
  role: "radio",
  name: "Moss",
  tag: "input",
  selectors: [{ kind: "id", value: "moss", reliability: 1 }],
});
const QUERY = field("query");
const NOTE = field("note", { tag: "textarea" });
const SIZE = field("size", { role: "combobox", tag: "select" });
const PRICE = field("price", { role: "slider" });
const GO = element("go", { attributes: [{ name: "data-testid", value: "go" }], selectors: [] });
const BODY = element("body", { role: "", name: "", tag: "body", selectors: [] });
const PASSWORD = field("password");

const elements = fc.constantFrom<Target>(LABEL, RADIO, QUERY, NOTE, SIZE, PRICE, GO, PASSWORD);
const points = fc.record({ x: fc.constantFrom(10, 12, 40), y: fc.constantFrom(10, 40) });
const buttons = fc.constantFrom(0, 0, 0, 2);

const clicks = fc.tuple(elements, points, buttons, fc.constantFrom(0, 1, 1, 1, 2)).map(
  ([target, { x, y }, button, count]): Told => ({
    type: "click",
    timeMs: 0,
    target,
    pointer: pointAt(x, y, { button, clicks: count }),
  }),
);

const texts = fc.constantFrom("", "a", "ab", "lamp");
const inputs = fc.oneof(
  fc
    .tuple(fc.constantFrom(QUERY, NOTE), texts)
    .map(([target, value]) => ({ target, value, kind: "text", masked: false })),
  texts.map((value) => ({
    target: PASSWORD,
    value: value === "" ? "" : "••••••••",
    kind: "password",
    masked: value !== "",
  })),
  fc.constantFrom("S", "M").map((value) => ({ target: SIZE, value, kind: "select-one", masked: false })),
  fc.constantFrom("100", "200").map((value) => ({ target: PRICE, value, kind: "range", masked: false })),
  fc.constant({ target: RADIO, value: "moss", kind: "radio", masked: false }),
);
const told = inputs.map(({ target, ...input }): Told => ({ type: "input", timeMs: 0, target, input }));

const names = fc.constantFrom(
  "a",
  "b",
  " ",
  "Enter",
  "Tab",
  "Backspace",
  "ArrowDown",
  "ArrowLeft",
  "c",
  "v",
  "Control",
  "Unidentified",
  "",
);
const keys = fc
  .tuple(names, fc.constantFrom(QUERY, NOTE, SIZE, GO, BODY, RADIO), fc.boolean())
  .map(
    ([name, target, ctrl]): Told => ({ type: "key", timeMs: 0, target, key: key(name, { ctrl: ctrl && name !== "" }) }),
  );

const scrolls = fc
  .constantFrom(-120, 0, 120, 60)
  .map((y): Told => ({ type: "scroll", timeMs: 0, target: BODY, pointer: pointAt(5, 5, { delta: { x: 0, y } }) }));
const drags = fc
  .tuple(fc.constantFrom(PRICE, GO), points)
  .map(([target, to]): Told => ({ type: "drag", timeMs: 0, target, pointer: pointAt(0, 0, { to }) }));
const hovers = fc.tuple(elements, fc.boolean()).map(
  ([target, expanded]): Told => ({
    type: "hover",
    timeMs: 0,
    target,
    pointer: pointAt(5, 5),
    before: state(),
    after: state({ expanded }),
  }),
);
const raw = fc
  .tuple(fc.constantFrom("pointerdown", "pointermove", "pointerup", "dblclick", "contextmenu"), points)
  .map(
    ([customType, { x, y }]): Told => ({ type: "custom", customType, timeMs: 0, target: GO, pointer: pointAt(x, y) }),
  );
const others = fc.constantFrom<Told>(
  { type: "custom", customType: "copy", timeMs: 0 },
  { type: "custom", customType: "wait", timeMs: 0 },
  { type: "custom", customType: "resize", timeMs: 0 },
  { type: "focus", timeMs: 0, target: GO, before: state(), after: state({ disabled: true }) },
  { type: "blur", timeMs: 0, target: QUERY },
  { type: "submit", timeMs: 0, target: element("form", { tag: "form", role: "form" }) },
  { type: "drop", timeMs: 0, pointer: pointAt(9, 9) },
  { type: "navigation", timeMs: 0 },
);

/** A step: what happens, how long after what was before, and whether the page is another from then on. */
const steps = fc.record({
  event: fc.oneof(
    { weight: 3, arbitrary: clicks },
    { weight: 3, arbitrary: told },
    { weight: 3, arbitrary: keys },
    { weight: 2, arbitrary: scrolls },
    drags,
    hovers,
    raw,
    { weight: 2, arbitrary: others },
  ),
  after: fc.constantFrom(1, 20, 20, 100, 450, 1200, 4000, 7000, 40_000),
  page: fc.option(fc.constantFrom(...PAGES), { freq: 5 }),
});

/**
 * Sessions in which all that reduce looks for happens, near enough to each other to matter, and no
 * two events closer than `shortestMs`.
 */
export function livelySession(shortestMs: number): fc.Arbitrary<SessionEvent[]> {
  return fc.array(steps, { maxLength: 12 }).map((list) => {
    let timeMs = 1_000_000;
    let page = HOME;
    return list.map(({ event, after, page: next }, index) => {
      timeMs += Math.max(after, shortestMs);
      if (next !== null && event.type === "navigation") page = next;
      return { screenshots: [], page, ...event, timeMs, ref: { stream: "main", seq: index + 1 } };
    });
  });
}

const anyText = fc.oneof(
  fc.constantFrom("", "a", "checkbox", "select", "html", "id", "times", "order-only"),
  fc.string({ unit: "binary" }),
);
const anyNumber = fc.oneof(
  fc.constantFrom(0, 1, 2, 3, -1, Number.MAX_VALUE),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const optional = { requiredKeys: [] };
const anyPoint = fc.record({ x: anyNumber, y: anyNumber });
const anySize = fc.record({ width: anyNumber, height: anyNumber });
const anyBox = fc.record({ x: anyNumber, y: anyNumber, width: anyNumber, height: anyNumber });
const anyAttributes = fc.array(
  fc.record({
    name: fc.oneof(fc.constantFrom("href", "type", "id", "aria-haspopup", "contenteditable"), anyText),
    value: anyText,
  }),
  { maxLength: 3 },
);
const anyTarget = fc.record(
  {
    selectors: fc.array(
      fc.record({
        kind: fc.constantFrom("css", "xpath", "test_id", "role", "text", "aria", "id", "unknown"),
        value: anyText,
        reliability: anyNumber,
      }),
      { maxLength: 3 },
    ),
    role: anyText,
    name: anyText,
    text: anyText,
    tag: anyText,
    attributes: anyAttributes,
    box: anyBox,
    ancestors: fc.array(fc.record({ tag: anyText, role: anyText, name: anyText, attributes: anyAttributes }), {
      maxLength: 2,
    }),
  },
  { requiredKeys: ["selectors", "attributes", "ancestors"] },
);
const anyState = fc.record(
  {
    url: anyText,
    value: anyText,
    text: anyText,
    checked: fc.boolean(),
    focused: fc.boolean(),
    disabled: fc.boolean(),
    visible: fc.boolean(),
    expanded: fc.boolean(),
    selected: fc.boolean(),
  },
  { requiredKeys: ["checked", "focused", "disabled", "visible", "expanded", "selected"] },
);
const anyEvent = fc.record(
  {
    timeMs: fc.integer({ min: 1, max: 100_000 }),
    type: fc.constantFrom(...EVENT_TYPES),
    customType: fc.oneof(fc.constantFrom("mousedown", "mouseup", "keydown", "keyup", "dblclick", "wait"), anyText),
    page: fc.record(
      {
        url: fc.oneof(fc.webUrl(), anyText),
        title: anyText,
        viewport: anySize,
        devicePixelRatio: anyNumber,
        scroll: anyPoint,
      },
      { requiredKeys: ["url", "title", "scroll"] },
    ),
    target: anyTarget,
    input: fc.record({ value: anyText, masked: fc.boolean(), kind: anyText }),
    pointer: fc.record(
      { x: anyNumber, y: anyNumber, button: fc.nat(4), clicks: fc.nat(4), delta: anyPoint, to: anyPoint },
      { requiredKeys: ["x", "y", "button", "clicks"] },
    ),
    key: fc.record({
      key: fc.oneof(fc.constantFrom("Shift", "Control", "Enter", "a"), anyText),
      code: anyText,
      alt: fc.boolean(),
      ctrl: fc.boolean(),
      meta: fc.boolean(),
      shift: fc.boolean(),
    }),
    before: anyState,
    after: anyState,
    screenshots: fc.array(
      fc.record(
        {
          blob: fc.constantFrom("a".repeat(64), "b".repeat(64)),
          phase: fc.constantFrom("before", "after", "unknown"),
          size: anySize,
        },
        { requiredKeys: ["blob", "phase"] },
      ),
      { maxLength: 2 },
    ),
  },
  { requiredKeys: ["timeMs", "type", "screenshots"] },
);

/** Sessions of all that the types allow, in order of time. */
export function anySession(): fc.Arbitrary<{ session: SessionFacts; events: SessionEvent[] }> {
  const session = fc
    .record({ startUrl: anyText, labels: anyAttributes }, optional)
    .map((facts) => ({ ...SESSION, ...facts }));
  const events = fc
    .array(anyEvent, { maxLength: 15 })
    .map((list) =>
      list
        .toSorted((a, b) => a.timeMs - b.timeMs)
        .map((event, index): SessionEvent => ({ ...event, ref: { stream: "main", seq: index + 1 } })),
    );
  return fc.record({ session, events });
}
