import { parseArgs } from "node:util";
import { backfill } from "./backfill.ts";
import { print, type Report } from "./figures.ts";
import { ingest } from "./ingest.ts";
import { jobs } from "./jobs.ts";
import { redact } from "./redact.ts";

// npm run bench -- NAME [--json] [--runs N]

const BENCHES: ReadonlyMap<string, (runs: number, note: (line: string) => void) => Promise<Report>> = new Map([
  ["backfill", backfill],
  ["ingest", ingest],
  ["jobs", jobs],
  ["redact", redact],
]);

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean", default: false }, runs: { type: "string", default: "3" } },
});
const bench = BENCHES.get(positionals[0] ?? "");
if (bench === undefined) {
  process.stderr.write(`Name a bench: ${[...BENCHES.keys()].join(", ")}\n`);
  process.exitCode = 2;
} else {
  const report = await bench(Number(values.runs), (line) => process.stderr.write(`${line}\n`));
  if (!print(report, values.json)) process.exitCode = 1;
}
