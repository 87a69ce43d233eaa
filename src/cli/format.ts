import { InvalidArgumentError } from "commander";
import { parseMoment } from "../core/clock.ts";
import { parseDuration } from "../core/quantity.ts";
import type { Output } from "./output.ts";

/** A time as people read it: how long ago on a terminal, ISO elsewhere. */
export function showTime(output: Output, ms: number | undefined, nowMs: number): string {
  if (ms === undefined) return "-";
  return output.isTerminal ? relative(ms, nowMs) : new Date(ms).toISOString();
}

/** A time to the millisecond, with how long ago on a terminal. */
export function showTimeInFull(output: Output, ms: number | undefined, nowMs: number): string {
  if (ms === undefined) return "-";
  const iso = new Date(ms).toISOString();
  return output.isTerminal ? `${iso} (${relative(ms, nowMs)})` : iso;
}

/** About as many bytes, in three digits: `4.58 MiB`. */
export function showBytes(bytes: number): string {
  const power = Math.min(4, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** power;
  const digits = power === 0 || value >= 100 ? String(Math.round(value)) : value.toPrecision(3);
  return `${digits} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

/** `1 event`, `2 events`. */
export function counted(count: number | bigint, word: string): string {
  return `${count.toLocaleString("en-US")} ${word}${Number(count) === 1 ? "" : "s"}`;
}

/** For an option that is a moment: ISO 8601, or how long ago (`2h`, `7d`). Epoch milliseconds. */
export function moment(text: string): number {
  const at = parseMoment(text, Date.now());
  if (at !== undefined) return at;
  throw new InvalidArgumentError("Write a time as 2026-01-31, 2026-01-31T12:00Z, or how long ago: 2h, 7d.");
}

/** For an option that is a length of time: `500ms`, `30s`, `2h`, `90d`. Milliseconds. */
export function span(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new InvalidArgumentError("Write a time as 500ms, 30s, 5m, 2h or 90d.");
}

/** For an option that is a whole number in a range. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
  };
}

const STEPS: readonly (readonly [number, string])[] = [
  [365 * 86_400_000, "y"],
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "m"],
  [1000, "s"],
];

function relative(ms: number, nowMs: number): string {
  const away = Math.abs(nowMs - ms);
  const [size, unit] = STEPS.find(([step]) => away >= step) ?? [1000, "s"];
  const amount = `${Math.floor(away / size)}${unit}`;
  return ms > nowMs ? `in ${amount}` : `${amount} ago`;
}
