import sharp from "sharp";
import { expect, test } from "vitest";
import { noFigures } from "../../../src/core/export/figures.ts";
import { plotsOf } from "../../../src/core/export/plots.ts";

const SITES = { path: "plots/sites.svg", title: "Sessions by site" };

function sites(counts: Record<string, number>): string {
  const found = plotsOf({ ...noFigures(), sites: counts }).find(({ path }) => path === SITES.path);
  expect(found).toMatchObject(SITES);
  return found?.svg ?? "";
}

/** The lengths of the bars, from the top, as a renderer of SVG paints them. */
async function barsOf(svg: string): Promise<number[]> {
  const { data, info } = await sharp(Buffer.from(svg)).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const bars: number[] = [];
  for (let y = 40 + 10; y < info.height; y += 24) {
    const row = Array.from({ length: info.width }, (_, x) => (y * info.width + x) * info.channels);
    bars.push(row.filter((at) => data[at] === 0x2f && data[at + 1] === 0x6f && data[at + 2] === 0x9f).length);
  }
  return bars;
}

test("a plot's bars are as long as their counts, the largest first", async () => {
  const [first = 0, second = 0, third = 0, ...none] = await barsOf(
    sites({ "b.example": 25, "a.example": 100, "": 50 }),
  );
  expect(none).toEqual([]);
  expect(first).toBeGreaterThan(300);
  expect(Math.abs(second - first / 2)).toBeLessThanOrEqual(1);
  expect(Math.abs(third - first / 4)).toBeLessThanOrEqual(1);
});

test("a plot stays a picture whatever names are", async () => {
  const names = ['a<b>&"c', "]]>", "x".repeat(500), "</svg><script>alert(1)</script>", "__proto__"];
  const svg = sites(Object.fromEntries(names.map((name) => [name, 3])));
  expect(svg).not.toContain("<script");
  expect(new Set(await barsOf(svg)).size).toBe(1);
});

test("what is too much for a plot is one bar, and scores and lengths stand in their order", async () => {
  const many = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`${at}.example`, 100 - at]));
  const bars = await barsOf(sites(many));
  expect(bars).toHaveLength(20);
  expect(sites(many)).toContain("31 others");
  const plots = plotsOf({ ...noFigures(), scores: { 90: 1, 0: 2, 40: 3 }, lengths: { 16: 1, 1: 2, 4: 3 } });
  const words = plots.flatMap(({ svg }) => svg.match(/(?<=>)[\d to]+ to \d+(?=<)|(?<=end">)1(?=<)/g) ?? []);
  expect(words).toEqual(["0 to 9", "40 to 49", "90 to 100", "1", "4 to 7", "16 to 31"]);
});
