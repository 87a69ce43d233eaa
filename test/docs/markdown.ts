import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));
export const DOCUMENTS: readonly string[] = [
  "README.md",
  ...readdirSync(`${ROOT}docs`)
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

/** A block of a document that is there to be run. */
export interface Block {
  readonly language: "sh" | "js";
  readonly line: number;
  readonly code: string;
  /** What the document says it prints. */
  readonly expected: readonly string[];
  /** `ci`: .ci/run runs it. `background`: it serves until the document's end. */
  readonly how: "foreground" | "background" | "ci";
}

export function readDocument(path: string): string {
  return readFileSync(`${ROOT}${path}`, "utf8");
}

/** The blocks in ```sh and ```js, with the ```text that follows at once as what they print. */
export function blocksOf(text: string): Block[] {
  const fences = text.matchAll(
    /(?:<!-- test: (ci|background) -->\n)?```(\w*)\n([\s\S]*?)^```\n(?:\n```text\n([\s\S]*?)^```\n)?/gm,
  );
  const blocks: Block[] = [];
  for (const { index, 1: how = "foreground", 2: language, 3: code = "", 4: expected = "" } of fences) {
    if (language !== "sh" && language !== "js") continue;
    if (how !== "foreground" && how !== "background" && how !== "ci") continue;
    const line = text.slice(0, index).split("\n").length;
    blocks.push({ language, line, code, how, expected: expected.split("\n").filter((given) => given.trim() !== "") });
  }
  return blocks;
}

/** The rows of every table whose first column's heading is `heading`, as cells. */
export function rowsOf(text: string, heading: string): string[][] {
  const tables = text.matchAll(new RegExp(`^\\| ${heading} \\|.*\\n\\|(?: --- \\|)+\\n((?:\\|.*\\n)+)`, "gm"));
  return [...tables].flatMap(({ 1: rows = "" }) =>
    rows
      .trimEnd()
      .split("\n")
      .map((row) =>
        row
          .slice(1, -1)
          .split("|")
          .map((cell) => cell.trim()),
      ),
  );
}

/** What stands in backticks in a cell. */
export function codesOf(cell: string | undefined): string[] {
  return [...(cell ?? "").matchAll(/`([^`]+)`/g)].map(({ 1: code = "" }) => code);
}
