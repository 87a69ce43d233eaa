import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AppError, type ErrorCode } from "../../../src/core/errors.ts";
import { following, settlementOf } from "../../../src/core/jobs/job.ts";
import type { ClaimedJob } from "../../../src/core/store/jobs.ts";

const JOB: ClaimedJob = {
  ...{ job: 7, fence: 3, kind: "reduce", project: "p", session: "s", priority: 6, attempt: 1, lost: 0 },
  campaign: undefined,
  stages: undefined,
};

function failed(code: ErrorCode, reason = "WHY", retryAfterMs?: number): AppError {
  return new AppError(code, "It failed.", { reason, ...(retryAfterMs !== undefined && { retryAfterMs }) });
}

function settle(error: AppError, more: { attempt?: number; random?: number } = {}) {
  const policy = { maxAttempts: 5, nowMs: 1_000_000, random: () => more.random ?? 0 };
  return settlementOf({ ...JOB, attempt: more.attempt ?? 1 }, error, policy);
}

describe("a failed attempt", () => {
  test("is tried again until its attempts are spent, and then is dead with the last reason", () => {
    expect(settle(failed("internal"), { attempt: 4 })).toMatchObject({ outcome: "retry", lease: { job: 7, fence: 3 } });
    expect(settle(failed("internal"), { attempt: 5 })).toEqual({
      lease: { job: 7, fence: 3 },
      outcome: "discard",
      error: { reason: "WHY", message: "It failed." },
    });
    expect(settle(failed("deadline_exceeded", "STAGE_DEADLINE"))).toMatchObject({ outcome: "retry" });
  });

  test.for(["failed_precondition", "data_loss", "not_found", "invalid_argument"] as const)(
    "of inputs that can never do (%s) is dead at once",
    (code) => expect(settle(failed(code))).toMatchObject({ outcome: "discard" }),
  );

  test("of something that is away is snoozed for as long as that asks, whatever attempt it is", () => {
    const asked = settle(failed("resource_exhausted", "RATE_LIMITED", 40_000), { attempt: 5 });
    expect(asked).toMatchObject({ outcome: "snooze", runAtMs: 1_040_000 });
    expect(settle(failed("unavailable"), { attempt: 5 })).toMatchObject({ outcome: "snooze", runAtMs: 1_010_000 });
    const newer = settle(failed("failed_precondition", "STAGE_VERSION_BACK"), { attempt: 5 });
    expect(newer).toMatchObject({ outcome: "snooze", runAtMs: 1_600_000 });
  });

  test("is never snoozed for less than a second, which would be a loop, nor for days", () => {
    expect(settle(failed("unavailable", "BUSY", 0))).toMatchObject({ runAtMs: 1_001_000 });
    expect(settle(failed("unavailable", "BUSY", 1e12))).toMatchObject({ runAtMs: 1_600_000 });
  });

  test("waits twice as long each time, up to ten minutes, half of it chance", () => {
    const chance = fc.double({ min: 0, max: 0.999, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), chance, (attempt, random) => {
        const policy = { maxAttempts: 1e6, nowMs: 0, random: () => random };
        const settlement = settlementOf({ ...JOB, attempt }, failed("internal"), policy);
        const ceiling = Math.min(600_000, 1_000 * 2 ** (attempt - 1));
        if (settlement.outcome !== "retry") throw new Error(settlement.outcome);
        expect(settlement.runAtMs).toBeGreaterThanOrEqual(ceiling / 2);
        expect(settlement.runAtMs).toBeLessThanOrEqual(ceiling);
      }),
    );
  });
});

test("what follows stays in the campaign, with its priority and its stages", () => {
  expect(following(JOB, "score")).toEqual({ kind: "score", project: "p", session: "s", priority: 6 });
  const campaign = { ...JOB, campaign: "c1", stages: ["reduce", "score"] };
  expect(following(campaign, "score")).toMatchObject({ campaign: "c1", stages: ["reduce", "score"] });
});
