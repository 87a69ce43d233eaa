import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "../../../src/core/pipeline/canonical.ts";
import type { Action } from "../../../src/core/pipeline/outputs.ts";
import type { Finding } from "../../../src/core/pipeline/recorded.ts";
import { SESSION, shot } from "./acts.ts";
import { inputsOf, type ScoreInputs, scored, withActions } from "./scored.ts";
import { anySession, livelySession } from "./sessions.ts";

const CODES = ["TIME_REVERSED", "TIME_IMPOSSIBLE", "ORDER_FROM_SEQUENCE", "BOX_NEGATIVE", "PAGE_MISSING"];

/** A session in which this and that is wrong. */
function damaged(given: fc.Arbitrary<ScoreInputs>): fc.Arbitrary<ScoreInputs> {
  const damage = fc.record({
    inputs: given,
    findings: fc.array(fc.record({ code: fc.constantFrom(...CODES), seq: fc.nat(12), isMended: fc.boolean() })),
    dropped: fc.nat(5),
    quarantined: fc.nat(5),
    missing: fc.nat(5),
    bare: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
  });
  return damage.map(({ inputs, findings, dropped, quarantined, missing, bare }) => {
    const validate = {
      ...inputs.validate,
      findings: findings.map(
        ({ code, seq, isMended }): Finding => ({
          code,
          action: isMended ? "mended" : "kept",
          ...(seq > 0 && { ref: { stream: "main", seq } }),
        }),
      ),
      dropped: Array.from({ length: dropped }, (_, index) => ({
        ref: { stream: "main", seq: 100 + index },
        code: "EMPTY_SHELL",
      })),
      quarantined,
      missingBlobs: Array.from({ length: missing }, (_, index) => `missing ${index}`),
    };
    const actions = inputs.reduce.actions.map((action, index) =>
      bare[index] === true ? { ...action, targets: action.targets.slice(-1) } : { ...action, screenshot: shot("a") },
    );
    return { ...inputs, validate, reduce: { ...inputs.reduce, actions } };
  });
}

const lively = damaged(livelySession(1).map((events) => inputsOf(events)));
const any = damaged(anySession().map(({ session, events }) => inputsOf(events, session)));

/** What someone may put right, one thing at a time. */
const MENDS: Readonly<Record<string, (inputs: ScoreInputs) => ScoreInputs>> = {
  "finding the task": (inputs) => ({
    ...inputs,
    redact: { ...inputs.redact, session: { ...inputs.redact.session, task: "Find a desk lamp and buy it." } },
  }),
  "sending what was missing": (inputs) => ({ ...inputs, validate: { ...inputs.validate, missingBlobs: [] } }),
  "accepting what was quarantined": (inputs) => ({ ...inputs, validate: { ...inputs.validate, quarantined: 0 } }),
  "sending nothing empty": (inputs) => ({ ...inputs, validate: { ...inputs.validate, dropped: [] } }),
  "sending it without a mistake": (inputs) => ({ ...inputs, validate: { ...inputs.validate, findings: [] } }),
  "taking every screenshot": (inputs) => withActions(inputs, (action) => ({ ...action, screenshot: shot("a") })),
  "a lasting id on every element": (inputs) => withActions(inputs, withId),
  "telling every value": (inputs) =>
    withActions(inputs, (action) => (action.kind === "type" ? { ...action, value: action.value ?? "x" } : action)),
  "pointing at the middle of the element": (inputs) => withActions(inputs, centred),
  "seeing what was inferred": (inputs) => withActions(inputs, ({ inferred: _, ...action }) => action),
};

describe("the score", () => {
  test("is from 0 to 100 to one decimal, whatever was recorded, and the same again", () => {
    fc.assert(
      fc.property(fc.oneof(lively, any), (inputs) => {
        const output = scored(inputs);
        expect(canonicalJson(scored(inputs))).toBe(canonicalJson(output));
        for (const value of [output.overall, ...Object.values(output.dimensions)]) {
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(100);
          expect(Math.round(value * 10) / 10).toBe(value);
        }
        for (const { points, of } of output.checks) {
          expect(points).toBeGreaterThanOrEqual(0);
          expect(points).toBeLessThanOrEqual(of);
        }
      }),
      { numRuns: 500 },
    );
  });

  test.each(Object.entries(MENDS))("is never lower for %s", (_, mend) => {
    fc.assert(
      fc.property(lively, (inputs) => {
        expect(scored(mend(inputs)).overall).toBeGreaterThanOrEqual(scored(inputs).overall);
      }),
      { numRuns: 300 },
    );
  });

  test("is never higher for one event more that is quarantined, or one blob more that is missing", () => {
    fc.assert(
      fc.property(lively, ({ validate, ...inputs }) => {
        const before = scored({ ...inputs, validate }).overall;
        const quarantined = { ...validate, quarantined: validate.quarantined + 1 };
        expect(scored({ ...inputs, validate: quarantined }).overall).toBeLessThanOrEqual(before);
        const missing = { ...validate, missingBlobs: [...validate.missingBlobs, "one more"] };
        expect(scored({ ...inputs, validate: missing }).overall).toBeLessThanOrEqual(before);
      }),
      { numRuns: 300 },
    );
  });
});

test("what the sessions are made with is damage", () => {
  expect(fc.sample(lively, 50).some(({ validate }) => validate.quarantined > 0 && validate.session === SESSION)).toBe(
    true,
  );
});

const withId = (action: Action): Action =>
  action.targets.length === 0
    ? action
    : { ...action, targets: [{ kind: "id", value: "lasting", reliability: 0.95 }, ...action.targets] };

function centred(action: Action): Action {
  const { box, point } = action;
  return box && point ? { ...action, point: { x: box.x + box.width / 2, y: box.y + box.height / 2 } } : action;
}
