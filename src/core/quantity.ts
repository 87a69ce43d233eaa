/** Bytes written as `4MiB`, `64 kB`, `1.5GiB` or a bare number; undefined for anything else or for part of a byte. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  if (match === null) return undefined;
  return scaled(match[1], BYTE_UNITS.get((match[2] ?? "").toLowerCase()));
}

/** Milliseconds written as `250ms`, `25s`, `1.5h`, `7d`; the unit is required. undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(text.trim());
  if (match === null) return undefined;
  return scaled(match[1], DURATION_UNITS.get(match[2] ?? ""));
}

/** The shortest exact form parseBytes reads back. */
export function formatBytes(bytes: number): string {
  return exact(bytes, ["TiB", "GiB", "MiB", "KiB"], (unit) => BYTE_UNITS.get(unit.toLowerCase())) ?? `${bytes}B`;
}

/** The shortest exact form parseDuration reads back. */
export function formatDuration(ms: number): string {
  return exact(ms, ["d", "h", "m", "s"], (unit) => DURATION_UNITS.get(unit)) ?? `${ms}ms`;
}

const BYTE_UNITS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ["kb", 1e3],
  ["mb", 1e6],
  ["gb", 1e9],
  ["tb", 1e12],
  ["kib", 2 ** 10],
  ["mib", 2 ** 20],
  ["gib", 2 ** 30],
  ["tib", 2 ** 40],
]);

const DURATION_UNITS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

function scaled(digits: string | undefined, factor: number | undefined): number | undefined {
  if (digits === undefined || factor === undefined) return undefined;
  const value = Number(digits) * factor;
  return Number.isSafeInteger(value) ? value : undefined;
}

function exact(value: number, units: readonly string[], factorOf: (unit: string) => number | undefined) {
  for (const unit of units) {
    const factor = factorOf(unit);
    if (factor !== undefined && value !== 0 && value % factor === 0) return `${value / factor}${unit}`;
  }
  return undefined;
}
