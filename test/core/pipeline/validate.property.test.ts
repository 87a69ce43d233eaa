import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson } from "../../../src/core/pipeline/canonical.ts";
import type { Recorded, RecordedBytes } from "../../../src/core/pipeline/recorded.ts";
import { EventSchema, EventType, ScreenshotPhase, SelectorKind } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { validated } from "./recorded.ts";
import { reencode } from "./reencode.ts";

/** Clean and dirty texts, those that only become dirty when something around them is taken off among them. */
const TEXT = fc.oneof(
  fc.constantFrom("", "a", "https://shop.example.com/", '"a\\"b"', '"\\u0000\\ud800"', "\u0001", '\u0001"a\\nb"'),
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.string({ maxLength: 8 }).map((text) => JSON.stringify(JSON.stringify(text))),
);
const NUMBER = fc.oneof(
  fc.double(),
  fc.constantFrom(0, 1, -1, 1280, Number.NaN, Number.POSITIVE_INFINITY, 1e308, -1e308),
);
const COUNT = fc.oneof(fc.nat(3), fc.nat({ max: 0xffffffff }));
const TIME = fc.oneof(
  fc.bigInt({ min: 1_700_000_000_000n, max: 1_700_000_000_020n }),
  fc.bigInt({ min: 1_700_000_000n, max: 1_700_000_003n }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
);
const CUSTOM = fc.constantFrom(
  "",
  "CLICK",
  "mousedown",
  "pointer\u0001down",
  "dblclick",
  "keypress",
  "lasso",
  "\u0002",
);
const SEQUENCE = fc.oneof(fc.nat(4), fc.constantFrom("2", -1, null));
const RAW = fc.oneof(
  fc.constantFrom("", "null", "[", '"x"', JSON.stringify(JSON.stringify({ sequence: 1 }))),
  SEQUENCE.map((sequence) => JSON.stringify({ sequence, timestamp: "1" })),
  fc.json({ maxDepth: 2 }),
);

const ATTRIBUTES = fc.array(fc.record({ name: TEXT, value: TEXT }), { maxLength: 2 });
const BOX = fc.record({ x: NUMBER, y: NUMBER, width: NUMBER, height: NUMBER });
const PAGE = fc.record({
  url: TEXT,
  title: TEXT,
  viewportWidth: NUMBER,
  viewportHeight: NUMBER,
  devicePixelRatio: NUMBER,
  scrollX: NUMBER,
  scrollY: NUMBER,
});
const SELECTOR = fc.record({
  kind: fc.constantFrom(...Object.values(SelectorKind)),
  value: TEXT,
  reliability: NUMBER,
});
const ANCESTOR = fc.record({ tag: TEXT, role: TEXT, name: TEXT, attributes: ATTRIBUTES });
const TARGET = fc.record(
  {
    selectors: fc.array(SELECTOR, { maxLength: 2 }),
    role: TEXT,
    name: TEXT,
    text: TEXT,
    tag: TEXT,
    attributes: ATTRIBUTES,
    box: BOX,
    ancestors: fc.array(ANCESTOR, { maxLength: 2 }),
  },
  { requiredKeys: [] },
);
const POINTER = fc.record({
  x: NUMBER,
  y: NUMBER,
  button: COUNT,
  clicks: COUNT,
  deltaX: NUMBER,
  deltaY: NUMBER,
  toX: NUMBER,
  toY: NUMBER,
});
const STATE = fc.record({ url: TEXT, value: TEXT, text: TEXT, checked: fc.boolean(), visible: fc.boolean() });
const BLOB = fc.constantFrom("", "ab".repeat(32), "cd".repeat(32));
const SCREENSHOT = fc.record({
  blobId: BLOB,
  phase: fc.constantFrom(...Object.values(ScreenshotPhase)),
  width: COUNT,
  height: COUNT,
});
const ELEMENT = fc.record(
  { tag: TEXT, role: TEXT, name: TEXT, text: TEXT, value: TEXT, attributes: ATTRIBUTES, box: BOX },
  { requiredKeys: [] },
);

const EVENT = fc
  .record(
    {
      timeMs: TIME,
      type: fc.constantFrom(...Object.values(EventType)),
      customType: CUSTOM,
      page: PAGE,
      target: TARGET,
      input: fc.record({ value: TEXT, masked: fc.boolean(), kind: TEXT }),
      pointer: POINTER,
      key: fc.record({ key: TEXT, code: TEXT, alt: fc.boolean() }),
      before: STATE,
      after: STATE,
      screenshots: fc.array(SCREENSHOT, { maxLength: 2 }),
      rawJson: RAW,
      elements: fc.array(ELEMENT, { maxLength: 3 }),
    },
    { requiredKeys: ["timeMs", "type"] },
  )
  .map((init) => toBinary(EventSchema, create(EventSchema, init)));

const RECORDED = fc
  .dictionary(fc.constantFrom("a", "b", "c"), fc.array(EVENT, { maxLength: 6 }))
  .map((streams): Recorded => {
    const names = Object.keys(streams).toSorted();
    const events = names.flatMap((stream) =>
      (streams[stream] ?? []).map((event, index): RecordedBytes => ({ stream, seq: index + 1, event })),
    );
    return { session: "s", info: undefined, streams: [], missingBlobs: ["ab".repeat(32)], events, quarantined: 0 };
  });

const RUNS = { numRuns: 300 };

test("any events that decode come out: each once or dropped, in order, as JSON, the same every time", async () => {
  await fc.assert(
    fc.asyncProperty(RECORDED, async (recording) => {
      const output = await validated(recording);
      const given = [...output.events, ...output.dropped].map(({ ref }) => `${ref.stream} ${ref.seq}`);
      expect(given.toSorted()).toEqual(recording.events.map(({ stream, seq }) => `${stream} ${seq}`).toSorted());
      const times = output.events.map(({ timeMs }) => timeMs);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(canonicalJson(await validated(recording))).toBe(canonicalJson(output));
      const told = output.findings.map(({ ref, code, path }) => `${ref?.stream} ${ref?.seq} ${code} ${path}`);
      expect(new Set(told).size).toBe(told.length);
    }),
    RUNS,
  );
});

test("what was mended needs no mending, and comes out as it was", async () => {
  await fc.assert(
    fc.asyncProperty(RECORDED, async (recording) => {
      const output = await validated(recording);
      const again = await validated(reencode(output));
      expect(again.findings.filter(({ action }) => action !== "kept")).toEqual([]);
      const plain = output.events.map(({ ref: _, ...event }) => event);
      expect(canonicalJson(again.events.map(({ ref: _, ...event }) => event))).toBe(canonicalJson(plain));
    }),
    RUNS,
  );
});

test("texts of a megabyte and values in many layers of JSON are taken", async () => {
  const layers = (text: string, count: number): string =>
    count === 0 ? text : layers(JSON.stringify(text), count - 1);
  const texts = ["\u0000".repeat(1_000_000), '"'.repeat(1_000_000), "\\".repeat(1_000_000), layers('"x"', 16)];
  const events = texts.map((value, index): RecordedBytes => {
    const event = create(EventSchema, { timeMs: 1n, type: EventType.INPUT, input: { value }, rawJson: value });
    return { stream: "main", seq: index + 1, event: toBinary(EventSchema, event) };
  });
  const { events: given } = await validated({
    session: "s",
    info: undefined,
    streams: [],
    missingBlobs: [],
    events,
    quarantined: 0,
  });
  // Sixteen layers are no accident of a collector: they are left as they are.
  expect(given.map(({ input }) => input?.value)).toEqual(["", texts[1], texts[2], texts[3]]);
});
