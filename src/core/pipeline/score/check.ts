import type { Action, ReduceOutput, ScoreDimension } from "../outputs.ts";
import type { EventRef, RedactOutput, SessionEvent, ValidateOutput } from "../recorded.ts";
import type { CheckName, ScoreParams } from "./params.ts";

/** What the checks look at. */
export interface Evidence {
  readonly validate: ValidateOutput;
  readonly redact: RedactOutput;
  readonly reduce: ReduceOutput;
  readonly params: ScoreParams;
  /** The redacted event of that place. */
  readonly eventAt: (ref: EventRef) => SessionEvent | undefined;
  /** A recording of a whole screen: no page is told anywhere, and no element. */
  readonly isDesktop: boolean;
}

/** What a check came to: a share of its points, from 0 to 1; undefined where there is nothing to check. */
export interface Verdict {
  readonly share: number | undefined;
  /** In words with numbers, and no recorded value. */
  readonly reason: string;
}

export interface Check {
  readonly name: CheckName;
  readonly dimension: ScoreDimension;
  readonly look: (evidence: Evidence) => Verdict;
}

export const placeOf = ({ stream, seq }: EventRef): string => `${seq} ${stream}`;

/** The share of `all` for which `holds`; 0.5 counts half. Says "3 of 4 actions have a page". */
export function shareOf<T>(
  all: readonly T[],
  what: string,
  holds: (each: T) => boolean | number,
  say: string,
): Verdict {
  if (all.length === 0) return nothing(what);
  const good = all.reduce((sum, each) => sum + Number(holds(each)), 0);
  return { share: good / all.length, reason: `${Number(good.toFixed(1))} of ${all.length} ${what} ${say}` };
}

export function nothing(what: string): Verdict {
  return { share: undefined, reason: `nothing to check: no ${what}` };
}

/** All of it at none, nothing left of it at `most`. */
export function shareLeft(bad: number, of: number, most: number): number {
  return of === 0 ? 1 : Math.max(0, 1 - bad / of / most);
}

const ON_ELEMENTS: ReadonlySet<Action["kind"]> = new Set([
  "click",
  "double_click",
  "triple_click",
  "type",
  "select",
  "drag",
  "hover",
]);

/** The actions that are done to an element. */
export function onElements({ reduce }: Evidence): Action[] {
  return reduce.actions.filter(({ kind }) => ON_ELEMENTS.has(kind));
}
