import { describe, expect, test } from "vitest";
import { define } from "../../../src/core/pipeline/definition.ts";
import type { Action } from "../../../src/core/pipeline/outputs.ts";
import type { Finding, Grounding, SessionEvent, SessionFacts, Target } from "../../../src/core/pipeline/recorded.ts";
import { score } from "../../../src/core/pipeline/score.ts";
import { element, eventsOf, field, key, pageAt, pointAt, SESSION, shot, state, type Told } from "./acts.ts";
import { check, inputsOf, type ScoreInputs, scored, withActions } from "./scored.ts";

const BOX = { x: 100, y: 100, width: 80, height: 20 };
const SHOT = { ...shot("a"), size: { width: 1280, height: 720 } };
const proof = (id: string): Partial<Target> => ({
  box: BOX,
  selectors: [{ kind: "id", value: id, reliability: 0.95, grounding: { matches: 1, findsTarget: true } }],
});
const VIEWED = { screenshots: [SHOT] };

const TOLD: readonly Told[] = [
  { type: "click", timeMs: 1000, target: field("query", proof("query")), pointer: pointAt(110, 110), ...VIEWED },
  {
    type: "input",
    timeMs: 2000,
    target: field("query", proof("query")),
    input: { value: "lamp", masked: false, kind: "text" },
    after: state({ value: "lamp" }),
    ...VIEWED,
  },
  { type: "key", timeMs: 3000, target: field("query", proof("query")), key: key("Enter"), ...VIEWED },
  { type: "navigation", timeMs: 3100, page: pageAt("https://shop.example/results") },
  {
    type: "click",
    timeMs: 4000,
    page: pageAt("https://shop.example/results"),
    target: element("lamp", proof("lamp")),
    pointer: pointAt(110, 110),
    ...VIEWED,
  },
];
const EVENTS = eventsOf(TOLD);
const GOOD = inputsOf(EVENTS);

const changed = (change: (event: SessionEvent, index: number) => SessionEvent, session: SessionFacts = SESSION) =>
  inputsOf(EVENTS.map(change), session);
const found = (...findings: Finding[]): ScoreInputs => ({ ...GOOD, validate: { ...GOOD.validate, findings } });
const mended = (code: string, seq: number): Finding => ({ code, action: "mended", ref: { stream: "main", seq } });
const isClick = ({ kind }: Action): boolean => kind === "click";

/** Of each check a session that loses by it, and what is left of its points. */
const BAD: readonly (readonly [string, ScoreInputs, number])[] = [
  ["actions_present", inputsOf(EVENTS.slice(0, 2)), 2 / 3],
  [
    "screenshots_present",
    withActions(GOOD, (action) => (isClick(action) ? without(action, "screenshot") : action)),
    1 / 2,
  ],
  ["blobs_present", { ...GOOD, validate: { ...GOOD.validate, missingBlobs: ["b", "c", "d"] } }, 1 / 4],
  ["pages_present", withActions(GOOD, (action) => (isClick(action) ? without(action, "page") : action)), 1 / 2],
  ["task_present", changed((event) => event, { ...SESSION, task: " Buy! " }), 4 / 10],
  ["targets_present", withActions(GOOD, (action) => (isClick(action) ? { ...action, targets: [] } : action)), 1 / 3],
  ["values_present", withActions(GOOD, (action) => without(action, "value")), 0],
  ["targets_named", withActions(GOOD, (action) => (isClick(action) ? positional(action) : action)), 1 / 3],
  [
    "targets_reliable",
    withActions(GOOD, (action) => (isClick(action) ? positional(action) : action)),
    (1 + 2 * (0.4 / 0.85)) / 3,
  ],
  [
    "targets_grounded",
    withActions(GOOD, (action) => (isClick(action) ? proven(action, { matches: 3 }) : action)),
    2 / 3,
  ],
  ["events_accepted", { ...GOOD, validate: { ...GOOD.validate, quarantined: 1 } }, 0],
  [
    "events_kept",
    { ...GOOD, validate: { ...GOOD.validate, dropped: [{ ref: { stream: "main", seq: 9 }, code: "EMPTY_SHELL" }] } },
    1 - 1 / 6 / 0.2,
  ],
  [
    "actions_seen",
    withActions(GOOD, (action) => (isClick(action) ? { ...action, inferred: ["SYNTHETIC_RELEASE"] } : action)),
    1 / 2,
  ],
  [
    "pointer_in_box",
    changed((event, index) => (index === 0 ? { ...event, pointer: pointAt(183, 110) } : event)),
    1 / 2,
  ],
  [
    "targets_on_screen",
    changed((event, index) => (index === 0 ? { ...event, pointer: pointAt(1283, 110) } : event)),
    2 / 3,
  ],
  [
    "values_match_state",
    changed((event, index) => (index === 1 ? { ...event, after: state({ value: "lam" }) } : event)),
    0,
  ],
  [
    "screenshots_match_viewport",
    changed((event, index) =>
      index === 0 ? { ...event, screenshots: [{ ...SHOT, size: { width: 640, height: 720 } }] } : event,
    ),
    3 / 4,
  ],
  ["times_in_order", found(mended("TIME_REVERSED", 2)), 4 / 5],
  ["no_long_gaps", changed((event, index) => ({ ...event, timeMs: event.timeMs + (index > 3 ? 300_000 : 0) })), 2 / 3],
  ["sequence_unbroken", found(mended("ORDER_FROM_SEQUENCE", 2)), 4 / 5],
  ["navigations_explained", withActions(GOOD, (action) => without(action, "navigatedTo")), 0],
  ["little_mended", found(mended("BOX_NEGATIVE", 2), mended("TYPE_RESPELLED", 2)), 1 - 1 / 5 / 0.5],
];

describe("a check", () => {
  test.each(BAD)(
    "%s gives all to a good session and less to a bad one, with numbers for reasons",
    (name, bad, left) => {
      const good = check(name, GOOD);
      expect(good).toMatchObject({ points: good.of, of: expect.any(Number) });
      expect(good.of).toBeGreaterThan(0);
      expect(check(name, bad).points / good.of).toBeCloseTo(left, 3);
      expect(check(name, bad).reason).toMatch(/\d/);
    },
  );

  test("is there for every name there is", () => {
    const names = scored(GOOD).checks.map(({ name }) => name);
    expect(names.toSorted()).toEqual(BAD.map(([name]) => name).toSorted());
    expect(Object.keys(score.params.parse({}).points).toSorted()).toEqual(names.toSorted());
  });

  test("says nothing of what was recorded", () => {
    for (const { reason } of [GOOD, ...BAD.map(([, bad]) => bad)].flatMap((inputs) => scored(inputs).checks)) {
      expect(reason).not.toMatch(/lamp|query|shop|Buy/i);
    }
  });

  test("that has nothing to look at counts nothing", () => {
    const typed = inputsOf(EVENTS.slice(1, 2).map((event) => ({ ...event, screenshots: [] })));
    expect(check("pointer_in_box", typed)).toEqual({
      name: "pointer_in_box",
      dimension: "accuracy",
      points: 0,
      of: 0,
      reason: "nothing to check: no pointers with a box",
    });
    expect(check("blobs_present", typed)).toMatchObject({ of: 0 });
    expect(check("navigations_explained", typed)).toMatchObject({ of: 0 });
  });

  test("of a whole screen asks for no page and no element, and takes a place for a target", () => {
    const clicks = eventsOf(
      [1000, 2000, 3000].map((timeMs): Told => ({ type: "click", timeMs, pointer: pointAt(5, 5), ...VIEWED })),
    );
    const desktop = inputsOf(clicks.map(({ page: _, ...event }) => event));
    for (const name of ["pages_present", "targets_named", "targets_reliable"])
      expect(check(name, desktop)).toMatchObject({ of: 0 });
    const typing = eventsOf([{ type: "input", timeMs: 4000, input: { value: "x", masked: false, kind: "" } }]);
    const typed = [...clicks, ...typing].map(({ page: _, ...event }) => event);
    expect(check("targets_present", inputsOf(typed))).toMatchObject({ points: 10, of: 10 });
    expect(check("targets_on_screen", desktop)).toMatchObject({ points: 25, of: 25 });
  });

  test("of times is left out where there are none", () => {
    const labels = [{ name: "times", value: "order-only" }];
    const told = inputsOf(EVENTS, { ...SESSION, labels });
    expect(check("times_in_order", told)).toMatchObject({ of: 0 });
    expect(check("no_long_gaps", told)).toMatchObject({ of: 0 });
  });

  test("looks at what it says it looks at, and at nothing else", () => {
    const all = (name: string, inputs: ScoreInputs) => {
      const { points, of } = check(name, inputs);
      return points / of;
    };
    const opened: Told = { type: "navigation", timeMs: 1, page: pageAt("https://shop.example/x") };
    expect(all("pages_present", inputsOf(eventsOf([opened, ...TOLD])))).toBe(1);
    const later = inputsOf(eventsOf([...TOLD, { ...opened, timeMs: 60_000 }]));
    const unknown = withActions(later, (action) => (action.kind === "navigate" ? without(action, "page") : action));
    expect(all("pages_present", unknown)).toBe(4 / 5);
    const generated = [{ kind: "id", value: "fdc4ca87-06a9-48fb-adc7-308adbea718d" }] as const;
    expect(
      all(
        "targets_named",
        withActions(GOOD, (action) => ({ ...action, targets: generated })),
      ),
    ).toBe(0);
    const nameless = [{ kind: "role", value: "button" }] as const;
    expect(
      all(
        "targets_named",
        withActions(GOOD, (action) => ({ ...action, targets: nameless })),
      ),
    ).toBe(0);
    expect(
      all(
        "actions_seen",
        withActions(GOOD, (action) => ({ ...action, inferred: ["VALUE_FROM_KEYS"] })),
      ),
    ).toBe(1);
    const elsewhere = withActions(GOOD, (action) => ({ ...action, box: { ...BOX, y: 900 } }));
    expect(all("targets_on_screen", elsewhere)).toBe(0);
    const idle = changed((event, index) => ({ ...event, timeMs: event.timeMs + (index > 3 ? 299_100 : 0) }));
    expect(all("no_long_gaps", idle)).toBe(1);
    expect(all("little_mended", found({ ...mended("URL_UNPARSED", 2), action: "kept" }))).toBe(1);
    const asked = withActions(GOOD, (action) =>
      action.navigatedTo === undefined ? action : { ...action, navigatedTo: `${action.navigatedTo}?q=lamp` },
    );
    expect(all("navigations_explained", asked)).toBe(1);
  });

  test("of what was looked for in the page counts half where others were found too, nothing where it was not", () => {
    const points = (more: Partial<Grounding>) =>
      check(
        "targets_grounded",
        withActions(GOOD, (action) => proven(action, more)),
      ).points;
    expect(points({})).toBe(30);
    expect(points({ boxHoldsPointer: true })).toBe(30);
    expect(points({ matches: 3 })).toBe(15);
    expect(points({ findsTarget: false })).toBe(0);
    expect(points({ boxHoldsPointer: false })).toBe(0);
    expect(check("targets_grounded", withActions(GOOD, positional))).toMatchObject({
      of: 0,
      reason: "nothing to check: no elements looked for in the page as it was",
    });
  });

  test("leaves masked values alone", () => {
    const masked = changed((event, index) =>
      index === 1 ? { ...event, input: { value: "****", masked: true, kind: "password" } } : event,
    );
    expect(check("values_match_state", masked)).toMatchObject({ of: 0 });
  });

  test("knows how many pixels a screen has for one of the page's", () => {
    const sharp = changed((event) => ({
      ...event,
      ...(event.page && { page: { ...event.page, devicePixelRatio: 2 } }),
      screenshots: event.screenshots.map((screenshot) => ({ ...screenshot, size: { width: 2560, height: 1440 } })),
    }));
    expect(check("screenshots_match_viewport", sharp)).toMatchObject({ points: 20, of: 20 });
  });

  test("says how many screenshots redaction withheld", () => {
    const withheld = [{ ref: { stream: "main", seq: 1 }, code: "UNLOCATED_VALUE" }];
    const { report } = GOOD.redact;
    const kept = { ...GOOD.redact, report: { ...report, screenshots: { ...report.screenshots, withheld } } };
    expect(check("screenshots_present", { ...GOOD, redact: kept }).reason).toMatch(/; redaction withheld 1$/);
  });

  test("of shares makes do with no events at all", () => {
    expect(scored({ ...GOOD, validate: { ...GOOD.validate, events: [] } }).overall).toBe(100);
  });

  test("counts half for a page that was only inferred to be an action's effect", () => {
    const inferred = withActions(GOOD, (action) => ({ ...action, inferred: ["NAVIGATION_BY_PAGE"] }));
    expect(check("navigations_explained", inferred)).toMatchObject({ points: 12.5, of: 25 });
  });
});

describe("the score", () => {
  test("of a good session is 100, in every dimension", () => {
    expect(scored(GOOD)).toMatchObject({
      overall: 100,
      dimensions: { completeness: 100, reliability: 100, accuracy: 100, consistency: 100 },
    });
  });

  test("is the sum of the dimensions by their weights", () => {
    const { overall, dimensions } = scored(inputsOf(EVENTS, { ...SESSION, task: "" }));
    expect(dimensions).toMatchObject({ completeness: 87.5, reliability: 100 });
    expect(overall).toBe(96.3);
    const weights = { completeness: 1, reliability: 0, accuracy: 0, consistency: 0 };
    expect(scored(inputsOf(EVENTS, { ...SESSION, task: "" }), { weights }).overall).toBe(87.5);
  });

  test("of a session without actions is 0, and says why", () => {
    const { overall, dimensions, checks } = scored(inputsOf(eventsOf([{ type: "focus", timeMs: 1 }])));
    expect({ overall, ...dimensions }).toEqual({
      overall: 0,
      completeness: 0,
      reliability: 0,
      accuracy: 0,
      consistency: 0,
    });
    expect(checks).toEqual([
      {
        name: "actions_present",
        dimension: "completeness",
        points: 0,
        of: 10,
        reason: "0 actions came of 1 events; 3 are enough",
      },
    ]);
  });

  test("of a dimension that nothing tells of is 0", () => {
    const keyed = inputsOf(eventsOf([{ type: "key", timeMs: 1, key: key("Enter") }]));
    expect(scored(keyed).dimensions.accuracy).toBe(0);
  });

  test("is what the parameters make of it", () => {
    const points = { ...score.params.parse({}).points, screenshots_present: 0 };
    const blind = withActions(GOOD, (action) => without(action, "screenshot"));
    expect(scored(blind).dimensions.completeness).toBeLessThan(100);
    expect(scored(blind, { points }).dimensions.completeness).toBe(100);
  });

  test("has weights that add up to 1, or says to what they do", () => {
    const weights = { completeness: 0.4 };
    expect(() => define([score], { score: { weights } })).toThrow(
      "score.weights: must add up to 1, and add up to 1.1: completeness 0.4, reliability 0.25, accuracy 0.25, consistency 0.2",
    );
    const thirds = { completeness: 0.1, reliability: 0.2, accuracy: 0.3, consistency: 0.4 };
    expect(define([score], { score: { weights: thirds } })).toHaveLength(1);
    expect(() => define([score], { score: { weights: { speed: 1 } } })).toThrow("score.weights");
  });
});

function without(action: Action, name: "screenshot" | "page" | "value" | "navigatedTo"): Action {
  const { [name]: _, ...rest } = action;
  return rest;
}

/** With another proof of its best target. */
function proven(action: Action, more: Partial<Grounding>): Action {
  const grounding = { matches: 1, findsTarget: true, ...more };
  return { ...action, targets: [{ kind: "css", value: "main .it", grounding }] };
}

function positional(action: Action): Action {
  return { ...action, targets: [{ kind: "xpath", value: "/html/body/div[2]", reliability: 1 }] };
}
