import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { tortureBackfill } from "./backfill.ts";
import { crash } from "./crash.ts";
import { tortureJobs } from "./jobs.ts";

// npm run torture -- crash [--kills 200] [--mode daemon|collector] [--seed 1] [--keep] [--json]
// npm run torture -- jobs [--kills 200] [--seed 1] [--keep] [--json]
// npm run torture -- backfill [--kills 50] [--sessions 20000] [--seed 1] [--keep] [--json]

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: "string", default: "200" },
    mode: { type: "string", default: "daemon" },
    seed: { type: "string", default: String(process.pid) },
    daemon: { type: "string" },
    sessions: { type: "string", default: "20000" },
    keep: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

interface Tortured {
  readonly kills: number;
  readonly acked: number;
  readonly stored: number;
  readonly lost: number;
  readonly doubled: number;
  readonly unaccounted: number;
  /** Where the data is, if it was kept. */
  readonly directory: string | undefined;
}

interface Options {
  readonly kills: number;
  readonly seed: number;
  readonly keep: boolean;
}

const TORTURES: Readonly<Record<string, (options: Options) => Promise<Tortured>>> = {
  /** Events and blobs that were acked are there once. */
  crash: async (options) => {
    const { mode, daemon } = values;
    if (mode !== "daemon" && mode !== "collector") throw new Error("--mode is daemon or collector");
    process.stderr.write(`crash: ${options.kills} kills of the ${mode}, seed ${options.seed}\n`);
    const entry = daemon === undefined ? {} : { entry: daemon };
    return await crash({ mode, ...options, ...entry, onProgress: progress("events acked") });
  },
  /** Jobs of sessions whose seal was acked are done once. */
  jobs: async (options) => {
    process.stderr.write(`jobs: ${options.kills} kills of the daemon and of workers, seed ${options.seed}\n`);
    return await tortureJobs({ ...options, onProgress: progress("sessions sealed") });
  },
  /** Captures that are brought in from files are there once, and bringing them in again adds nothing. */
  backfill: async (options) => {
    const sessions = Number(values.sessions);
    process.stderr.write(`backfill: ${options.kills} kills over ${sessions} captures, seed ${options.seed}\n`);
    return await tortureBackfill({ ...options, sessions, onProgress: progress("so far") });
  },
};

const kills = Number(values.kills);
const seed = Number(values.seed);
const [name = "", ...more] = positionals;
const torture = Object.hasOwn(TORTURES, name) ? TORTURES[name] : undefined;
if (torture === undefined || more.length > 0 || !(kills > 0) || Number.isNaN(seed)) {
  const names = Object.keys(TORTURES).join("|");
  process.stderr.write(`usage: npm run torture -- ${names} [--kills 200] [--seed N] [--keep] [--json]\n`);
  process.stderr.write("       of crash also [--mode daemon|collector]\n");
  process.exitCode = 2;
} else {
  const begun = performance.now();
  const { directory, ...checks } = await torture({ kills, seed, keep: values.keep });
  const seconds = (performance.now() - begun) / 1000;
  const ok = checks.lost + checks.doubled + checks.unaccounted === 0 && checks.acked > 0;
  if (directory !== undefined) process.stderr.write(`the data is in ${directory}\n`);
  if (values.json) {
    const machine = `${cpus().length} cores ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`;
    const figures = { seconds: { value: seconds, min: seconds, max: seconds, unit: "s" } };
    process.stdout.write(`${JSON.stringify({ name, machine, runs: 1, figures, checks, ok })}\n`);
  } else {
    for (const [check, count] of Object.entries(checks)) process.stdout.write(`${check.padEnd(12)} ${count}\n`);
    process.stdout.write(`${ok ? "nothing was lost or doubled" : "FAILED"} in ${seconds.toFixed(0)} s\n`);
  }
  if (!ok) process.exitCode = 1;
}

function progress(what: string): (killed: number, count: number) => void {
  const step = Math.max(1, Math.floor(kills / 10));
  return (killed, count) => {
    if (killed % step === 0) process.stderr.write(`${killed} kills, ${count} ${what}\n`);
  };
}
