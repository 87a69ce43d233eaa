import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { prepare } from "../../../src/core/session/batch.ts";
import { EMPTY_STATE, merge, type SessionState } from "../../../src/core/session/state.ts";
import { EventType } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { event } from "../../fixtures.ts";

const EVENT = fc.record({
  timeMs: fc.integer({ min: 1, max: 5 }).map(BigInt),
  type: fc.constantFrom(EventType.CLICK, EventType.KEY, EventType.UNSPECIFIED),
  page: fc.record({ url: fc.constantFrom("", "https://a.test/", "https://b.test/"), title: fc.constantFrom("", "A") }),
});

/** Runs of new events, each of one stream at its place, as appends would have them. */
const RUNS = fc
  .array(fc.record({ stream: fc.constantFrom("main", "a", "b"), events: fc.array(EVENT, { maxLength: 5 }) }), {
    maxLength: 12,
  })
  .map((runs) => {
    const next = new Map<string, bigint>();
    return runs.map(({ stream, events }) => {
      const firstSeq = next.get(stream) ?? 1n;
      next.set(stream, firstSeq + BigInt(events.length));
      return { stream, firstSeq, events: events.map((more) => event(1, more)) };
    });
  });

const fold = (states: readonly SessionState[]): SessionState => states.reduce(merge, EMPTY_STATE);
const deltaOf = ({ stream, firstSeq, events }: { stream: string; firstSeq: bigint; events: Uint8Array[] }) =>
  prepare(stream, firstSeq, events, DEFAULT_LIMITS).delta;

describe("the state of a session", () => {
  it("is the same however its events were cut into batches", () => {
    const property = fc.property(RUNS, (runs) => {
      const single = runs.flatMap(({ stream, firstSeq, events }) =>
        events.map((each, index) => ({ stream, firstSeq: firstSeq + BigInt(index), events: [each] })),
      );
      expect(fold(single.map(deltaOf))).toEqual(fold(runs.map(deltaOf)));
    });
    fc.assert(property, { numRuns: 500 });
  });

  it("is the same in whatever order batches came", () => {
    const shuffled = RUNS.chain((runs) =>
      fc.tuple(fc.constant(runs), fc.shuffledSubarray(runs, { minLength: runs.length })),
    );
    const property = fc.property(shuffled, ([runs, other]) => {
      expect(fold(other.map(deltaOf))).toEqual(fold(runs.map(deltaOf)));
    });
    fc.assert(property, { numRuns: 500 });
  });

  it("is the same however states are put together, and nothing is added by nothing", () => {
    const state = RUNS.map((runs) => fold(runs.map(deltaOf)));
    const property = fc.property(state, state, state, (a, b, c) => {
      expect(merge(merge(a, b), c)).toEqual(merge(a, merge(b, c)));
      expect(merge(a, EMPTY_STATE)).toEqual(a);
      expect(merge(EMPTY_STATE, a)).toEqual(a);
    });
    fc.assert(property, { numRuns: 500 });
  });

  it("counts each event once, as valid or as quarantined, and all bytes", () => {
    const property = fc.property(RUNS, (runs) => {
      const state = fold(runs.map(deltaOf));
      const all = runs.flatMap(({ events }) => events);
      expect(state.events + state.quarantined).toBe(all.length);
      expect(Object.values(state.types).reduce((sum, count) => sum + count, 0)).toBe(state.events);
      expect(state.bytes).toBe(all.reduce((sum, { length }) => sum + length, 0));
    });
    fc.assert(property, { numRuns: 500 });
  });
});
