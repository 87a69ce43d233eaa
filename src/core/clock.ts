import { setTimeout as sleep } from "node:timers/promises";
import { parseDuration } from "./quantity.ts";

/** Time, as a port: tests put a manual one in its place. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    await sleep(ms, undefined, { signal });
  },
};

/** A signal that aborts with `signal`, or with a TimeoutError after `ms`. */
export function withDeadline(signal: AbortSignal, ms: number): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ms)]);
}

/** `work`, or a rejection with `late` after `ms`. The work goes on; whoever began it must bear its end. */
export async function within<T>(work: Promise<T>, ms: number, late: Error): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(late), ms);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** For what must name a time and has none. */
export const EPOCH: Date = new Date(0);

/** ISO 8601, of epoch milliseconds. */
export function formatMoment(ms: number): string {
  return new Date(ms).toISOString();
}

/** A moment as people write it: ISO 8601, or how long ago (`2h`, `7d`). Epoch milliseconds; undefined for anything else. */
export function parseMoment(text: string, nowMs: number): number | undefined {
  const ago = parseDuration(text);
  if (ago !== undefined) return nowMs - ago;
  if (!/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : at;
}
