import fc from "fast-check";
import { expect, test } from "vitest";
import { Backoff } from "../../src/client/backoff.ts";

test("a wait is uniform below min(max, base · 2^attempt), and never less than the daemon asked for", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000 }),
      fc.integer({ min: 1, max: 60_000 }),
      fc.array(
        fc.record({
          random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
          retryAfterMs: fc.option(fc.integer({ min: 0, max: 3_600_000 }), { nil: undefined }),
        }),
        { minLength: 1, maxLength: 100 },
      ),
      (baseMs, maxMs, failures) => {
        let random = 0;
        const backoff = new Backoff({ baseMs, maxMs }, () => random);
        for (const [attempt, failure] of failures.entries()) {
          random = failure.random;
          const wait = backoff.next(failure.retryAfterMs);
          const jitter = wait - (failure.retryAfterMs ?? 0);
          expect(jitter).toBe(Math.floor(failure.random * Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30))));
          expect(jitter).toBeGreaterThanOrEqual(0);
          expect(jitter).toBeLessThan(maxMs);
        }
      },
    ),
  );
});

test("success begins the waits anew", () => {
  const backoff = new Backoff({ baseMs: 100, maxMs: 30_000 }, () => 0.5);
  expect([backoff.next(undefined), backoff.next(undefined), backoff.next(undefined)]).toEqual([50, 100, 200]);
  backoff.reset();
  expect(backoff.next(undefined)).toBe(50);
});

test("a daemon that asks for a century is asked again within an hour and the jitter", () => {
  expect(new Backoff({ baseMs: 100, maxMs: 100 }, () => 0).next(3_155_760_000_000)).toBe(3_600_000);
});
