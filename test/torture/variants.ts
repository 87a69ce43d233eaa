import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SAMPLE = fileURLToPath(new URL("../../dev/sample/", import.meta.url));
const NAMES = ["search-and-buy", "return-policy-lookup", "filter-and-compare"];
/** Events of a variant: from 3 to 12. */
const SHORTEST = 3;
const SPREAD = 10;

/** Captures in the shape of the recorded ones, no two the same, in directories of a thousand. */
export async function writeVariants(dir: string, count: number): Promise<void> {
  const lines = await Promise.all(
    NAMES.map(async (name) => (await readFile(join(SAMPLE, name, "events.ndjson"), "utf8")).trimEnd().split("\n")),
  );
  for (let number = 0; number < count; number++) {
    const recorded = lines[number % lines.length] ?? [];
    const from = (number * 7) % (recorded.length - SPREAD - SHORTEST);
    const events = recorded.slice(from, from + SHORTEST + (number % SPREAD));
    const capture = join(dir, String(Math.floor(number / 1000)).padStart(3, "0"), `capture-${number}`);
    await mkdir(capture, { recursive: true });
    await writeFile(join(capture, "session.json"), JSON.stringify({ id: `variant-${number}` }));
    await writeFile(
      join(capture, "events.ndjson"),
      events.map((line, at) => `${variant(line, number, at)}\n`).join(""),
    );
  }
}

/** The event without its screenshots, which are elsewhere, under an id of its own. */
function variant(line: string, number: number, at: number): string {
  const { seq: _, screenshots: __, ...event } = JSON.parse(line);
  return JSON.stringify({ ...event, id: `${number}/${at}` });
}
