import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fromBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openRecordings } from "../../../src/core/import/importer.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { checkEvent } from "../../../src/core/session/event-check.ts";
import { type Event, EventSchema, EventType, SelectorKind } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { never } from "../../fixtures.ts";
import { collect, eventsOf, only } from "./reading.ts";

const DATA = fileURLToPath(new URL("../../../../shared/data/puppeteer-replay/", import.meta.url));
const there = existsSync(DATA);

/** What each file holds, counted by hand. */
const FILES = [
  { file: "history/1763a33d-everything.json", steps: 15, events: 10 },
  { file: "history/976a0c98-everything.json", steps: 13, events: 8 },
  { file: "history/9779c7b4-benchmark.json", steps: 15, events: 10 },
  { file: "history/a07c1969-recording.json", steps: 1, events: 1 },
  { file: "history/c44ea8c1-benchmark.json", steps: 15, events: 10 },
  { file: "history/dac7ecc8-recording.json", steps: 1, events: 1 },
  { file: "history/e72ee349-benchmark.json", steps: 15, events: 10 },
  { file: "test/resources/folder-test/replay-fail.json", steps: 1, events: 1 },
  { file: "test/resources/folder-test/replay.json", steps: 1, events: 1 },
  { file: "test/resources/replay-fail.json", steps: 1, events: 1 },
  { file: "test/resources/replay.json", steps: 1, events: 1 },
  { file: "examples/replay-from-file-using-puppeteer/recording.json", steps: 1, events: 1 },
] as const;

describe("a real recording of the DevTools Recorder", () => {
  beforeEach((context) => {
    if (!there) context.skip("no DevTools recordings at ../shared/data/puppeteer-replay");
  });

  test.each(FILES)("$file: every step is told or counted, and kept as it is in the file", async (expected) => {
    const { file, steps, events } = expected;
    const recording = await only(join(DATA, file));
    expect(recording).toMatchObject({ stream: "main", eventCount: events });
    const account = { items: steps, told: events, context: steps - events, duplicate: 0 };
    expect(await recording.account(never)).toEqual(account);

    const recorded = await collect(recording.events(1n, never));
    expect(recorded.map(({ seq }) => seq)).toEqual(recorded.map((_, index) => BigInt(index + 1)));
    for (const { event, seq } of recorded) expect(checkEvent(event, seq, DEFAULT_LIMITS)).toHaveProperty("facts");
    for (let from = 1; from <= events + 1; from += 1) {
      expect(await collect(recording.events(BigInt(from), never))).toEqual(recorded.slice(from - 1));
    }

    const whole = JSON.parse(await readFile(join(DATA, file), "utf8"));
    for (const { seq, event } of recorded) {
      const [, step] = /: steps\.(\d+)$/.exec(recording.where(seq)) ?? [];
      expect(JSON.parse(fromBinary(EventSchema, event).rawJson)).toEqual(whole.steps[Number(step)]);
    }
    expect({ ...JSON.parse(recording.info.rawJson), steps: whole.steps }).toEqual(whole);
    expect(recording.info.task).toBe(whole.title ?? "");
  });

  test("is the same session wherever its file lies, and another with other steps", async () => {
    const ids = await Promise.all(FILES.map(async ({ file }) => (await only(join(DATA, file))).session));
    const [, , , , , , , fail, wiki, otherFail, otherWiki] = ids;
    expect([otherFail, otherWiki]).toEqual([fail, wiki]);
    expect(new Set(ids).size).toBe(9);
    for (const id of ids) expect(id).toMatch(/^recorder-[0-9a-f]{32}$/);
  });

  test("tells what each step did, on what, and on which page; and invents no time and no place", async () => {
    const read = await eventsOf(await only(join(DATA, "history/9779c7b4-benchmark.json")));
    const { NAVIGATION, CLICK, KEY, INPUT, HOVER } = EventType;
    expect(read.map(({ type, customType }) => customType || type)).toEqual([
      NAVIGATION,
      CLICK,
      "dblclick",
      KEY,
      INPUT,
      INPUT,
      KEY,
      "contextmenu",
      HOVER,
      INPUT,
    ]);
    const [opened, click, , tab, typed, , , , hover, select] = read;
    expect(opened?.after).toBeUndefined();
    expect(opened?.page).toMatchObject({ url: "http://localhost:8907/benchmark.html", viewportWidth: 900 });
    expect(click?.target?.selectors).toMatchObject([
      { kind: SelectorKind.ARIA, value: "Click" },
      { kind: SelectorKind.ID, value: "button" },
      { kind: SelectorKind.XPATH, value: '//*[@id="button"]' },
      { kind: SelectorKind.TEXT, value: "Click" },
    ]);
    expect(tab?.key).toMatchObject({ key: "Tab", shift: false });
    expect(typed?.input).toMatchObject({ value: "test", masked: false });
    expect(hover?.target?.selectors[0]).toMatchObject({ kind: SelectorKind.ARIA, value: "Hover" });
    expect(select?.input?.value).toBe("optionB");
    expect(read.map(({ timeMs }) => timeMs)).toEqual(read.map((_, index) => BigInt(index + 1)));
    for (const { pointer, target, page } of read) {
      expect([pointer, target?.box]).toEqual([undefined, undefined]);
      expect(page?.url).toBe("http://localhost:8907/benchmark.html");
    }
  });

  test("is not seen in what lies beside it", async () => {
    for (const path of ["examples/chrome-extension/manifest.json", "UPSTREAM-LICENSE"]) {
      await expect(collect(openRecordings(join(DATA, path), never))).rejects.toMatchObject({
        reason: "UNKNOWN_FORMAT",
      });
    }
  });
});

describe("a recording of the DevTools Recorder", () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "sluice-recorder-"));
  });

  afterEach(async () => {
    await rm(root, { recursive: true, force: true });
  });

  async function write(content: unknown, name = "r.json"): Promise<string> {
    const path = join(root, name);
    await writeFile(path, typeof content === "string" || Buffer.isBuffer(content) ? content : JSON.stringify(content));
    return path;
  }

  async function steps(...list: unknown[]): Promise<Event[]> {
    return await eventsOf(await only(await write({ title: "t", steps: list })));
  }

  const open = { type: "navigate", url: "http://a.example/" };

  test("tells a held modifier with the key, and no key for the modifier itself", async () => {
    const key = (type: string, name: string) => ({ type, key: name });
    const read = await steps(
      key("keyDown", "Control"),
      key("keyDown", "a"),
      key("keyUp", "a"),
      key("keyUp", "Control"),
      key("keyDown", "b"),
    );
    expect(read).toMatchObject([{ key: { key: "a", ctrl: true, shift: false } }, { key: { key: "b", ctrl: false } }]);
  });

  test("tells how far it was scrolled where it is known from where, and else only where to", async () => {
    const scroll = { type: "scroll", target: "main" };
    const read = await steps(
      open,
      { ...scroll, x: 0, y: 300 },
      { ...scroll, x: 0, y: 250 },
      { ...scroll, selectors: [["#list"]], x: 0, y: 40 },
      { ...scroll, selectors: [["#list"]], x: 0, y: 90 },
      { type: "navigate", url: "http://a.example/#there" },
      { ...scroll, x: 0, y: 700 },
    );
    expect(read.map(({ pointer }) => pointer?.deltaY)).toEqual([
      undefined,
      300,
      -50,
      undefined,
      50,
      undefined,
      undefined,
    ]);
    expect(read.map(({ page }) => page?.scrollY)).toEqual([0, 300, 250, 250, 250, 0, 700]);
  });

  test("knows the page by where steps led, in each window for itself", async () => {
    const led = [{ type: "navigation", url: "http://a.example/next", title: "Next" }];
    const click = { type: "click", selectors: ["#x"] };
    const read = await steps(open, { ...click, assertedEvents: led }, click, {
      ...click,
      target: "http://b.example/popup",
    });
    expect(read.map(({ page, after }) => [page?.url, page?.title, after?.url])).toEqual([
      ["http://a.example/", "", undefined],
      ["http://a.example/", "", "http://a.example/next"],
      ["http://a.example/next", "Next", undefined],
      ["http://b.example/popup", "", undefined],
    ]);
  });

  test("keeps a selector only where its language is one of ours", async () => {
    const [click] = await steps({
      type: "click",
      selectors: [
        ["aria/Save"],
        ['aria/Save[role="button"]'],
        ["pierce/#save"],
        ["#host", "#inner"],
        ["#host >>> #inner"],
        "div > a.b",
        ["xpath///a"],
        ["text/Save"],
        [7],
        null,
      ],
    });
    expect(click?.target?.selectors).toMatchObject([
      { kind: SelectorKind.ARIA, value: "Save" },
      { kind: SelectorKind.ROLE, value: 'button[name="Save"]' },
      { kind: SelectorKind.CSS, value: "div > a.b" },
      { kind: SelectorKind.XPATH, value: "//a" },
      { kind: SelectorKind.TEXT, value: "Save" },
    ]);
    expect(click?.rawJson).toContain("pierce/#save");
  });

  test("tells what it doesn't know under its own name, and a step without a type for the daemon to set aside", async () => {
    const recording = await only(
      await write({ title: "t", steps: [{ type: "customStep", name: "shake" }, { type: "swirl" }, {}] }),
    );
    const read = await eventsOf(recording);
    expect(read.map(({ customType }) => customType)).toEqual(["shake", "swirl", ""]);
    expect(read[2]).toMatchObject({ type: EventType.UNSPECIFIED, rawJson: "{}" });
    expect(await recording.account(never)).toEqual({ items: 3, told: 3, context: 0, duplicate: 0 });
  });

  test("may hold half a surrogate pair, and nothing but a title", async () => {
    const [typed] = await eventsOf(
      await only(await write('{"title":"\\ud800","steps":[{"type":"change","value":"a\\udc00"}]}')),
    );
    expect(typed?.input?.value).toBe("a\uFFFD");
    expect((await only(await write({ title: "t", steps: [] }))).eventCount).toBe(0);
    expect((await only(await write(`\uFEFF{"title":"t","steps":[]}`))).eventCount).toBe(0);
  });

  test("takes deep nesting and very long lists without a crash", async () => {
    const deep = `{"title":"t","steps":[{"type":"customStep","name":"x","parameters":${"[".repeat(100_000)}${"]".repeat(100_000)}}]}`;
    const recording = await only(await write(deep));
    const [{ seq, event } = { seq: 0n, event: new Uint8Array() }] = await collect(recording.events(1n, never));
    expect(checkEvent(event, seq, DEFAULT_LIMITS)).toMatchObject({ flaw: { path: "raw_json" } });
  });

  test.each<[string, unknown, string | undefined]>([
    ["was cut off", '{"title":"t","steps":[{"type":"navigate","url":"http', undefined],
    ["has a step that is no object", { title: "t", steps: [open, "click"] }, "steps.1"],
    ["has NaN in it", '{"title":"t","steps":[{"type":"scroll","x":NaN}]}', undefined],
    ["is not UTF-8", Buffer.from('{"title":"\xe9","steps":[]}', "latin1"), undefined],
    [
      "is nested too deep beside its steps",
      `{"title":"t","steps":[],"x":${"[".repeat(50_000)}${"]".repeat(50_000)}}`,
      undefined,
    ],
    ["says too much beside its steps", { title: "t", steps: [], more: "x".repeat(300_000) }, undefined],
  ])("that %s is refused, without its values", async (_, content, field) => {
    const path = await write(content);
    const error = await collect(openRecordings(path, never)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "invalid_argument", reason: "BAD_CAPTURE", metadata: { path } });
    if (field !== undefined) expect(error).toMatchObject({ metadata: { field } });
    expect(String(error)).not.toContain("http");
  });

  test("is read from a directory of such, each by itself", async () => {
    await write({ title: "one", steps: [open] }, "b.json");
    await write({ title: "two", steps: [] }, "a.json");
    const found = await collect(openRecordings(root, never));
    expect(found.map(({ info }) => info.task)).toEqual(["two", "one"]);
  });

  test("exported as a script is none", async () => {
    const script = 'const puppeteer = require("puppeteer"); // { "title": "t", "steps": [] }';
    await expect(collect(openRecordings(await write(script, "r.js"), never))).rejects.toMatchObject({
      reason: "UNKNOWN_FORMAT",
    });
  });
});
