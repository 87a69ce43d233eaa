import { z } from "zod";
import type { AssembleOutput, StepExample } from "../pipeline/outputs.ts";
import { siteOf } from "./splits.ts";

const COUNTS = z.record(z.string(), z.int());

/** What the card shows as plots. Counts of sessions, but for actions: those are of examples. */
export const FIGURES = z.strictObject({ sites: COUNTS, actions: COUNTS, scores: COUNTS, lengths: COUNTS });

type Counts = Record<string, number>;
export interface Figures {
  readonly sites: Counts;
  readonly actions: Counts;
  /** By tens, named by the first: "90" is 90 to 100. */
  readonly scores: Counts;
  /** By doublings of the number of steps, named by the first: "4" is 4 to 7. */
  readonly lengths: Counts;
}

export function noFigures(): Figures {
  return { sites: {}, actions: {}, scores: {}, lengths: {} };
}

/** `steps` are those that became examples. */
export function countSession(figures: Figures, { session }: AssembleOutput, steps: readonly StepExample[]): void {
  add(figures.sites, siteOf(session.startUrl));
  add(figures.scores, String(Math.min(90, Math.floor(session.score / 10) * 10)));
  add(figures.lengths, String(2 ** Math.floor(Math.log2(Math.max(1, session.steps)))));
  for (const { action } of steps) add(figures.actions, action.kind);
}

function add(counts: Counts, name: string): void {
  counts[name] = (Object.hasOwn(counts, name) ? (counts[name] ?? 0) : 0) + 1;
}
