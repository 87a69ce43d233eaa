import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nestsDeeper } from "../../../src/core/session/json-depth.ts";

/** How deep the text nests, by leaving out strings and counting brackets one by one. */
function depthOf(text: string): number {
  const outside = text.replace(/"(?:[^"\\]|\\[\s\S])*(?:"|\\?$)/g, "");
  let depth = 0;
  let deepest = 0;
  for (const character of outside) {
    if ("[{".includes(character)) depth += 1;
    if ("]}".includes(character)) depth -= 1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

/** The text somewhere inside a larger buffer, between brackets that are not its own. */
function placed(text: string, before: number, after: number): [Uint8Array, number, number] {
  const bytes = Buffer.from(text);
  const whole = new Uint8Array(3 + before + bytes.length + after).fill(0x5b);
  const view = whole.subarray(3);
  view.set(bytes, before);
  return [view, before, before + bytes.length];
}

const PIECES = fc.constantFrom(
  "[",
  "]",
  "{",
  "}",
  '"',
  "\\",
  "\\\\",
  '\\"',
  "a",
  ",",
  ":",
  "é",
  "漢",
  "😀",
  "[[[[",
  "]]]]",
  "[]{}",
);

describe("nestsDeeper", () => {
  it("agrees with counting one by one, on any text, wherever it lies in memory", () => {
    const text = fc.array(PIECES, { maxLength: 60, size: "max" }).map((pieces) => pieces.join(""));
    const property = fc.property(text, fc.nat(7), fc.nat(7), fc.nat(12), (json, before, after, limit) => {
      expect(nestsDeeper(...placed(json, before, after), limit)).toBe(depthOf(json) > limit);
    });
    fc.assert(property, { numRuns: 5_000 });
  });

  it("agrees with the depth of what JSON.parse makes of it", () => {
    const property = fc.property(fc.jsonValue({ maxDepth: 7 }), fc.nat(7), fc.nat(8), (value, before, limit) => {
      const deep = (each: unknown): number =>
        typeof each === "object" && each !== null ? 1 + Math.max(0, ...Object.values(each).map(deep)) : 0;
      for (const json of [JSON.stringify(value), JSON.stringify(value, null, 2)]) {
        expect(nestsDeeper(...placed(json, before, 3), limit)).toBe(deep(value) > limit);
      }
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  it("counts every bracket, at every place in a word and whatever stands beside it", () => {
    const neighbours = [0x00, 0x01, 0x1b, 0x3b, 0x5a, 0x5c, 0x7a, 0x7c, 0x7f, 0x80, 0xdb, 0xfb, 0xff];
    for (const neighbour of neighbours.filter((byte) => byte !== 0x5c)) {
      for (let length = 4; length < 12; length++) {
        for (let at = 0; at < length; at++) {
          const bytes = new Uint8Array(length).fill(neighbour);
          bytes[at] = 0x5b;
          expect(nestsDeeper(bytes, 0, length, 0)).toBe(true);
          bytes[at] = 0x7b;
          expect(nestsDeeper(bytes, 0, length, 0)).toBe(true);
          expect(nestsDeeper(bytes, 0, length, 1)).toBe(false);
        }
      }
      expect(nestsDeeper(new Uint8Array(16).fill(neighbour), 0, 16, 0)).toBe(false);
    }
  });
});
