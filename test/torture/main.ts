import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { crash } from "./crash.ts";

// npm run torture -- crash [--kills 200] [--mode daemon|collector] [--seed 1] [--keep] [--json]

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: "string", default: "200" },
    mode: { type: "string", default: "daemon" },
    seed: { type: "string", default: String(process.pid) },
    daemon: { type: "string" },
    keep: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const kills = Number(values.kills);
const seed = Number(values.seed);
const { mode, daemon, keep, json } = values;
if (
  positionals.join() !== "crash" ||
  (mode !== "daemon" && mode !== "collector") ||
  !(kills > 0) ||
  Number.isNaN(seed)
) {
  process.stderr.write(
    "usage: npm run torture -- crash [--kills 200] [--mode daemon|collector] [--seed N] [--keep] [--json]\n",
  );
  process.exitCode = 2;
} else {
  process.stderr.write(`crash: ${kills} kills of the ${mode}, seed ${seed}\n`);
  const begun = performance.now();
  const step = Math.max(1, Math.floor(kills / 10));
  const { directory, ...checks } = await crash({
    mode,
    kills,
    seed,
    keep,
    ...(daemon === undefined ? {} : { entry: daemon }),
    onProgress: (killed, acked) => {
      if (killed % step === 0) process.stderr.write(`${killed} kills, ${acked} events acked\n`);
    },
  });
  const seconds = (performance.now() - begun) / 1000;
  const ok = checks.lost + checks.doubled + checks.unaccounted === 0 && checks.acked > 0;
  if (directory !== undefined) process.stderr.write(`the data is in ${directory}\n`);
  if (json) {
    const machine = `${cpus().length} cores ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`;
    const figures = { seconds: { value: seconds, min: seconds, max: seconds, unit: "s" } };
    process.stdout.write(`${JSON.stringify({ name: "crash", machine, runs: 1, figures, checks, ok })}\n`);
  } else {
    for (const [name, count] of Object.entries(checks)) process.stdout.write(`${name.padEnd(12)} ${count}\n`);
    process.stdout.write(`${ok ? "nothing was lost or doubled" : "FAILED"} in ${seconds.toFixed(0)} s\n`);
  }
  if (!ok) process.exitCode = 1;
}
