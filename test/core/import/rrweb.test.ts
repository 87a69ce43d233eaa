import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { EventType } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { never } from "../../fixtures.ts";
import { collect } from "./reading.ts";
import {
  add,
  BODY,
  documentOf,
  dragged,
  el,
  fileOf,
  input,
  type Json,
  meta,
  mouse,
  mutation,
  opened,
  page,
  START,
  scroll,
  snapshot,
  text,
  timed,
  told,
  toldAfter,
} from "./rrweb-events.ts";

const SAVE = el(10, "button", { id: "save", class: "big" }, text(11, "Save"));

describe("an rrweb recording", () => {
  test("tells a click with its element, as the page was then, its place and its page", async () => {
    const [click] = await toldAfter([SAVE], mouse("click", 10));
    expect(click).toMatchObject({
      type: EventType.CLICK,
      timeMs: BigInt(START + 1000),
      page: { url: "https://shop.example/a", title: "The shop", viewportWidth: 800, viewportHeight: 600 },
      target: { tag: "button", role: "button", name: "Save", text: "Save" },
      pointer: { x: 10, y: 20, button: 0, clicks: 1 },
    });
    expect(click?.target?.selectors[0]).toMatchObject({ value: "save", grounding: { matches: 1, findsTarget: true } });
    expect(click?.target?.selectors[0]?.grounding?.boxHoldsPointer).toBeUndefined();
    expect(click?.target?.box).toBeUndefined();
    expect(JSON.parse(click?.rawJson ?? "")).toEqual({ ...mouse("click", 10), timestamp: START + 1000 });
  });

  test("is the same in a list, in lines, in lines of lists, wrapped, after a byte order mark, in gzip", async () => {
    const all = [...page([SAVE]), ...timed([mouse("click", 10), scroll(1, 0, 50)])];
    const lines = all.map((event) => `${JSON.stringify(event)}\n`).join("");
    const plain = (await told(fileOf(all))).map(({ rawJson: _, ...event }) => event);
    expect(plain.map(({ type }) => type)).toEqual([EventType.NAVIGATION, EventType.CLICK, EventType.SCROLL]);
    const others = [
      fileOf(lines, "events.bin"),
      fileOf(`${JSON.stringify(all.slice(0, 2))}\n${JSON.stringify(all.slice(2))}`),
      fileOf(`\uFEFF${JSON.stringify(all, null, 2)}`),
      fileOf(gzipSync(lines)),
      fileOf(all.map((event) => JSON.stringify({ pageId: "tab", event })).join("\r\n")),
    ];
    for (const path of others) {
      expect((await told(path)).map(({ rawJson: _, ...event }) => event)).toEqual(plain);
    }
  });

  test("counts every item once: told, context or duplicate", async () => {
    const click = { ...mouse("click", 10), timestamp: START + 1 };
    const moves = { type: 3, data: { source: 1, positions: [] }, timestamp: START + 1 };
    const path = fileOf([...page([SAVE]), click, click, moves, { type: 1, data: {}, timestamp: START }, 7]);
    expect(await (await opened(path)).account(never)).toEqual({ items: 7, told: 3, context: 3, duplicate: 1 });
    expect((await told(path)).map(({ type }) => type)).toEqual([
      EventType.NAVIGATION,
      EventType.CLICK,
      EventType.UNSPECIFIED,
    ]);
  });

  test("goes on from any event with the same bytes, and tells where each is in the file", async () => {
    const path = fileOf([...page([SAVE]), ...timed([mouse("mousedown", 10), mouse("click", 10)])]);
    const recording = await opened(path);
    const all = await collect(recording.events(1n, never));
    expect(await collect(recording.events(3n, never))).toEqual(all.slice(2));
    expect(recording.where(3n)).toBe(`${path}: event 3`);
    expect(all.map(({ seq }) => recording.where(seq))).toEqual([0, 2, 3].map((item) => `${path}: event ${item}`));
  });

  test("has an id that its content makes: the same wherever it lies, and when it has grown", async () => {
    const all = [...page([SAVE]), ...timed([mouse("click", 10)])];
    const { session } = await opened(fileOf(all));
    expect(session).toMatch(/^rrweb-[0-9a-f]{32}$/);
    expect((await opened(fileOf(all.slice(0, 2), "other.ndjson"))).session).toBe(session);
    const later = { ...meta("https://shop.example/a"), timestamp: START + 1 };
    expect((await opened(fileOf([later, ...all.slice(1)]))).session).not.toBe(session);
  });

  test("says what it can't tell", async () => {
    const { absent, info } = await opened(fileOf(page([])));
    expect(absent).toEqual(["screenshots", "boxes of elements", "keys", "buttons of the pointer"]);
    expect(info).toMatchObject({ task: "", collector: "rrweb", startUrl: "https://shop.example/a" });
    const blind = await opened(fileOf([{ ...mouse("click", 10), timestamp: START }]));
    expect(blind.absent).toContain("elements: there is no snapshot of the page at the beginning");
  });

  test("without its first snapshot tells what was done, and of no element", async () => {
    const [click] = await told(fileOf([{ ...mouse("click", 10), timestamp: START }]));
    expect([click?.type, click?.target, click?.pointer]).toEqual([EventType.CLICK, undefined, undefined]);
  });

  test("without times takes the order for one, and says so", async () => {
    const path = fileOf(
      [meta("https://a.example/"), mouse("click", 10)].map(({ timestamp: _, ...event }: Json) => event),
    );
    const { info, absent } = await opened(path);
    expect(absent).toContain("times");
    expect(info.labels).toContainEqual({ name: "times", value: "none" });
    expect((await told(path)).map(({ timeMs }) => timeMs)).toEqual([1n, 2n]);
  });

  test("keeps its tabs apart", async () => {
    const wrap = (pageId: string, ...events: readonly Json[]) => events.map((event) => ({ pageId, event }));
    const other = [meta("https://other.example/"), snapshot([el(10, "a", {}, text(11, "Back"))])];
    const [a, b] = timed([mouse("click", 10), mouse("click", 10)]);
    const all = [...wrap("1", ...page([SAVE])), ...wrap("2", ...other), ...wrap("1", a ?? {}), ...wrap("2", b ?? {})];
    const clicks = (await told(fileOf(all))).filter(({ type }) => type === EventType.CLICK);
    expect(clicks.map(({ target, page }) => [target?.text, page?.url])).toEqual([
      ["Save", "https://shop.example/a"],
      ["Back", "https://other.example/"],
    ]);
  });
});

describe("what rrweb tells", () => {
  test("of pages: a navigation only where the address is another", async () => {
    const checkout = [meta("https://shop.example/a"), snapshot([SAVE])];
    const spa = { type: 5, data: { tag: "$url_changed", payload: { href: "https://shop.example/b" } } };
    const custom = { type: 5, data: { tag: "order-placed", payload: { id: 1 } } };
    const all = [...page([SAVE]), ...timed([...checkout, spa, custom, meta("https://shop.example/c")])];
    expect((await told(fileOf(all))).map(({ type, page, customType }) => [type, customType || page?.url])).toEqual([
      [EventType.NAVIGATION, "https://shop.example/a"],
      [EventType.NAVIGATION, "https://shop.example/b"],
      [EventType.CUSTOM, "order-placed"],
      [EventType.NAVIGATION, "https://shop.example/c"],
    ]);
  });

  test("of fields: what they then hold, unless they held it before, or the page says that it did it", async () => {
    const body = [
      el(10, "input", { type: "text", name: "q", value: "lamp" }),
      el(11, "input", { type: "checkbox", value: "yes", checked: true }),
      el(12, "select", { value: "b" }, el(13, "option", { value: "b" }), el(14, "option", { value: "c" })),
      el(15, "input", { type: "password" }),
      el(16, "input", { type: "radio", name: "r", value: "one" }),
      el(17, "textarea", {}),
    ];
    const events = await toldAfter(
      body,
      input(10, "lamp"),
      input(10, "lamps"),
      input(11, "yes", { isChecked: true }),
      input(11, "yes", { isChecked: false }),
      input(12, "c"),
      input(15, "***"),
      input(16, "one", { isChecked: true }),
      input(16, "one", { isChecked: false }),
      input(17, "by the page", { userTriggered: false }),
      input(17, "by hand", { userTriggered: true }),
    );
    expect(events.map((event) => event.input)).toMatchObject([
      { value: "lamps", kind: "text", masked: false },
      { value: "false", kind: "checkbox" },
      { value: "c", kind: "select" },
      { value: "***", kind: "password", masked: true },
      { value: "one", kind: "radio" },
      { value: "by hand", kind: "textarea" },
    ]);
    expect(events[0]?.target?.attributes).toEqual([
      expect.objectContaining({ name: "type", value: "text" }),
      expect.objectContaining({ name: "name", value: "q" }),
    ]);
  });

  test("of scrolling: where to, and how far from where it was", async () => {
    const list = el(10, "ul", { rr_scrollTop: 30 });
    const events = await toldAfter([list], scroll(1, 0, 100), scroll(1, 0, 40), scroll(1, 0, 40), scroll(10, 0, 50));
    expect(events.map(({ target, page, pointer }) => [target?.tag, page?.scrollY, pointer?.deltaY])).toEqual([
      ["html", 100, 100],
      ["html", 40, -60],
      ["ul", 40, 20],
    ]);
  });

  test("of clicks in a row: that each is one, and a third after a double click", async () => {
    const soon = [mouse("click", 10), mouse("click", 10), mouse("dblclick", 10), mouse("click", 10)];
    const all = [...page([SAVE]), ...soon.map((event, index) => ({ ...event, timestamp: START + index * 100 }))];
    const clicks = (await told(fileOf(all))).filter(({ type }) => type === EventType.CLICK);
    expect(clicks.map(({ pointer }) => pointer?.clicks)).toEqual([1, 1, 3]);
  });

  test("of a menu and of what is dragged: the place, and which button opened it", async () => {
    const drag = dragged({ x: 1, y: 2, id: 10 }, { x: 90, y: 80, id: BODY });
    const [menu, over] = await toldAfter([SAVE], mouse("contextmenu", 10), drag);
    expect(menu).toMatchObject({ customType: "contextmenu", pointer: { button: 2 } });
    expect(over).toMatchObject({ customType: "dragover", pointer: { x: 90, y: 80 }, target: { tag: "body" } });
  });

  test("of a node that is not there: nothing but that it was done", async () => {
    const [click] = await toldAfter([SAVE], mouse("click", 99));
    expect([click?.type, click?.target, click?.pointer]).toEqual([EventType.CLICK, undefined, undefined]);
  });
});

describe("the page that rrweb's changes make", () => {
  const targetAfter = async (body: readonly Json[], id: number, ...changes: readonly Json[]) => {
    const events = await toldAfter(body, ...changes, mouse("click", id));
    return events.at(-1)?.target;
  };

  test("has what was added, wherever its parent and its siblings are told", async () => {
    const list = el(10, "ul", {});
    const adds = [
      add(20, text(21, "first")),
      add(10, el(20, "li"), 30),
      add(30, text(31, "last")),
      add(10, el(30, "li")),
      add(77, el(40, "li")),
    ];
    const target = await targetAfter([list], 20, mutation({ adds }));
    expect(target).toMatchObject({ text: "first" });
    expect(target?.selectors.map(({ value }) => value)).toContain("/html/body/ul/li[1]");
    expect(await targetAfter([list], 40, mutation({ adds }))).toBeUndefined();
  });

  test("is without what was taken out, and has what was changed", async () => {
    const target = await targetAfter(
      [SAVE, el(12, "button", {}, text(13, "Save"))],
      10,
      mutation({
        removes: [{ id: 12, parentId: BODY }],
        texts: [{ id: 11, value: "Saved" }],
        attributes: [{ id: 10, attributes: { id: null, class: "small", disabled: true, style: { color: "red" } } }],
      }),
    );
    expect(target).toMatchObject({ text: "Saved", name: "Saved" });
    expect(target?.attributes.map(({ name, value }) => [name, value])).toEqual([
      ["class", "small"],
      ["disabled", ""],
    ]);
    expect(target?.selectors.find(({ value }) => value === "/html/body/button")?.grounding?.matches).toBe(1);
  });

  test("has a moved node where it was moved to, with what is in it", async () => {
    const moved = el(20, "p", { class: "moved" });
    const body = [el(10, "div", {}, el(20, "p", {}, text(21, "here"))), el(30, "main")];
    const change = mutation({ removes: [{ id: 20, parentId: 10 }], adds: [add(30, moved), add(20, text(21, "here"))] });
    for (const changes of [[change], [mutation({ adds: [add(30, moved)] })]]) {
      const target = await targetAfter(body, 20, ...changes);
      expect(target).toMatchObject({ text: "here", ancestors: [{ tag: "main" }, { tag: "body" }, { tag: "html" }] });
    }
  });

  test("never has a node within itself, nor two with one number", async () => {
    const body = [el(10, "div", {}, el(20, "p", {}, text(21, "here")))];
    expect(await targetAfter(body, 20, mutation({ adds: [add(20, el(10, "div"))] }))).toMatchObject({ text: "here" });
    expect(await targetAfter(body, 20, mutation({ adds: [add(20, el(20, "p"))] }))).toMatchObject({ text: "here" });
    const again = mutation({ adds: [add(BODY, el(20, "b", {}, text(21, "there")))] });
    expect(await targetAfter(body, 20, again)).toMatchObject({ tag: "b", text: "there" });
    expect(await targetAfter(body, 10, again)).toMatchObject({ tag: "div", text: "" });
  });

  test("has frames, in which places are not the page's", async () => {
    const frame = mutation({
      isAttachIframe: true,
      adds: [add(70, documentOf(50, [el(60, "button", {}, text(61, "In"))]))],
    });
    const [click, scrolled] = await toldAfter([el(70, "iframe"), SAVE], frame, mouse("click", 60), scroll(50, 0, 9));
    expect([click?.target?.text, click?.pointer]).toEqual(["In", undefined]);
    expect(click?.target?.selectors[0]?.grounding).toMatchObject({ matches: 1, findsTarget: true });
    expect(scrolled).toMatchObject({ target: { tag: "iframe" }, page: { scrollY: 0 }, pointer: { deltaY: 9 } });
  });

  test("has shadow roots", async () => {
    const host = {
      ...el(10, "x-card", {}, { ...el(12, "button", {}, text(13, "Buy")), isShadow: true }),
      isShadowHost: true,
    };
    const target = await targetAfter([host], 12);
    expect(target).toMatchObject({ name: "Buy", ancestors: [{ tag: "x-card" }, { tag: "body" }, { tag: "html" }] });
    expect(target?.selectors.map(({ value }) => value)).not.toContain("/html/body/x-card/button");
  });

  test("is given up where it is larger than memory should hold, and known again from its next snapshot", async () => {
    const huge = mutation({ adds: [add(BODY, text(50, "x".repeat(17 * 1024 * 1024)))] });
    const more = mutation({ adds: [add(BODY, text(51, "x".repeat(17 * 1024 * 1024)))] });
    const events = await toldAfter([SAVE], huge, more, mouse("click", 10), snapshot([SAVE]), mouse("click", 10));
    expect(events.map(({ target }) => target?.text)).toEqual([undefined, "Save"]);
  });
});
