import type { Output } from "./output.ts";
import { printable } from "./output.ts";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
  /** May be cut short when the terminal is narrow. */
  readonly flexible?: boolean;
}

/** Rows under titles, as wide as the terminal allows; cut nowhere when stdout is no terminal. */
export async function writeTable(output: Output, columns: readonly Column[], rows: readonly string[][]): Promise<void> {
  const cells = rows.map((row) => row.map((cell) => printable(cell)));
  const natural = columns.map(({ title }, at) =>
    Math.max(...[title, ...cells.map((row) => row[at] ?? "")].map(displayWidth)),
  );
  const widths = fitted(columns, natural, output.columns);
  const lineOf = (row: readonly string[]) =>
    columns
      .map(({ align }, at) => pad(row[at] ?? "", widths[at] ?? 0, align ?? "left"))
      .join(GAP)
      .trimEnd();
  await output.line(output.style("bold", lineOf(columns.map(({ title }) => title))));
  for (const row of cells) await output.line(lineOf(row));
}

const GAP = "  ";
const NARROWEST = 8;

function fitted(
  columns: readonly Column[],
  natural: readonly number[],
  available: number | undefined,
): readonly number[] {
  if (available === undefined) return natural;
  let over = natural.reduce((sum, width) => sum + width, GAP.length * (columns.length - 1)) - available;
  const widths = [...natural];
  for (const [at, { flexible }] of [...columns.entries()].reverse()) {
    const width = widths[at] ?? 0;
    if (over <= 0 || !flexible) continue;
    const narrowed = Math.max(Math.min(width, NARROWEST), width - over);
    over -= width - narrowed;
    widths[at] = narrowed;
  }
  return widths;
}

function pad(text: string, width: number, align: "left" | "right"): string {
  const cut = shorten(text, width);
  const space = " ".repeat(Math.max(0, width - displayWidth(cut)));
  return align === "right" ? space + cut : cut + space;
}

/** Cut to `width` columns, with an ellipsis where something is missing. */
export function shorten(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let cut = "";
  let used = 1;
  for (const { segment } of SEGMENTER.segment(text)) {
    used += displayWidth(segment);
    if (used > width) break;
    cut += segment;
  }
  return `${cut}…`;
}

/** Columns a text takes on a terminal: two for what East Asian scripts and emoji fill. */
function displayWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of SEGMENTER.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

const SEGMENTER = new Intl.Segmenter("en", { granularity: "grapheme" });
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
