import type { SessionEvent } from "../recorded.ts";
import type { AddFinding } from "./findings.ts";
import { nondecreasing } from "./nondecreasing.ts";

/** An event with what its raw record says of its place. */
export interface Placed {
  readonly event: SessionEvent;
  /** The collector's own count, if it keeps one. */
  readonly sequence: number | undefined;
}

/**
 * One stream's events in the order in which they happened, with times that never run backwards.
 * `placed` is in seq order: the order in which the collector sent them.
 */
export function orderStream(placed: readonly Placed[], report: AddFinding): SessionEvent[] {
  return mendTimes(ownOrder(placed, report), report);
}

/** By (time, stream, place in the stream). `streams` are in the order of their names. */
export function mergeStreams(streams: readonly (readonly SessionEvent[])[]): SessionEvent[] {
  return streams.flat().sort((a, b) => a.timeMs - b.timeMs);
}

/**
 * Some collectors count what happens and send each event when all of it is gathered, so that a rich
 * click arrives after what followed it. Their count tells the order, where the times say the same.
 */
function ownOrder(placed: readonly Placed[], report: AddFinding): SessionEvent[] {
  const ordered: SessionEvent[] = [];
  let highest = -1;
  for (const run of runs(placed)) {
    const first = run.reduce((low, each) => ((each.sequence ?? 0) < (low.sequence ?? 0) ? each : low));
    if (first.sequence !== undefined) {
      const restarted = first.sequence <= highest;
      if (restarted) report(first.event.ref, "RAW_SEQUENCE_RESTARTED", "raw_json.sequence");
      highest = run.reduce((high, { sequence = 0 }) => Math.max(high, sequence), restarted ? -1 : highest);
    }
    for (const { event } of orderRun(run, report)) ordered.push(event);
  }
  return ordered;
}

/** Stretches in which the collector counted on: they end where an event has no number, or one that was there before. */
function* runs(placed: readonly Placed[]): Generator<readonly [Placed, ...Placed[]]> {
  let run: [Placed, ...Placed[]] | undefined;
  const seen = new Set<number>();
  for (const next of placed) {
    const { sequence } = next;
    if (run !== undefined && sequence !== undefined && run[0].sequence !== undefined && !seen.has(sequence)) {
      run.push(next);
    } else {
      if (run !== undefined) yield run;
      run = [next];
      seen.clear();
    }
    if (sequence !== undefined) seen.add(sequence);
  }
  if (run !== undefined) yield run;
}

function orderRun(run: readonly Placed[], report: AddFinding): readonly Placed[] {
  const sorted = run.toSorted((a, b) => (a.sequence ?? 0) - (b.sequence ?? 0));
  if (sorted.every((each, index) => each === run[index])) return run;
  const agrees = sorted.every(({ event: { timeMs } }, index) => {
    const before = sorted[index - 1]?.event.timeMs ?? 0;
    return isTime(timeMs) && timeMs >= before;
  });
  if (!agrees) return run;
  let highest = -1;
  for (const { event, sequence = 0 } of run) {
    if (sequence < highest) report(event.ref, "ORDER_FROM_SEQUENCE", "raw_json.sequence");
    else highest = sequence;
  }
  return sorted;
}

/**
 * Changes the fewest times that will do: an event out of place takes the time of the one before it.
 * So one clock that jumps ahead once changes one event, not all that follow.
 */
function mendTimes(events: readonly SessionEvent[], report: AddFinding): SessionEvent[] {
  const usable = events.flatMap(({ timeMs }, index) => (isTime(timeMs) ? [index] : []));
  const timeAt = (index: number) => events[index]?.timeMs ?? 0;
  const kept = new Set(nondecreasing(usable.map(timeAt)).map((index) => usable[index] ?? 0));
  const [earliest] = kept;
  let last = earliest === undefined ? 1 : timeAt(earliest);
  let before: number | undefined;
  return events.map((event, index) => {
    const recorded = event.timeMs;
    if (kept.has(index)) {
      if (recorded === before) report(event.ref, "TIME_DUPLICATE", "time_ms");
      last = recorded;
    } else {
      report(event.ref, isTime(recorded) ? "TIME_REVERSED" : "TIME_IMPOSSIBLE", "time_ms");
    }
    before = recorded;
    return recorded === last ? event : { ...event, timeMs: last };
  });
}

/** From 1970 to the year 10000, as the protocol has it. */
function isTime(timeMs: number): boolean {
  return timeMs > 0 && timeMs <= 253_402_300_799_999;
}
