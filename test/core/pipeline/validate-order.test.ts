import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nondecreasing } from "../../../src/core/pipeline/validate/nondecreasing.ts";
import { type EventInit, recordingOf, START, validated } from "./recorded.ts";

const PAGE = { url: "https://shop.example.com/" };

/** An event some milliseconds after START, with the collector's own count if it has one. */
function at(ms: number, sequence?: number): EventInit {
  const raw = sequence === undefined ? {} : { rawJson: JSON.stringify({ sequence }) };
  return { page: PAGE, pointer: { x: 1, y: 1 }, timeMs: BigInt(START + ms), ...raw };
}

/** The order events come out in, as `seq@time`; and the findings, as `seq CODE`. */
async function ordered(events: readonly EventInit[]) {
  const { events: given, findings } = await validated(recordingOf({ main: events }));
  return {
    order: given.map(({ ref, timeMs }) => `${ref.seq}@${timeMs > START ? timeMs - START : timeMs}`),
    codes: findings.map(({ ref, code }) => `${ref?.seq} ${code}`),
  };
}

describe("times within a stream", () => {
  test("that run backwards take the time of the event before, so that the stream's order holds", async () => {
    const { order, codes } = await ordered([at(10), at(30), at(20), at(40)]);
    expect(order).toEqual(["1@10", "2@30", "3@30", "4@40"]);
    expect(codes).toEqual(["3 TIME_REVERSED"]);
  });

  test("are changed as few as can be: one clock far ahead moves one event, not all after it", async () => {
    const { order, codes } = await ordered([at(10), at(9_000_000), at(20), at(30), at(40)]);
    expect(order).toEqual(["1@10", "2@10", "3@20", "4@30", "5@40"]);
    expect(codes).toEqual(["2 TIME_REVERSED"]);
  });

  test("that can't be take that of the event before, the first that of the one after", async () => {
    const none = { ...at(0), timeMs: -1n };
    const { order, codes } = await ordered([none, at(10), none, at(20)]);
    expect(order).toEqual(["1@10", "2@10", "3@10", "4@20"]);
    expect(codes).toEqual(["1 TIME_IMPOSSIBLE", "3 TIME_IMPOSSIBLE"]);
  });

  test("that are the same are kept in the stream's order, and told", async () => {
    const { order, codes } = await ordered([at(10), at(10), at(10)]);
    expect(order).toEqual(["1@10", "2@10", "3@10"]);
    expect(codes).toEqual(["2 TIME_DUPLICATE", "3 TIME_DUPLICATE"]);
  });

  test("are compared in milliseconds, whatever they were sent in", async () => {
    const seconds = { ...at(0), timeMs: BigInt(START / 1000 + 1) };
    const { order, codes } = await ordered([at(10), seconds, at(2000)]);
    expect(order).toEqual(["1@10", "2@1000", "3@2000"]);
    expect(codes).toEqual(["2 TIME_IN_SECONDS"]);
  });
});

describe("the collector's own count", () => {
  test("puts late arrivals where it and the times say", async () => {
    const { order, codes } = await ordered([at(10, 1), at(30, 3), at(20, 2), at(40, 4)]);
    expect(order).toEqual(["1@10", "3@20", "2@30", "4@40"]);
    expect(codes).toEqual(["3 ORDER_FROM_SEQUENCE"]);
  });

  test("does not where the times say otherwise", async () => {
    const { order, codes } = await ordered([at(10, 1), at(20, 3), at(30, 2)]);
    expect(order).toEqual(["1@10", "2@20", "3@30"]);
    expect(codes).toEqual([]);
  });

  test("is compared within one page: where it begins again, the count before it says nothing", async () => {
    const { order, codes } = await ordered([at(10, 1), at(20, 2), at(30), at(50, 2), at(40, 1), at(60, 1)]);
    expect(order).toEqual(["1@10", "2@20", "3@30", "5@40", "4@50", "6@60"]);
    expect(codes).toEqual(["5 RAW_SEQUENCE_RESTARTED", "5 ORDER_FROM_SEQUENCE", "6 RAW_SEQUENCE_RESTARTED"]);
  });

  test("that goes on after an event without one has not begun again", async () => {
    expect((await ordered([at(10, 1), at(20), at(30, 2)])).codes).toEqual([]);
  });

  test("may be digits in a string; anything else is none", async () => {
    const raw = (sequence: unknown) => ({ rawJson: JSON.stringify({ sequence }) });
    const strings = await ordered([
      { ...at(10), ...raw("1") },
      { ...at(30), ...raw("3") },
      { ...at(20), ...raw("2") },
    ]);
    expect(strings.codes).toEqual(["3 ORDER_FROM_SEQUENCE"]);
    for (const [first, second, third] of [
      [1.5, 3.5, 2.5],
      [-3, -1, -2],
      [[1], [3], [2]],
    ]) {
      const none = [
        { ...at(10), ...raw(first) },
        { ...at(30), ...raw(second) },
        { ...at(20), ...raw(third) },
      ];
      expect((await ordered(none)).codes).toEqual(["3 TIME_REVERSED"]);
    }
  });
});

test("streams are put together by (time, stream, place in the stream)", async () => {
  const { events } = await validated(
    recordingOf({ left: [at(10), at(20), at(20), at(30)], right: [at(5), at(20), at(15)] }),
  );
  expect(events.map(({ ref }) => `${ref.stream} ${ref.seq}`)).toEqual([
    "right 1",
    "left 1",
    "left 2",
    "left 3",
    "right 2",
    "right 3",
    "left 4",
  ]);
});

describe("the longest subsequence that never falls", () => {
  test("is as long as trying all of them finds", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 10 }), (values) => {
        const found = nondecreasing(values);
        expect(isRising(found, true) && isRising(found.map((index) => values[index] ?? -1))).toBe(true);
        expect(found.length).toBe(longest(values));
      }),
    );
  });

  test("keeps the earlier of two that are as long", () => {
    expect(nondecreasing([1, 3, 2, 4])).toEqual([0, 1, 3]);
    expect(nondecreasing([5, 4])).toEqual([0]);
  });
});

function isRising(values: readonly number[], strictly = false): boolean {
  return values.every((value, index) => {
    const before = values[index - 1] ?? Number.NEGATIVE_INFINITY;
    return strictly ? value > before : value >= before;
  });
}

/** By trying every subset. */
function longest(values: readonly number[]): number {
  let best = 0;
  for (let subset = 0; subset < 2 ** values.length; subset += 1) {
    const chosen = values.filter((_, index) => (subset >> index) % 2 === 1);
    if (isRising(chosen)) best = Math.max(best, chosen.length);
  }
  return best;
}
