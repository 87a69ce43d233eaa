import type { Figures } from "./figures.ts";

export interface Plot {
  /** Relative to the export. */
  readonly path: string;
  readonly title: string;
  readonly svg: string;
}

interface Bar {
  readonly name: string;
  readonly count: number;
}

/** The card's plots as SVG: the same figures give the same bytes. */
export function plotsOf({ sites, actions, scores, lengths }: Figures): readonly Plot[] {
  const tens = Object.keys(scores).map(Number).sort(byNumber);
  const doublings = Object.keys(lengths).map(Number).sort(byNumber);
  return [
    plot("sites", "Sessions by site", most(sites).map(nameless)),
    plot("actions", "Examples by action", most(actions)),
    plot(
      "scores",
      "Sessions by score",
      tens.map((from) => ({ name: from === 90 ? "90 to 100" : `${from} to ${from + 9}`, count: scores[from] ?? 0 })),
    ),
    plot(
      "lengths",
      "Sessions by steps",
      doublings.map((from) => ({ name: from === 1 ? "1" : `${from} to ${2 * from - 1}`, count: lengths[from] ?? 0 })),
    ),
  ];
}

function byNumber(a: number, b: number): number {
  return a - b;
}

/** The largest first, those of one size by name; what is too much for a plot as one. */
function most(counts: Readonly<Record<string, number>>): Bar[] {
  const bars = Object.entries(counts)
    .map(([name, count]) => ({ name, count }))
    .sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
  if (bars.length <= MAX_BARS) return bars;
  const rest = bars.slice(MAX_BARS - 1);
  const count = rest.reduce((sum, bar) => sum + bar.count, 0);
  return [...bars.slice(0, MAX_BARS - 1), { name: `${rest.length} others`, count }];
}

function nameless({ name, count }: Bar): Bar {
  return { name: name === "" ? "not told" : name, count };
}

const MAX_BARS = 20;
/** All in CSS pixels. */
const [WIDTH, ROW, TOP, LABELS, NUMBERS] = [640, 24, 40, 200, 70];
const LONGEST_NAME = 28;

function plot(name: string, title: string, bars: readonly Bar[]): Plot {
  const height = TOP + bars.length * ROW + 8;
  const largest = Math.max(1, ...bars.map(({ count }) => count));
  const rows = bars.map((bar, at) => row(bar, TOP + at * ROW, Math.max(1, scaled(bar.count / largest))));
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" font-family="sans-serif" font-size="13">
<title>${title}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="8" y="24" font-size="16" font-weight="bold">${title}</text>
${rows.join("\n")}
</svg>
`;
  return { path: `plots/${name}.svg`, title, svg };
}

function scaled(part: number): number {
  return Math.round(part * (WIDTH - LABELS - NUMBERS));
}

function row({ name, count }: Bar, top: number, width: number): string {
  const middle = top + 15;
  const short = name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name;
  return [
    `<text x="${LABELS - 8}" y="${middle}" text-anchor="end">${escaped(short)}</text>`,
    `<rect x="${LABELS}" y="${top + 2}" width="${width}" height="${ROW - 6}" fill="#2f6f9f"/>`,
    `<text x="${LABELS + width + 6}" y="${middle}">${count}</text>`,
  ].join("\n");
}

function escaped(text: string): string {
  return text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
