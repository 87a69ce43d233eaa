import { z } from "zod";
import { SCORE_DIMENSIONS } from "../outputs.ts";

const WEIGHT = z.number().min(0).max(1);
const POINTS = z.number().min(0).max(1000);
const SHARE = z.number().gt(0).max(1);

/** Weights of the dimensions; they add up to 1. */
const WEIGHTS = z
  .strictObject({
    completeness: WEIGHT.default(0.3),
    reliability: WEIGHT.default(0.25),
    accuracy: WEIGHT.default(0.25),
    consistency: WEIGHT.default(0.2),
  })
  .superRefine((weights, context) => {
    const sum = SCORE_DIMENSIONS.reduce((total, dimension) => total + weights[dimension], 0);
    if (Math.abs(sum - 1) <= SLACK) return;
    const told = SCORE_DIMENSIONS.map((dimension) => `${dimension} ${weights[dimension]}`).join(", ");
    context.addIssue(`must add up to 1, and add up to ${Number(sum.toFixed(9))}: ${told}`);
  });

/** What adding four decimal fractions may be off. */
const SLACK = 1e-9;

/** What each check counts within its dimension. 0 leaves it out. */
const CHECKS = z.strictObject({
  actions_present: POINTS.default(10),
  screenshots_present: POINTS.default(50),
  blobs_present: POINTS.default(10),
  pages_present: POINTS.default(15),
  task_present: POINTS.default(15),
  targets_present: POINTS.default(10),
  values_present: POINTS.default(10),
  targets_named: POINTS.default(35),
  targets_reliable: POINTS.default(30),
  targets_grounded: POINTS.default(30),
  events_accepted: POINTS.default(15),
  events_kept: POINTS.default(10),
  actions_seen: POINTS.default(10),
  pointer_in_box: POINTS.default(30),
  targets_on_screen: POINTS.default(25),
  values_match_state: POINTS.default(25),
  screenshots_match_viewport: POINTS.default(20),
  times_in_order: POINTS.default(25),
  no_long_gaps: POINTS.default(15),
  sequence_unbroken: POINTS.default(15),
  navigations_explained: POINTS.default(25),
  little_mended: POINTS.default(20),
});

export const SCORE_PARAMS = z.strictObject({
  weights: WEIGHTS.prefault({}),
  points: CHECKS.prefault({}),
  /** Fewer actions are hardly a task. */
  minActions: z.number().int().min(1).max(1000).default(3),
  /** Characters of a task that says something. */
  minTaskLength: z.number().int().min(1).max(1000).default(10),
  /** From 0 to 1: what the best target is worth that is sure to find its element. */
  goodTarget: SHARE.default(0.85),
  /** CSS pixels that a pointer may be outside its target's box, and a box outside the viewport. */
  boxTolerancePx: z.number().min(0).max(1000).default(2),
  /** Physical pixels that a screenshot may differ from the viewport. */
  sizeTolerancePx: z.number().min(0).max(1000).default(2),
  /** Nothing at all for longer than this is a break in the recording. Milliseconds. */
  longGapMs: z.number().int().min(1000).max(86_400_000).default(300_000),
  /** At so many breaks there is nothing left of that check. */
  maxLongGaps: z.number().int().min(1).max(1000).default(3),
  /** At these shares of a session's events there is nothing left of the check. */
  maxQuarantined: SHARE.default(0.1),
  maxDropped: SHARE.default(0.2),
  maxMended: SHARE.default(0.5),
});

export type ScoreParams = z.output<typeof SCORE_PARAMS>;
export type CheckName = keyof ScoreParams["points"];
