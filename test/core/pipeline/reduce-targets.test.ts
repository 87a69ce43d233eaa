import { describe, expect, test } from "vitest";
import type { Selector, Target } from "../../../src/core/pipeline/recorded.ts";
import { rankTargets } from "../../../src/core/pipeline/reduce/targets.ts";
import { element, pointAt, reduce } from "./acts.ts";

const selector = (kind: Selector["kind"], value: string, reliability = 1): Selector => ({ kind, value, reliability });
const bare = { role: "", name: "", tag: "" };
const ranked = (selectors: readonly Selector[], more = {}) =>
  rankTargets([element("", { ...bare, selectors, ...more })]).map(({ kind, value }) => `${kind} ${value}`);

describe("targets", () => {
  test("are ranked by what the collector judged, no kind above what it can be", () => {
    const selectors = [
      selector("xpath", "/html/body/p[2]"),
      selector("css", "#list > li:nth-of-type(2)"),
      selector("css", "main .buy"),
      selector("role", 'button[name="Buy"]', 0.3),
      selector("id", "buy", 0.95),
      selector("test_id", "buy", 0.98),
      selector("text", "Buy"),
    ];
    expect(ranked(selectors)).toEqual([
      "test_id buy",
      "id buy",
      "css main .buy",
      "text Buy",
      "css #list > li:nth-of-type(2)",
      "xpath /html/body/p[2]",
      'role button[name="Buy"]',
    ]);
  });

  test("are derived where the collector gave none, without a judgement of their own", () => {
    const attributes = [
      { name: "data-cy", value: "buy" },
      { name: "id", value: "b" },
      { name: "aria-label", value: "Buy it" },
    ];
    const box = { x: 1, y: 2, width: 3, height: 4 };
    const derived = rankTargets([
      element("", { role: "button", name: "Buy", text: "Buy", tag: "button", selectors: [], attributes, box }),
    ]);
    expect(derived).toEqual([
      { kind: "role", value: 'button[name="Buy"]' },
      { kind: "test_id", value: "buy" },
      { kind: "id", value: "b" },
      { kind: "aria", value: "Buy it" },
      { kind: "text", value: "Buy" },
      { kind: "box", value: "1,2,3,4" },
    ]);
  });

  test("that were looked for on the page rank above those that follow from what was told", () => {
    const told = { selectors: [selector("css", "#buy > b")], role: "button", name: "Buy" };
    expect(ranked([], told)).toEqual(["css #buy > b", 'role button[name="Buy"]']);
  });

  test("that were looked for rank by what was found, without a judgement that nobody made", () => {
    const found = (kind: Selector["kind"], value: string, matches: number, findsTarget = true): Selector => ({
      ...selector(kind, value, 0),
      grounding: { matches, findsTarget },
    });
    const selectors = [
      found("test_id", "buy", 0, false),
      found("id", "buy", 3),
      found("css", "main .buy", 1),
      found("text", "Buy", 1, false),
      { ...found("xpath", "/html/body/p[2]", 1), reliability: 0.35 },
    ];
    expect(rankTargets([element("", { ...bare, selectors })])).toEqual([
      { kind: "css", value: "main .buy", grounding: { matches: 1, findsTarget: true } },
      { kind: "xpath", value: "/html/body/p[2]", reliability: 0.35, grounding: { matches: 1, findsTarget: true } },
      { kind: "id", value: "buy", grounding: { matches: 3, findsTarget: true } },
      { kind: "test_id", value: "buy", grounding: { matches: 0, findsTarget: false } },
      { kind: "text", value: "Buy", grounding: { matches: 1, findsTarget: false } },
    ]);
  });

  test("told in two ways, or told and derived, are one, with the collector's judgement", () => {
    const attributes = [
      { name: "data-testid", value: "buy" },
      { name: "id", value: "b" },
    ];
    const selectors = [selector("test_id", '[data-testid="buy"]', 0.9), selector("id", "#b", 0.8)];
    expect(rankTargets([element("", { ...bare, selectors, attributes })])).toEqual([
      { kind: "test_id", value: "buy", reliability: 0.9 },
      { kind: "id", value: "b", reliability: 0.8 },
    ]);
  });

  test("that a framework makes up anew each time rank low", () => {
    expect(ranked([selector("id", "fdc4ca87-06a9-48fb-adc7-308adbea718d"), selector("text", "Buy")])[0]).toBe(
      "text Buy",
    );
    expect(ranked([selector("id", ":r1:"), selector("text", "Buy")])[0]).toBe("text Buy");
  });

  test("of an unknown kind are judged by how they look", () => {
    expect(ranked([selector("unknown", "//p"), selector("unknown", "p.buy")])).toEqual(["css p.buy", "xpath //p"]);
  });

  test("are not the text of the whole page", () => {
    expect(ranked([], { tag: "body", text: "Shop" })).toEqual([]);
    expect(ranked([], { tag: "p", text: "x".repeat(61) })).toEqual([]);
  });
});

describe("what an element is called", () => {
  const described = (more: Partial<Target>) => {
    const target = element("", { ...bare, selectors: [], ...more });
    return reduce([{ type: "click", timeMs: 1, target, pointer: pointAt(1, 1) }]).actions[0]?.element;
  };

  test("is what the collector told", () => {
    expect(described({ role: "tab", name: "Sizes", tag: "button" })).toEqual({
      role: "tab",
      name: "Sizes",
      tag: "button",
    });
  });

  test("follows else from its tag and type, its label or its text", () => {
    const labelled = { attributes: [{ name: "aria-label", value: "Close" }] };
    expect(described({ tag: "button", text: "×", ...labelled })).toMatchObject({ role: "button", name: "Close" });
    expect(described({ tag: "a", text: "Sale" })).toMatchObject({ role: "link", name: "Sale" });
    const field = (type: string) => ({
      tag: "input",
      attributes: [
        { name: "type", value: type },
        { name: "placeholder", value: "Your e-mail" },
      ],
    });
    expect(described(field("email"))).toEqual({ role: "textbox", name: "Your e-mail", tag: "input" });
    expect(described(field("checkbox"))).toMatchObject({ role: "checkbox" });
    expect(described({ tag: "button", text: "x".repeat(61) })).not.toHaveProperty("name");
  });

  test("is that of the control around it, where it is none itself", () => {
    const around = [
      { tag: "span", attributes: [] },
      { tag: "button", name: "Search", attributes: [] },
    ];
    const drawing = { tag: "svg", role: "presentation", ancestors: around };
    expect(described(drawing)).toEqual({ role: "button", name: "Search", tag: "svg" });
    expect(described({ tag: "span", text: "Jeans", ancestors: [{ tag: "a", attributes: [] }] })).toMatchObject({
      role: "link",
      name: "Jeans",
    });
    const far = Array.from({ length: 4 }, () => ({ tag: "div", attributes: [] }));
    expect(described({ ...drawing, ancestors: [...far, ...around] })).toEqual({ tag: "svg" });
  });
});
