import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, test } from "vitest";
import type { Action } from "../../../src/core/pipeline/outputs.ts";
import { reduceEvents } from "../pipeline/acts.ts";
import { importedFrom, validated } from "../pipeline/recorded.ts";
import { type Comparison, compare, driven, shareAgreed, stepOf } from "./cross-format.ts";

const TASKS = fileURLToPath(new URL("../../../../shared/data/cross-format/", import.meta.url));

describe("what Playwright's traces tell of twelve tasks reduces", () => {
  beforeEach((context) => {
    if (!existsSync(TASKS)) context.skip("no recordings at ../shared/data/cross-format");
  });

  test("to what their driver did: kind, order and target of every action", async () => {
    const comparisons: Comparison[] = [];
    for (const task of readdirSync(TASKS).toSorted()) {
      const actions = await actionsOf(`${TASKS}${task}/trace.zip`);
      comparisons.push(compare((await driven(`${TASKS}${task}`)).all, actions));
      // The page as it was has the element of every call that names one, and one selector finds it alone.
      const aimed = actions.filter(({ targets }) => targets.length > 0);
      expect(aimed.filter(({ targets }) => targets[0]?.grounding?.findsTarget !== true)).toEqual([]);
      expect(actions.filter(({ screenshot }) => screenshot === undefined)).toEqual([]);
    }
    expect(comparisons.flatMap(({ differences }) => differences)).toEqual([]);
    expect(comparisons.reduce((sum, { agreed }) => sum + agreed, 0)).toBe(89);
  });

  /**
   * book-flight: the field is read-only, so that nothing came of the keys, and rrweb tells no keys.
   * social-media: the call aimed at a blank 2.5 pixels wide, and rrweb tells what the browser hit.
   */
  const DIFFERENCES = [
    "book-flight: driver type (#datepicker)",
    "social-media: driver click (span)",
    "social-media: recording click on div",
  ];

  test("to what rrweb recorded of them at the same time, but for wheels that turned nothing", async () => {
    const comparisons: Comparison[] = [];
    const differences: string[] = [];
    for (const task of readdirSync(TASKS).toSorted()) {
      const { idle } = await driven(`${TASKS}${task}`);
      const told = await actionsOf(`${TASKS}${task}/trace.zip`);
      const steps = told.filter(({ kind }) => kind !== "scroll" || idle.length === 0).map(stepOf);
      const comparison = compare(steps, await actionsOf(`${TASKS}${task}/rrweb.json`));
      comparisons.push(comparison);
      differences.push(...comparison.differences.map(({ side, what }) => `${task}: ${side} ${what}`));
    }
    expect(differences).toEqual(DIFFERENCES);
    expect(comparisons.reduce((sum, { agreed }) => sum + agreed, 0)).toBe(77);
    expect(shareAgreed(comparisons)).toBeGreaterThan(0.95);
  });
});

async function actionsOf(path: string): Promise<readonly Action[]> {
  const [recorded, ...others] = await importedFrom(path);
  expect(others).toEqual([]);
  if (recorded === undefined) throw new Error("no recording");
  const { session, events } = await validated(recorded);
  return reduceEvents(session, events).actions;
}
