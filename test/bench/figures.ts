import { cpus, totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

export interface Figure {
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly unit: string;
}

/** The median of what was measured, with the spread. */
export function figure(values: readonly number[], unit: string): Figure {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  return { value: round(value), min: round(sorted[0] ?? value), max: round(sorted.at(-1) ?? value), unit };
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}

export interface Report {
  readonly name: string;
  readonly runs: number;
  readonly figures: Readonly<Record<string, Figure>>;
  /** What each figure is to reach: at least, or at most. */
  readonly targets: Readonly<Record<string, { readonly least?: number; readonly most?: number }>>;
  /** Figures that could not be measured here, and why. Their targets are not met. */
  readonly missing?: Readonly<Record<string, string>>;
}

/** Prints for people, or with `json` one object as the last line. Returns whether every target was met. */
export function print(report: Report, json: boolean): boolean {
  const checks = Object.fromEntries(
    Object.entries(report.targets).map(([name, { least, most }]) => {
      const value = report.figures[name]?.value ?? Number.NaN;
      return [name, least === undefined ? value <= (most ?? Number.NaN) : value >= least];
    }),
  );
  const ok = Object.values(checks).every(Boolean);
  if (json) {
    const machine = `${cpus().length} cores ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`;
    const { name, runs, figures, missing } = report;
    process.stdout.write(`${JSON.stringify({ name, machine, runs, figures, missing, checks, ok })}\n`);
    return ok;
  }
  for (const [name, { value, min, max, unit }] of Object.entries(report.figures)) {
    const target = report.targets[name];
    const bound =
      target === undefined ? "" : target.least === undefined ? `at most ${target.most}` : `at least ${target.least}`;
    const verdict = target === undefined ? "" : checks[name] ? "reached" : "missed";
    process.stdout.write(
      `${name.padEnd(24)}${String(value).padStart(9)} ${unit.padEnd(9)} ${`${min} to ${max}`.padEnd(22)}${bound.padEnd(16)}${verdict}\n`,
    );
  }
  for (const [name, reason] of Object.entries(report.missing ?? {})) {
    process.stdout.write(`${name.padEnd(24)}not measured: ${reason}\n`);
  }
  return ok;
}

/** Waits until `holds`, looking ten times a second; fails after `ms`. */
export async function until(holds: () => boolean | Promise<boolean>, ms: number, what: string): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`gave up waiting for ${what}`);
    await sleep(100);
  }
}
