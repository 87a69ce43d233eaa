import { z } from "zod";

const MS = z.number().int().min(0).max(3_600_000);
const PX = z.number().min(0).max(10_000);

/**
 * Times are milliseconds, distances CSS pixels. Those of clicks, drags and long presses are
 * AgentNet's; the others were chosen on the sample and on real recordings.
 */
export const REDUCE_PARAMS = z.strictObject({
  /** Two clicks that begin closer together than this, and lie closer than doubleClickPx, are a double click. */
  doubleClickMs: MS.default(500),
  doubleClickPx: PX.default(4),
  /** A press and a release farther apart than this are a drag. */
  dragPx: PX.default(6),
  /** A click held longer than this tells how long. */
  longPressMs: MS.default(1000),
  /** Scrolls in one direction with a longer pause between them are two actions. */
  scrollPauseMs: MS.default(3000),
  /** What scrolls this soon after a navigation, or after such a scroll, is the page itself. */
  pageScrollMs: MS.default(300),
  /** What a field, a form or the clipboard tells this soon after an act is its effect. */
  effectMs: MS.default(500),
  /** A navigation this soon after an act is its effect. */
  navigationMs: MS.default(5000),
  /** The same after a submit, or to the address of the link that was clicked. */
  slowNavigationMs: MS.default(30_000),
  /** An act told this soon after the navigation it caused: collectors that take a screenshot first tell it late. */
  lateCauseMs: MS.default(500),
  /** The same event of the same element told again this soon is a duplicate. */
  duplicateMs: MS.default(10),
  /** Doing nothing for longer than this, while the page changes, is waiting. */
  waitMs: MS.default(3000),
});

export type ReduceParams = z.output<typeof REDUCE_PARAMS>;
