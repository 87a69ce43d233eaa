import { isText } from "domhandler";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ancestorsOf, elementsIn, PageElement, type Root } from "../../../src/core/import/dom/page.ts";
import { Mirror } from "../../../src/core/import/rrweb-mirror.ts";
import { RrwebReader } from "../../../src/core/import/rrweb-reader.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { checkEvent } from "../../../src/core/session/event-check.ts";
import { add, BODY, documentOf, el, type Json, mouse, mutation, page, START, text } from "./rrweb-events.ts";

const ID = fc.integer({ min: 1, max: 16 });

/** Nodes, some of them with a few in them, whose numbers may be in use already. */
const NODE: fc.Arbitrary<Json> = fc.letrec<{ node: Json }>((tie) => ({
  node: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.record({ type: fc.constant(3), id: ID, textContent: fc.string({ maxLength: 3 }), isShadow: fc.boolean() }),
    fc.record({
      type: fc.constantFrom(0, 2, 2, 2),
      id: ID,
      tagName: fc.constantFrom("div", "iframe", "button", "input"),
      attributes: fc.dictionary(
        fc.constantFrom("id", "class", "value", "__proto__"),
        fc.constantFrom("a", "b", true, 1, null),
      ),
      childNodes: fc.array(tie("node"), { maxLength: 2 }),
      isShadow: fc.boolean(),
    }),
  ),
})).node;

const MUTATION: fc.Arbitrary<Json> = fc.record({
  adds: fc.array(fc.record({ parentId: ID, nextId: fc.option(ID), node: NODE }), { maxLength: 4 }),
  removes: fc.array(fc.record({ id: ID, parentId: ID }), { maxLength: 2 }),
  texts: fc.array(fc.record({ id: ID, value: fc.string({ maxLength: 3 }) }), { maxLength: 2 }),
  attributes: fc.array(
    fc.record({ id: ID, attributes: fc.dictionary(fc.constantFrom("id", "value"), fc.constantFrom("a", null)) }),
    {
      maxLength: 2,
    },
  ),
});

function mirrorOf(body: readonly Json[]): Mirror {
  const mirror = new Mirror(1024 * 1024);
  mirror.snapshot({ node: documentOf(1, body) });
  return mirror;
}

describe("a page that changes", () => {
  test("stays a tree, whatever the changes say", () => {
    fc.assert(
      fc.property(fc.array(MUTATION, { maxLength: 6 }), (changes) => {
        const mirror = mirrorOf([el(10, "div", {}, el(11, "p"))]);
        for (const change of changes) mirror.mutate(change);
        for (let id = 1; id <= 16; id += 1) checkTree(mirror.element(id));
      }),
    );
  });

  test("comes out the same in whatever order its additions are told", () => {
    const parents = fc.array(fc.nat(), { minLength: 1, maxLength: 12 });
    const tree = parents.chain((picks) => {
      const adds = additions(picks);
      return fc.tuple(fc.constant(adds), fc.shuffledSubarray(adds, { minLength: adds.length }));
    });
    fc.assert(
      fc.property(tree, ([adds, shuffled]) => {
        const [one, other] = [mirrorOf([]), mirrorOf([])];
        one.mutate({ adds });
        other.mutate({ adds: shuffled });
        expect(outline(other.document)).toBe(outline(one.document));
        expect([...elementsIn(one.document ?? never())].length).toBe(adds.length + 4);
      }),
    );
  });
});

/** Each node is one of an earlier one's, before its next sibling, as rrweb tells them: from the last to the first. */
function additions(picks: readonly number[]): Json[] {
  const children = new Map<number, number[]>([[BODY, []]]);
  for (const [index, pick] of picks.entries()) {
    const known = [...children.keys()];
    const parent = known[pick % known.length] ?? BODY;
    children.get(parent)?.push(100 + index);
    children.set(100 + index, []);
  }
  return [...children].flatMap(([parent, ids]) =>
    ids.map((id, index) => add(parent, el(id, `n${id}`), ids[index + 1] ?? null)),
  );
}

function never(): Root {
  throw new Error("The page is gone.");
}

/** Every child knows its parent, and every way up ends. */
function checkTree(element: PageElement | undefined): void {
  if (element === undefined) return;
  let steps = 0;
  for (const _ of ancestorsOf(element)) {
    steps += 1;
    expect(steps).toBeLessThan(64);
  }
  for (const [index, child] of element.children.entries()) {
    expect(child.parent).toBe(element);
    expect(child.prev).toBe(element.children[index - 1] ?? null);
    expect(child.next).toBe(element.children[index + 1] ?? null);
  }
}

function outline(node: Root | PageElement | undefined): string {
  if (node === undefined) return "";
  const inside = node.children.map((child) =>
    child instanceof PageElement ? outline(child) : isText(child) ? child.data : "",
  );
  return `${node instanceof PageElement ? node.name : ""}(${inside.join(" ")})`;
}

/** The events told of items, in order, and what became of all. */
function read(items: readonly unknown[], hasTimes = true) {
  const reader = new RrwebReader(hasTimes);
  const events = items.map((event, index) =>
    reader.read({ index, json: JSON.stringify(event), pageId: "", event: isRecord(event) ? event : undefined }),
  );
  return { events: events.filter((event) => event !== undefined), account: reader.account };
}

const isRecord = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

describe("a recording", () => {
  test("can end after any of its events: what is told before stays as it was", () => {
    const changes = fc.oneof(
      MUTATION.map((change) => mutation(change)),
      fc
        .tuple(fc.constantFrom("click" as const, "mousedown" as const, "dblclick" as const, "focus" as const), ID)
        .map(([type, id]) => mouse(type, id)),
    );
    fc.assert(
      fc.property(fc.array(changes, { maxLength: 12 }), fc.nat(14), (told, end) => {
        const all = [
          ...page([el(10, "button", {}, text(11, "a"))]),
          ...told.map((event, index) => ({ ...event, timestamp: START + index })),
        ];
        const whole = read(all).events;
        const part = read(all.slice(0, end)).events;
        expect(part).toEqual(whole.slice(0, part.length));
      }),
    );
  });

  test("of anything at all is told or counted, item by item, and what is told is valid or has no type", () => {
    const anything = fc.oneof(
      fc.jsonValue(),
      fc.record(
        { type: fc.integer({ min: 0, max: 7 }), data: fc.jsonValue(), timestamp: fc.oneof(fc.jsonValue(), fc.nat()) },
        { requiredKeys: [] },
      ),
      fc.record({
        type: fc.constant(3),
        timestamp: fc.double(),
        data: fc.record(
          {
            source: fc.integer({ min: 0, max: 17 }),
            type: fc.jsonValue(),
            id: fc.oneof(ID, fc.jsonValue()),
            x: fc.jsonValue(),
            y: fc.double(),
            text: fc.jsonValue(),
            positions: fc.jsonValue(),
            adds: fc.jsonValue(),
            removes: fc.jsonValue(),
            attributes: fc.jsonValue(),
            texts: fc.jsonValue(),
          },
          { requiredKeys: ["source"] },
        ),
      }),
      fc.record({
        type: fc.constantFrom(2, 4, 5),
        data: fc.record({
          node: fc.oneof(NODE, fc.jsonValue()),
          initialOffset: fc.jsonValue(),
          href: fc.jsonValue(),
          width: fc.double(),
          tag: fc.string(),
          payload: fc.jsonValue(),
        }),
      }),
    );
    fc.assert(
      fc.property(fc.array(anything, { maxLength: 10 }), fc.boolean(), (items, hasTimes) => {
        const { events, account } = read(items, hasTimes);
        expect(account.items).toBe(items.length);
        expect(account.told + account.context + account.duplicate).toBe(items.length);
        expect(events.length).toBe(account.told);
        for (const event of events) {
          const check = checkEvent(event, 0n, DEFAULT_LIMITS);
          if ("flaw" in check) expect(["type", "time_ms"]).toContain(check.flaw.path);
        }
      }),
    );
  });
});
