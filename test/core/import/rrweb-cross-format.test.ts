import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { ActionTarget } from "../../../src/core/pipeline/outputs.ts";
import { reduceEvents } from "../pipeline/acts.ts";
import { importedFrom, validated } from "../pipeline/recorded.ts";
import { type Comparison, compare, driven, shareAgreed } from "./cross-format.ts";

const TASKS = fileURLToPath(new URL("../../../../shared/data/cross-format/", import.meta.url));

/**
 * book-flight: the field is read-only, so that nothing came of the keys, and rrweb tells no keys.
 * social-media: the driver aimed at a blank 2.5 pixels wide; the browser hit what is around it.
 */
const DIFFERENCES = [
  "book-flight: driver type (type:2)",
  "social-media: driver click (click:2)",
  "social-media: recording click on div",
];

test("what rrweb recorded of twelve tasks reduces to what their driver did", async (context) => {
  if (!existsSync(TASKS)) context.skip("no recordings at ../shared/data/cross-format");
  const comparisons: Comparison[] = [];
  const differences: string[] = [];
  let idle = 0;
  for (const task of readdirSync(TASKS).toSorted()) {
    const done = await driven(`${TASKS}${task}`);
    idle += done.idle.length;
    for (const recorded of await importedFrom(`${TASKS}${task}/rrweb.json`)) {
      const { session, events } = await validated(recorded);
      const { actions } = reduceEvents(session, events);
      expect(actions.filter(({ targets }) => !targets.some(isProven))).toEqual([]);
      const comparison = compare(done.steps, actions);
      comparisons.push(comparison);
      differences.push(...comparison.differences.map(({ side, what }) => `${task}: ${side} ${what}`));
    }
  }
  expect(differences).toEqual(DIFFERENCES);
  expect(comparisons.length).toBe(12);
  expect(comparisons.reduce((sum, { agreed }) => sum + agreed, 0)).toBe(77);
  expect(shareAgreed(comparisons)).toBeGreaterThan(0.95);
  // In two tasks something could be scrolled.
  expect(idle).toBe(10);
});

/** Found on the page as it was, and nothing else with it. */
const isProven = ({ grounding }: ActionTarget): boolean => grounding?.findsTarget === true && grounding.matches === 1;
