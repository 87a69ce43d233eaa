import { globSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { describeConfig, loadConfig } from "../../src/core/config.ts";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { Metrics } from "../../src/core/metrics.ts";
import { assemble } from "../../src/core/pipeline/assemble.ts";
import { reduce } from "../../src/core/pipeline/reduce.ts";
import { score } from "../../src/core/pipeline/score.ts";
import { formatBytes } from "../../src/core/quantity.ts";
import { codesOf, DOCUMENTS, ROOT, readDocument, rowsOf } from "./markdown.ts";

const operations = readDocument("docs/operations.md");
const collectors = readDocument("docs/collectors.md");
const pipeline = readDocument("docs/pipeline.md");
const backfills = readDocument("docs/backfill.md");
const datasets = readDocument("docs/export.md");

describe("the tables of the documents", () => {
  test("name every setting with its default, in the order of the schema", async () => {
    const loaded = await loadConfig({ flags: {}, env: {}, cwd: import.meta.dirname, file: undefined });
    const settings = describeConfig(loaded).map(({ setting, value }) => [setting, value]);
    const rows = rowsOf(operations, "setting").map(([name, standard]) => [
      codesOf(name)[0],
      codesOf(standard)[0] ?? "",
    ]);
    expect(rows).toEqual(settings);
  });

  test("name the default limits", () => {
    const { messageBytes, eventBytes, depth, batchEvents, blobBytes, sessionBytes } = DEFAULT_LIMITS;
    const { streamsPerSession, openSessionsPerProject } = DEFAULT_LIMITS;
    const limits = new Map(
      rowsOf(collectors, "what").map(([what = "", limit = ""]) => [what, limit.replaceAll(/(?<=\d)[ ,](?=\w)/g, "")]),
    );
    expect(limits.get("one message, after decompression")).toBe(formatBytes(messageBytes));
    expect(limits.get("one event")).toMatch(new RegExp(`^${formatBytes(eventBytes)};`));
    expect(limits.get("nesting of `raw_json`")).toMatch(new RegExp(`^${depth}levels;`));
    expect(limits.get("events in a batch")).toBe(String(batchEvents));
    expect(limits.get("a blob")).toBe(formatBytes(blobBytes));
    expect(limits.get("a session's events")).toMatch(new RegExp(`^${formatBytes(sessionBytes)}`));
    expect(limits.get("streams of a session")).toBe(String(streamsPerSession));
    expect(limits.get("open sessions of a project")).toBe(String(openSessionsPerProject));
  });

  test("name every metric, and no other", async () => {
    using metrics = new Metrics({ version: "0" });
    const rendered = [...(await metrics.render()).matchAll(/^# TYPE (\S+)/gm)].map(({ 1: name }) => name);
    const named = rowsOf(operations, "metric").flatMap(([names]) =>
      codesOf(names).map((code) => code.replace(/\{.*/, "")),
    );
    expect(named.toSorted()).toEqual(rendered.toSorted());
  });

  test("name every parameter of a stage with its default, in the order of its schema", () => {
    const rows = (heading: string) =>
      rowsOf(pipeline, heading).map(([name, standard]) => [codesOf(name)[0], codesOf(standard)[0]]);
    const defaults = (values: object) => Object.entries(values).map(([name, value]) => [name, String(value)]);
    expect(rows("reduce parameter")).toEqual(defaults(reduce.params.parse({})));
    const { weights, points, ...others } = score.params.parse({});
    expect(rows("weight")).toEqual(defaults(weights));
    expect(rows("check")).toEqual(defaults(points));
    expect(rows("score parameter")).toEqual(defaults(others));
    expect(rows("assemble parameter")).toEqual(defaults(assemble.params.parse({})));
  });

  test("name every reason an error can have, every code a stage gives, and no other", () => {
    const named = [
      ...rowsOf(collectors, "reason").flatMap(([names]) => codesOf(names)),
      ...rowsOf(operations, "reason").flatMap(([names]) => codesOf(names)),
      ...rowsOf(backfills, "reason").flatMap(([names]) => codesOf(names)),
      ...rowsOf(pipeline, "reason").flatMap(([names]) => codesOf(names)),
      ...["reason", "left out", "difference"].flatMap((column) =>
        rowsOf(datasets, column).flatMap(([names]) => codesOf(names)),
      ),
      // What stages say of events: their own column.
      ...rowsOf(pipeline, "code").flatMap(([names]) => codesOf(names)),
      ...ELSEWHERE,
    ];
    expect([...new Set(named)].toSorted()).toEqual(reasonsInSource());
  });
});

/** Named in the text: what reading can fail with, and what health tells in its own words. */
const ELSEWHERE = ["IMAGE_REENCODED", "IMAGE_RESIZED", "SEGMENT_CORRUPT", "BLOB_CORRUPT", "CHECK_TIMEOUT"];

function reasonsInSource(): string[] {
  const found = new Set<string>();
  for (const file of globSync("src/**/*.ts", { cwd: ROOT, exclude: ["src/wire/gen/**"] })) {
    const text = readFileSync(`${ROOT}${file}`, "utf8");
    for (const { 1: word = "" } of text.matchAll(/reason: "([A-Z_]+)"/g)) found.add(word);
    // Helpers take the reason as an argument; words of several parts are nothing else but these.
    for (const { 1: word = "" } of text.matchAll(/"([A-Z]+(?:_[A-Z]+)+)"/g)) {
      if (!/^(SQLITE|SLUICE|SLUICED|ERR|EVENT_TYPE|NO_COLOR|BYTE_ARRAY)/.test(word)) found.add(word);
    }
  }
  return [...found].toSorted();
}

test("links between the documents lead somewhere", () => {
  for (const path of DOCUMENTS) {
    for (const { 1: target = "" } of readDocument(path).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [file = "", anchor] = target.split("#");
      const url = new URL(file, `file://${ROOT}${path}`);
      const text = file === "" ? readDocument(path) : readIfText(url);
      if (anchor !== undefined) expect(anchorsOf(text), `${path}: ${target}`).toContain(anchor);
    }
  }
});

function readIfText(url: URL): string {
  if (globSync(url.pathname).length === 0) throw new Error(`There is no ${url.pathname}.`);
  return url.pathname.endsWith(".md") ? readFileSync(url, "utf8") : "";
}

/** As GitHub makes them of headings. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(({ 1: heading = "" }) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}
