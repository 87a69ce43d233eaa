import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_LIMITS, type Limits } from "../../../src/core/limits.ts";
import { checkEvent, type EventFacts } from "../../../src/core/session/event-check.ts";
import { type Event, EventSchema, EventType } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { event } from "../../fixtures.ts";
import { anyEvent } from "./made-up-events.ts";

const LIMITS: Limits = { ...DEFAULT_LIMITS, depth: 8 };
const SEQ = 7n;
const check = (bytes: Uint8Array) => checkEvent(bytes, SEQ, LIMITS);

describe("checkEvent", () => {
  it("accepts what protobuf-es encodes exactly when the rules of an event hold, and reads what it says", () => {
    let accepted = 0;
    const property = fc.property(anyEvent, (message) => {
      const result = check(toBinary(EventSchema, message));
      // Lone surrogates are replaced when text is encoded: what counts is what arrives.
      const arrived = fromBinary(EventSchema, toBinary(EventSchema, message));
      const wrong = brokenRules(arrived);
      if ("facts" in result) {
        accepted += 1;
        expect(wrong).toEqual([]);
        expect(result.facts).toEqual(factsOf(arrived));
      } else {
        expect(wrong).toContain(result.flaw.path.replace(/\[\d+\]/g, "[]"));
      }
    });
    fc.assert(property, { numRuns: 4_000 });
    expect(accepted, "the events made up are worth checking").toBeGreaterThan(1_000);
  });

  it("never throws and never accepts damaged bytes that protobuf-es refuses or reads differently", () => {
    const property = fc.property(anyEvent, DAMAGES, (message, damages) => {
      const bytes = damages.reduce<Uint8Array>((before, damage) => damage(before), toBinary(EventSchema, message));
      const result = check(bytes);
      if ("facts" in result) {
        const arrived = fromBinary(EventSchema, bytes);
        expect(brokenRules(arrived)).toEqual([]);
        expect(result.facts).toEqual(factsOf(arrived));
      } else if (decodes(bytes) && brokenRules(fromBinary(EventSchema, bytes)).length === 0) {
        // protobuf-es reads past the end of a nested message, takes any wire type for the field's own,
        // and forgets what a later field replaces.
        expect(result.flaw.reason).toMatch(STRICTER);
      }
    });
    fc.assert(property, { numRuns: 12_000 });
  });

  it("never throws on bytes that were never an event", () => {
    const property = fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const result = check(bytes);
      if ("facts" in result) expect(brokenRules(fromBinary(EventSchema, bytes))).toEqual([]);
    });
    fc.assert(property, { numRuns: 5_000 });
  });

  it("takes every truncation of a rich event for what it is", () => {
    const whole = toBinary(
      EventSchema,
      fc.sample(anyEvent, { numRuns: 1, seed: 3 })[0] ?? fromBinary(EventSchema, event(1)),
    );
    for (let length = 0; length < whole.length; length++) {
      const cut = whole.slice(0, length);
      if ("facts" in check(cut)) expect(brokenRules(fromBinary(EventSchema, cut))).toEqual([]);
    }
  });

  it("keeps fields it does not know, whatever they hold", () => {
    const bytes = Buffer.concat([
      event(1),
      new BinaryWriter()
        .tag(100, WireType.Varint)
        .uint64(2n ** 64n - 1n)
        .tag(101, WireType.LengthDelimited)
        .bytes(Uint8Array.of(0xff, 0xfe))
        .tag(102, WireType.Bit32)
        .fixed32(1)
        .tag(536_870_911, WireType.Bit64)
        .fixed64(1n)
        .finish(),
    ]);
    expect(check(bytes)).toMatchObject({ facts: { type: "click" } });
  });

  it.each<[string, number[]]>([
    ["overlong", [0xc0, 0xaf]],
    ["a lone continuation", [0x80]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["past the last code point", [0xf4, 0x90, 0x80, 0x80]],
    ["cut off", [0xe2, 0x82]],
  ])("refuses text that is no UTF-8: %s, in short text and in long", (_what, wrong) => {
    for (const before of [0, 63, 100]) {
      const text = Buffer.concat([Buffer.alloc(before, "a"), Buffer.from(wrong)]);
      const page = new BinaryWriter().tag(2, WireType.LengthDelimited).bytes(text).finish();
      const bytes = Buffer.concat([event(1), new BinaryWriter().tag(6, WireType.LengthDelimited).bytes(page).finish()]);
      expect(check(bytes)).toEqual({ flaw: { path: "page.title", reason: "is not valid UTF-8" } });
      expect(decodes(bytes)).toBe(false);
    }
  });

  it("names the element of a list and the way to the field, and no value of the event", () => {
    const secret = "hunter2";
    const target = { selectors: [{ value: secret }, { value: secret, reliability: Number.NaN }] };
    const bytes = event(1, { target, input: { value: secret } });
    const result = check(bytes);
    expect(result).toEqual({ flaw: { path: "target.selectors[1].reliability", reason: "is not a finite number" } });
    expect(JSON.stringify(check(event(1, { id: secret.repeat(100) })))).not.toContain(secret);
    expect(JSON.stringify(check(event(1, { screenshots: [{ blobId: secret }] })))).not.toContain(secret);
  });

  it("takes the last of a screenshot's blob ids, as decoders do, and wants one of each", () => {
    const id = (digit: string) => new BinaryWriter().tag(1, WireType.LengthDelimited).string(digit.repeat(64)).finish();
    const shot = (...parts: Uint8Array[]) =>
      new BinaryWriter().tag(13, WireType.LengthDelimited).bytes(Buffer.concat(parts)).finish();
    expect(check(Buffer.concat([event(1), shot(id("a"), id("b"))]))).toMatchObject({
      facts: { blobs: ["b".repeat(64)] },
    });
    expect(check(Buffer.concat([event(1), shot(id("a")), shot()]))).toMatchObject({
      flaw: { path: "screenshots[1].blob_id" },
    });
  });

  it("holds an event to its size, its id and its screenshots", () => {
    const small = { ...LIMITS, eventBytes: 1_000 };
    const at = (rawBytes: number) => event(1, { rawJson: " ".repeat(rawBytes) });
    const room = 1_000 - at(0).length;
    const edge = Array.from({ length: room }, (_, index) => at(index)).findLast(({ length }) => length <= 1_000);
    expect(checkEvent(edge ?? at(0), SEQ, small)).toHaveProperty("facts");
    expect(checkEvent(at(1_000), SEQ, small)).toMatchObject({ flaw: { path: "" } });
    expect(check(event(1, { id: "x".repeat(256) }))).toHaveProperty("facts");
    expect(check(event(1, { id: "é".repeat(129) }))).toMatchObject({ flaw: { path: "id" } });
    const shots = (count: number) => Array.from({ length: count }, () => ({ blobId: "a".repeat(64) }));
    expect(check(event(1, { screenshots: shots(64) }))).toHaveProperty("facts");
    expect(check(event(1, { screenshots: shots(65) }))).toMatchObject({ flaw: { path: "screenshots" } });
  });
});

/** Paths of all that is wrong with an event by the rules of its schema; "[]" stands for any index. */
function brokenRules(message: Event): string[] {
  const wrong: string[] = notFinite(message, "");
  if (message.seq !== 0n && message.seq !== SEQ) wrong.push("seq");
  if (message.timeMs <= 0n || message.timeMs > 253_402_300_799_999n) wrong.push("time_ms");
  if (message.type < EventType.CLICK || message.type > EventType.CUSTOM) wrong.push("type");
  if ((message.type === EventType.CUSTOM) !== (message.customType !== "")) wrong.push("custom_type");
  if (Buffer.byteLength(message.id) > 256) wrong.push("id");
  if (message.screenshots.length > 64) wrong.push("screenshots");
  if (message.screenshots.some(({ blobId }) => !/^[0-9a-f]{64}$/.test(blobId) || blobId.length !== 64)) {
    wrong.push("screenshots[].blob_id");
  }
  if (depthOf(message.rawJson) > LIMITS.depth) wrong.push("raw_json");
  return wrong;
}

function notFinite(value: unknown, path: string): string[] {
  if (typeof value === "number") return Number.isFinite(value) ? [] : [path];
  if (Array.isArray(value)) return value.flatMap((item) => notFinite(item, `${path}[]`));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, child]) => {
    if (name.startsWith("$")) return [];
    const field = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    return notFinite(child, path === "" ? field : `${path}.${field}`);
  });
}

/** The deepest nesting, by taking out strings and counting. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const character of text.replace(/"(?:[^"\\]|\\[\s\S])*(?:"|\\?$)/g, "")) {
    if (character === "[" || character === "{") depth += 1;
    if (character === "]" || character === "}") depth -= 1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

const TYPES: readonly string[] =
  "unspecified click input scroll navigation hover focus blur submit key drag drop touch custom".split(" ");

function factsOf(message: Event): EventFacts {
  return {
    timeMs: Number(message.timeMs),
    type: TYPES[message.type] ?? "",
    url: message.page?.url ?? "",
    title: message.page?.title ?? "",
    blobs: message.screenshots.map(({ blobId }) => blobId),
  };
}

function decodes(bytes: Uint8Array): boolean {
  try {
    fromBinary(EventSchema, bytes);
    return true;
  } catch {
    return false;
  }
}

/** Where the check is stricter than protobuf-es is: each for a rule of the encoding itself. */
const STRICTER =
  /^has wire type \d where \d is expected$|^is cut short$|^is longer than what is left of the event$|^ends in the middle of a field$|^has a field with an impossible number$|^has an unknown field \d+ that is malformed$|^is not in the vocabulary|^is not a finite number$/;

type Damage = (bytes: Uint8Array) => Uint8Array;

/** A place as a share of the whole. Not fc.double, which is nearly always next to 0. */
const AT = fc.nat(9_999).map((share) => share / 10_000);
const place = (bytes: Uint8Array, at: number) => Math.floor(at * (bytes.length + 1));
const splice = (bytes: Uint8Array, at: number, drop: number, put: Uint8Array) =>
  Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + drop)]);
const DAMAGE: fc.Arbitrary<Damage> = fc.oneof(
  AT.map((at) => (bytes: Uint8Array) => bytes.slice(0, place(bytes, at))),
  fc.tuple(AT, fc.integer({ min: 1, max: 255 })).map(([at, bits]) => (bytes: Uint8Array) => {
    const index = place(bytes, at);
    return splice(bytes, index, 1, Uint8Array.of((bytes[index] ?? 0) ^ bits));
  }),
  fc.tuple(AT, fc.uint8Array({ maxLength: 6 })).map(([at, put]) => (bytes: Uint8Array) => {
    return splice(bytes, place(bytes, at), 0, put);
  }),
  fc.tuple(AT, fc.nat(8)).map(
    ([at, drop]) =>
      (bytes: Uint8Array) =>
        splice(bytes, place(bytes, at), drop, new Uint8Array()),
  ),
  // A piece of the event once more at its end: fields come twice, messages merge.
  fc.tuple(AT, AT).map(([from, to]) => (bytes: Uint8Array) => {
    const piece = bytes.subarray(Math.min(place(bytes, from), place(bytes, to)), place(bytes, to));
    return Buffer.concat([bytes, piece]);
  }),
  anyEvent.map((other) => (bytes: Uint8Array) => Buffer.concat([bytes, toBinary(EventSchema, other)])),
);
const DAMAGES = fc.oneof(fc.tuple(DAMAGE), fc.tuple(DAMAGE), fc.array(DAMAGE, { minLength: 2, maxLength: 3 }));
