import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { actionText } from "../../../src/core/pipeline/assemble/action-text.ts";
import { assemble } from "../../../src/core/pipeline/assemble.ts";
import { canonicalJson } from "../../../src/core/pipeline/canonical.ts";
import { ACTION_KINDS, type Action, type AssembleOutput } from "../../../src/core/pipeline/outputs.ts";
import type { SessionEvent, SessionFacts } from "../../../src/core/pipeline/recorded.ts";
import { element, eventsOf, field, HOME, key, NO_IO, pageAt, pointAt, SESSION, shot, type Told } from "./acts.ts";
import { inputsOf, scored } from "./scored.ts";
import { anySession, livelySession } from "./sessions.ts";

function assembled(events: readonly SessionEvent[], session: SessionFacts = SESSION, params = {}): AssembleOutput {
  const inputs = inputsOf(events, session);
  const output = assemble.run({ reduce: inputs.reduce, score: scored(inputs) }, assemble.params.parse(params), NO_IO);
  if (output instanceof Promise) throw new Error("assemble has nothing to wait for.");
  return output;
}

const BOX = { x: 640, y: 72, width: 320, height: 36 };
const TOLD: readonly Told[] = [
  {
    type: "click",
    timeMs: 1000,
    target: field("query", { box: BOX }),
    pointer: pointAt(800, 90),
    screenshots: [shot("a")],
  },
  { type: "input", timeMs: 2000, target: field("query"), input: { value: "lamp", masked: false, kind: "text" } },
  { type: "key", timeMs: 3000, target: field("query"), key: key("Enter") },
  { type: "navigation", timeMs: 3100, page: pageAt("https://shop.example/results") },
  {
    type: "click",
    timeMs: 5000,
    page: pageAt("https://shop.example/results"),
    target: element("buy"),
    pointer: pointAt(1, 1),
  },
];

describe("steps", () => {
  test("say what was to be done, what was seen, what had been done and what was done next", () => {
    const { steps } = assembled(eventsOf(TOLD));
    expect(steps.map(({ id, index }) => [id, index])).toEqual([
      ["session/0", 0],
      ["session/1", 1],
      ["session/2", 2],
      ["session/3", 3],
    ]);
    expect(steps[0]).toMatchObject({
      session: "session",
      task: "Buy a lamp.",
      observation: { url: HOME.url, title: "Shop", viewport: { width: 1280, height: 720 }, screenshot: shot("a") },
      history: [],
      text: 'click(role=textbox name="query")',
    });
    expect(steps[3]).toMatchObject({
      observation: { url: "https://shop.example/results" },
      history: ['click(role=textbox name="query")', 'type(role=textbox name="query" text="lamp")', 'key(keys="Enter")'],
      action: { kind: "click", events: [{ stream: "main", seq: 5 }] },
    });
    expect(steps[3]?.observation).not.toHaveProperty("screenshot");
  });

  test("have as much history as the parameter says", () => {
    expect(assembled(eventsOf(TOLD), SESSION, { history: 1 }).steps.map(({ history }) => history.length)).toEqual([
      0, 1, 1, 1,
    ]);
    expect(assembled(eventsOf(TOLD), SESSION, { history: 0 }).steps[3]?.history).toEqual([]);
    expect(assemble.params.safeParse({ histroy: 1 }).success).toBe(false);
  });

  test("have places as fractions of the viewport", () => {
    const { steps } = assembled(eventsOf(TOLD));
    expect(steps[0]?.fractions).toEqual({
      point: { x: 0.625, y: 0.125 },
      box: { x: 0.5, y: 0.1, width: 0.25, height: 0.05 },
    });
    expect(steps[1]).not.toHaveProperty("fractions");
  });

  test("have places as fractions of the screen where there is no page, and none where its size is not known", () => {
    const drag = { type: "drag", timeMs: 1, pointer: pointAt(500, 250, { to: { x: 250, y: 500 } }) } as const;
    const steps = (screenshot: object) => {
      const [event] = eventsOf([{ ...drag, screenshots: [{ ...shot("a"), ...screenshot }] }]).map(
        ({ page: _, ...rest }) => rest,
      );
      return event === undefined ? [] : assembled([event]).steps;
    };
    expect(steps({ size: { width: 1000, height: 1000 } })[0]?.fractions).toEqual({
      point: { x: 0.5, y: 0.25 },
      to: { x: 0.25, y: 0.5 },
    });
    expect(steps({})[0]).not.toHaveProperty("fractions");
    expect(steps({ size: { width: 0, height: 0 } })[0]).not.toHaveProperty("fractions");
  });
});

test("the session's example has what is known of the whole", () => {
  const labels = [{ name: "site", value: "shop" }];
  const { session } = assembled(eventsOf(TOLD), { ...SESSION, labels, userAgent: "Test/1" });
  expect(session).toEqual({
    id: "session",
    task: "Buy a lamp.",
    startUrl: "https://shop.example/",
    score: expect.any(Number),
    dimensions: expect.objectContaining({ completeness: expect.any(Number) }),
    steps: 4,
    collector: "test/1",
    userAgent: "Test/1",
    labels,
  });
});

test("a session without actions has no steps", () => {
  expect(assembled([])).toMatchObject({ session: { steps: 0, score: 0 }, steps: [] });
});

describe("the text of an action", () => {
  const action = (kind: Action["kind"], more: Partial<Action> = {}): Action => ({
    kind,
    events: [],
    startMs: 0,
    endMs: 0,
    targets: [],
    ...more,
  });
  const button = { element: { role: "button", name: "Search" } };

  test.each<readonly [string, Action]>([
    ['click(role=button name="Search")', action("click", button)],
    ['click(role=button name="Search" button=secondary)', action("click", { ...button, button: 2 })],
    ['click(role=button name="Search" seconds=1.5)', action("click", { ...button, durationMs: 1520 })],
    ["click(at=12,34 clicks=5)", action("click", { point: { x: 12.4, y: 33.6 }, clicks: 5 })],
    [
      'click(role=slider name="Up to" value="200")',
      action("click", { element: { role: "slider", name: "Up to" }, value: "200" }),
    ],
    [
      'double_click(text="Row 3" button=middle)',
      action("double_click", { targets: [{ kind: "text", value: "Row 3" }], button: 1 }),
    ],
    ["triple_click(at=1,2)", action("triple_click", { point: { x: 1, y: 2 } })],
    [
      'type(role=textbox name="Name" text="Robin \\"R\\" \\n")',
      action("type", { element: { role: "textbox", name: "Name" }, value: 'Robin "R" \n' }),
    ],
    [
      'type(id="pin" text=masked)',
      action("type", { targets: [{ kind: "id", value: "pin" }], value: "****", masked: true }),
    ],
    ['click(role="a b" name="x")', action("click", { element: { role: "a b", name: "x" } })],
    ["type()", action("type")],
    [
      'select(role=combobox name="Size" option="Large")',
      action("select", { element: { role: "combobox", name: "Size" }, value: "Large" }),
    ],
    ["drag(from=1,2 to=3,4)", action("drag", { point: { x: 1, y: 2 }, to: { x: 3, y: 4 } })],
    ["scroll(by=0,-120)", action("scroll", { delta: { x: 0, y: -120 }, point: { x: 5, y: 5 } })],
    [
      'scroll(role=list css="#list" by=0,9)',
      action("scroll", {
        element: { role: "list" },
        targets: [{ kind: "css", value: "#list" }],
        delta: { x: 0, y: 9 },
      }),
    ],
    ['key(keys="Enter")', action("key", { ...button, value: "Enter" })],
    ['hotkey(keys="ctrl+c")', action("hotkey", { value: "ctrl+c" })],
    ['navigate(url="https://shop.example/")', action("navigate", { value: "https://shop.example/" })],
    [
      'hover(role=button test_id="menu")',
      action("hover", {
        element: { role: "button" },
        targets: [
          { kind: "role", value: "button" },
          { kind: "css", value: "b" },
          { kind: "test_id", value: "menu" },
        ],
      }),
    ],
    ["wait(seconds=8)", action("wait", { durationMs: 8000 })],
    ["wait()", action("wait")],
    ['other(name="terminate")', action("other", { name: "terminate" })],
  ])("%s", (expected, given) => {
    expect(actionText(given)).toBe(expected);
  });

  test("of every kind is here", () => {
    expect(ACTION_KINDS.map((kind) => actionText(action(kind)))).toEqual(ACTION_KINDS.map((kind) => `${kind}()`));
  });
});

describe("whatever was recorded", () => {
  const sessions = fc.oneof(
    anySession(),
    livelySession(1).map((events) => ({ session: SESSION, events })),
  );

  test("becomes examples in JSON, one a step, each text of which can be read back", () => {
    fc.assert(
      fc.property(sessions, ({ session, events }) => {
        const output = assembled(events, session);
        expect(canonicalJson(assembled(events, session))).toBe(canonicalJson(output));
        expect(output.steps).toHaveLength(inputsOf(events, session).reduce.actions.length);
        expect(new Set(output.steps.map(({ id }) => id)).size).toBe(output.steps.length);
        for (const { text, action } of output.steps) {
          const [, kind, words = ""] = /^(\w+)\((.*)\)$/s.exec(text) ?? [];
          expect(kind).toBe(action.kind);
          const left = words.replaceAll(/(?:^| )\w+=(?:"(?:[^"\\]|\\.)*"|[^\s"]+)/g, "");
          expect(left).toBe("");
        }
      }),
      { numRuns: 500 },
    );
  });
});
