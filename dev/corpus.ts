import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";

// npm run corpus [-- --check]: what Sluice makes of every file of the corpus of recordings beside the
// repository, as a table, which docs/corpus.md keeps. --check fails when the document says otherwise.

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const CORPUS = fileURLToPath(new URL("../../shared/data/", import.meta.url));
const DOCUMENT = `${ROOT}docs/corpus.md`;

interface Row {
  folder: string;
  format: string;
  files: number;
  sessions: number;
  events: number;
  screenshots: number;
  reason: string;
}

/** A dry run reads every recording to its end and refuses what it can't read, as a backfill does. */
function dryRun(): readonly Record<string, unknown>[] {
  const args = [`${ROOT}bin/sluice.js`, "backfill", "start", CORPUS, "--dry-run", "--json"];
  try {
    return parse(
      execFileSync(process.execPath, args, {
        encoding: "utf8",
        maxBuffer: 1 << 28,
        stdio: ["ignore", "pipe", "ignore"],
      }),
    );
  } catch (error) {
    // 3: something was refused.
    if (error instanceof Error && "status" in error && error.status === 3 && "stdout" in error)
      return parse(String(error.stdout));
    throw error;
  }
}

function parse(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** Files of one folder, format and reason are one row. */
function rowsOf(records: readonly Record<string, unknown>[]): Row[] {
  const rows = new Map<string, Row>();
  for (const { type, path, format = "", sessions = 0, events = 0, screenshots = 0, reason = "" } of records) {
    if (type !== "recording" && type !== "refused" && type !== "passed_over") continue;
    const [top = "", next = "", ...more] = relative(CORPUS, String(path)).split("/");
    const folder = more.length > 0 ? `${top}/${next}` : next === "" ? "." : top;
    const key = `${top === "cross-format" ? top : folder}\0${format}\0${reason}`;
    const row = rows.get(key) ?? {
      folder: top === "cross-format" ? top : folder,
      format: String(format),
      files: 0,
      sessions: 0,
      events: 0,
      screenshots: 0,
      reason: String(reason),
    };
    row.files += 1;
    row.sessions += Number(sessions);
    row.events += Number(events);
    row.screenshots += Number(screenshots);
    rows.set(key, row);
  }
  return [...rows.values()].sort((a, b) =>
    `${a.folder} ${a.format} ${a.reason}` < `${b.folder} ${b.format} ${b.reason}` ? -1 : 1,
  );
}

function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(
    ({ folder, format, files, sessions, events, screenshots, reason }) =>
      `| ${folder} | ${format === "" ? "none" : format} | ${files} | ${sessions} | ${events} | ${screenshots} | ${reason === "" ? "" : `\`${reason}\``} |`,
  );
  return [
    "| folder | format | files | sessions | events | screenshots | not brought in because |",
    "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ...lines,
  ].join("\n");
}

if (!existsSync(CORPUS)) {
  process.stdout.write("there is no corpus beside the repository\n");
} else {
  const table = tableOf(rowsOf(dryRun()));
  const before = readFileSync(DOCUMENT, "utf8");
  const after = before.replace(/\| folder \|[\s\S]*?(?=\n\n|$)/, table);
  if (!process.argv.includes("--check")) writeFileSync(DOCUMENT, after);
  else if (after !== before) {
    process.stderr.write("docs/corpus.md is out of date: npm run corpus\n");
    process.exitCode = 1;
  }
  process.stdout.write(`${table}\n`);
}
