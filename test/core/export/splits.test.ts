import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AlikeIndex } from "../../../src/core/export/likeness.ts";
import { groupOf, JoinedGroups, type Parts, siteOf, splitOf } from "../../../src/core/export/splits.ts";

describe("a split", () => {
  const groups = Array.from({ length: 20_000 }, (_, at) => `task ${at}`);
  const share = (parts: Parts, split: string) =>
    groups.filter((group) => splitOf(group, parts, "0") === split).length / groups.length;

  test("has about the part of the groups that was asked for", () => {
    const parts: Parts = [0.9, 0.05, 0.05];
    expect(share(parts, "train")).toBeCloseTo(0.9, 1);
    expect(share(parts, "validation")).toBeCloseTo(0.05, 1);
    expect(share(parts, "test")).toBeCloseTo(0.05, 1);
    expect(share([1, 0, 0], "train")).toBe(1);
    expect(share([0, 0, 1], "test")).toBe(1);
  });

  test("depends on group and seed alone", () => {
    const by = (seed: string) => groups.slice(0, 1_000).map((group) => splitOf(group, [0.5, 0.25, 0.25], seed));
    expect(by("a")).toEqual(by("a"));
    expect(by("a")).not.toEqual(by("b"));
  });

  test("keeps sessions of one task together, else of one site, else a session alone", () => {
    expect(groupOf("s1", "Buy  a Lamp!", "a.example")).toBe(groupOf("s2", "buy a lamp", "b.example"));
    expect(groupOf("s1", "", "a.example")).toBe(groupOf("s2", " ", "a.example"));
    expect(groupOf("s1", "", "")).not.toBe(groupOf("s2", "", ""));
    expect(groupOf("s1", "Kauf eine Lampe", "")).not.toBe(groupOf("s1", "Kauf zwei Lampen", ""));
    expect(siteOf("https://www.shop.example.com/a?b")).toBe("shop.example.com");
    expect(siteOf("no address")).toBe("");
  });
});

test("joined groups are one, whatever the order they are joined in", () => {
  const edges = fc.array(fc.tuple(fc.nat(30), fc.nat(30)), { maxLength: 40 });
  fc.assert(
    fc.property(edges, fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), (pairs, random) => {
      const joined = (list: typeof pairs) => {
        const groups = new JoinedGroups();
        for (const [a, b] of list) groups.join(String(a), String(b));
        return Array.from({ length: 31 }, (_, at) => groups.of(String(at)));
      };
      const shuffled = pairs
        .map((pair) => ({ pair, at: Number(random.next().value) }))
        .sort((a, b) => a.at - b.at)
        .map(({ pair }) => pair);
      const together = joined(pairs);
      for (const [a, b] of pairs) expect(together[a]).toBe(together[b]);
      expect(joined(shuffled)).toEqual(together);
    }),
  );
});

test("hashes that differ in up to three bits are found, and none that differ in more", () => {
  const bits = fc.array(fc.nat(63), { maxLength: 8 });
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), bits, (hash, flipped) => {
      const other = [...new Set(flipped)].reduce((value, bit) => value ^ (1n << BigInt(bit)), hash);
      const text = (value: bigint) => value.toString(16).padStart(16, "0");
      const index = new AlikeIndex();
      expect(index.add(text(hash))).toEqual([]);
      expect(index.add(text(other))).toEqual(new Set(flipped).size <= 3 ? [text(hash)] : []);
    }),
  );
});
