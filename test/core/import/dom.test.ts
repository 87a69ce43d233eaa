import { Text } from "domhandler";
import { appendChild } from "domutils";
import { describe, expect, test } from "vitest";
import { type Grounding, ground, targetOf } from "../../../src/core/import/dom/ground.ts";
import { PageElement, Root, textOf } from "../../../src/core/import/dom/page.ts";
import { SelectorKind } from "../../../src/wire/gen/sluice/v1/event_pb.ts";

type Child = PageElement | string;

function el(tag: string, attributes: Readonly<Record<string, string>>, ...children: readonly Child[]): PageElement {
  return filled(new PageElement(tag, Object.entries(attributes)), children);
}

function filled<T extends Root | PageElement>(node: T, children: readonly Child[]): T {
  for (const child of children) appendChild(node, typeof child === "string" ? new Text(child) : child);
  return node;
}

function shadowOf(host: PageElement, ...children: readonly Child[]): PageElement {
  host.shadow = filled(new Root([]), children);
  host.shadow.host = host;
  return host;
}

const page = (...children: readonly Child[]): Root =>
  filled(new Root([]), [el("html", {}, el("head", {}, el("title", {}, "Shop")), el("body", {}, ...children))]);

const NAMES = new Map<number, string>(Object.entries(SelectorKind).map(([name, kind]) => [kind, name]));

const proofs = (element: PageElement): Readonly<Record<string, string>> =>
  Object.fromEntries(
    (targetOf(element).selectors ?? []).map(({ kind, value, grounding }) => [
      `${NAMES.get(kind ?? 0)} ${value}`,
      `${grounding?.matches} ${grounding?.findsTarget}`,
    ]),
  );

describe("an element of a recorded page", () => {
  const save = el("button", { id: "save", class: "primary wide", "data-testid": "save" }, el("b", {}, "Save"), " all");
  const email = el("input", { name: "email", type: "email", placeholder: "you@example.com" });
  const city = el("select", { id: "c" }, el("option", {}, "Oslo"));
  page(
    el("form", {}, el("label", {}, "Your address ", email), el("label", { for: "c" }, "City"), city, save),
    el("ul", {}, el("li", {}, "Tea"), el("li", {}, "Coffee"), el("li", {}, "Tea")),
  );

  test("is described by what stands in the page: tag, role, name, text, attributes, what is around it", () => {
    expect(targetOf(save)).toMatchObject({ tag: "button", role: "button", name: "Save all", text: "Save all" });
    expect(targetOf(email)).toMatchObject({ tag: "input", role: "textbox", name: "Your address", text: "" });
    expect(targetOf(city)).toMatchObject({ role: "combobox", name: "City" });
    expect(targetOf(email).attributes).toContainEqual({ name: "placeholder", value: "you@example.com" });
    expect(targetOf(email).ancestors?.map(({ tag }) => tag)).toEqual(["label", "form", "body", "html"]);
  });

  test("has a selector of each kind that follows, each with what it finds in the page", () => {
    expect(proofs(save)).toEqual({
      "TEST_ID save": "1 true",
      "ID save": "1 true",
      'ROLE button[name="Save all"]': "1 true",
      "TEXT Save all": "1 true",
      "CSS button.primary.wide": "1 true",
      "CSS #save": "1 true",
      "XPATH /html/body/form/button": "1 true",
    });
  });

  test("that others are alike is told with how many they are", () => {
    const [, list] = save.parent?.parent?.children ?? [];
    const second = list instanceof PageElement ? list.children[2] : undefined;
    expect(second instanceof PageElement && proofs(second)).toEqual({
      "TEXT Tea": "2 true",
      "CSS html > body > ul > li:nth-of-type(3)": "1 true",
      "XPATH /html/body/ul/li[3]": "1 true",
    });
  });

  test("inside a control is found by the control's role and name", () => {
    const [inner] = save.children;
    expect(inner instanceof PageElement && proofs(inner)).toMatchObject({
      'ROLE button[name="Save all"]': "1 true",
      "TEXT Save": "1 true",
      "CSS #save > b": "1 true",
    });
  });

  test("in a shadow root is found through it, by no XPath, and its text is its host's", () => {
    const inner = el("button", {}, "Go");
    const host = shadowOf(el("x-go", {}), el("div", {}, inner));
    page(el("main", {}, host));
    expect(proofs(inner)).toEqual({
      'ROLE button[name="Go"]': "1 true",
      "TEXT Go": "1 true",
      "CSS div > button": "1 true",
    });
    expect(textOf(host, 10)).toBe("Go");
  });

  test("in a frame is looked for in the frame's own document", () => {
    const inner = el("button", { id: "go" }, "Go");
    const frame = el("iframe", {});
    frame.content = page(inner);
    page(frame, el("button", { id: "go" }, "Go"));
    expect(proofs(inner)).toMatchObject({ "ID go": "1 true" });
  });

  test("that was taken out of the page has selectors without proof", () => {
    expect(proofs(el("button", { id: "gone" }, "Go"))).toMatchObject({ "ID gone": "undefined undefined" });
  });

  test("may be nested deeper than calls can, and have names that objects know", () => {
    let deep = el("b", { __proto__: "x", constructor: "y" }, "deep");
    const inner = deep;
    for (let level = 0; level < 20_000; level += 1) deep = el("div", {}, deep);
    page(deep);
    const target = targetOf(inner);
    expect(target.text).toBe("deep");
    expect(target.attributes).toContainEqual({ name: "constructor", value: "y" });
    expect(textOf(deep, 10)).toBe("deep");
  });

  test("has the text that a page shows: blanks run together, no scripts, room between blocks", () => {
    const row = el("tr", {}, el("td", {}, "a\n  b"), el("td", {}, "c", el("i", {}, "d")), el("script", {}, "x()"));
    expect(textOf(row, 100)).toBe("a b cd");
    expect(textOf(row, 3)).toBe("a b");
  });
});

describe("grounding", () => {
  const first = el("a", { href: "/1", class: "go" }, "Go");
  const second = el("a", { href: "/2", class: "go", "data-x": 'a"b' }, "Go");
  const root = page(el("p", {}, first), el("p", {}, second));
  const look = (kind: SelectorKind, value: string): Grounding | undefined => ground({ kind, value }, root, second);

  test("says how many a selector finds, and whether the target is one", () => {
    expect(look(SelectorKind.CSS, "a.go")).toEqual({ matches: 2, findsTarget: true });
    expect(look(SelectorKind.CSS, "p:first-of-type > a")).toEqual({ matches: 1, findsTarget: false });
    expect(look(SelectorKind.CSS, "button")).toEqual({ matches: 0, findsTarget: false });
    expect(look(SelectorKind.XPATH, "//p[2]/a")).toEqual({ matches: 1, findsTarget: true });
    expect(look(SelectorKind.XPATH, "//*[@data-x='a\"b']")).toEqual({ matches: 1, findsTarget: true });
    expect(look(SelectorKind.ROLE, "link")).toEqual({ matches: 2, findsTarget: true });
  });

  test("is absent where a language can't be read here", () => {
    expect(look(SelectorKind.XPATH, "//a[contains(., 'Go')]")).toBeUndefined();
    expect(look(SelectorKind.CSS, "a:visited")).toBeUndefined();
    expect(look(SelectorKind.CSS, "a[")).toBeUndefined();
    expect(look(SelectorKind.ROLE, "link[name=Go]")).toBeUndefined();
    expect(look(SelectorKind.UNSPECIFIED, "a")).toBeUndefined();
  });

  test("says whether the box held the pointer where both are known, and nothing where one is not", () => {
    const box = { x: 10, y: 10, width: 20, height: 20 };
    const at = (pointer: { x: number; y: number } | undefined) =>
      ground({ kind: SelectorKind.CSS, value: "a" }, root, second, { pointer, box })?.boxHoldsPointer;
    expect([at({ x: 30, y: 30 }), at({ x: 31, y: 30 }), at(undefined)]).toEqual([true, false, undefined]);
  });
});
