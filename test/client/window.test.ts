import fc from "fast-check";
import { expect, test } from "vitest";
import { Window } from "../../src/client/window.ts";

test("what is unacknowledged is what was sent and not acknowledged, in any order of acks", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("events" as const), bytes: fc.integer({ min: 1, max: 500 }) }),
    fc.record({
      kind: fc.constant("blob" as const),
      id: fc.constantFrom("a", "b"),
      bytes: fc.integer({ min: 1, max: 500 }),
    }),
    fc.record({ kind: fc.constant("ackEvents" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
    fc.record({
      kind: fc.constant("ackBlob" as const),
      id: fc.constantFrom("a", "b"),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    fc.record({ kind: fc.constant("release" as const), id: fc.constantFrom("a", "b") }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const window = new Window();
      let sent: { readonly of: string; readonly end: number; readonly bytes: number }[] = [];
      const ends = new Map<string, number>();
      const advance = (of: string) => {
        ends.set(of, (ends.get(of) ?? 0) + 1);
        return ends.get(of) ?? 0;
      };
      for (const action of steps) {
        switch (action.kind) {
          case "events": {
            const end = advance("events");
            window.chargeEvents(BigInt(end), action.bytes);
            sent.push({ of: "events", end, bytes: action.bytes });
            break;
          }
          case "blob": {
            const end = advance(action.id);
            window.chargeBlob(action.id, end, action.bytes);
            sent.push({ of: action.id, end, bytes: action.bytes });
            break;
          }
          case "ackEvents": {
            const through = Math.floor((ends.get("events") ?? 0) * action.share);
            window.ackEvents(BigInt(through));
            sent = sent.filter(({ of, end }) => of !== "events" || end > through);
            break;
          }
          case "ackBlob": {
            const through = Math.floor((ends.get(action.id) ?? 0) * action.share);
            window.ackBlob(action.id, BigInt(through));
            sent = sent.filter(({ of, end }) => of !== action.id || end > through);
            break;
          }
          case "release":
            window.releaseBlob(action.id);
            sent = sent.filter(({ of }) => of !== action.id);
            break;
        }
        expect(window.unacked).toBe(sent.reduce((sum, { bytes }) => sum + bytes, 0));
      }
    }),
  );
});

test("a frame larger than the credit fits only alone, and nothing fits without credit", () => {
  const window = new Window();
  expect(window.fits(1)).toBe(false);
  window.credit = 100;
  expect(window.fits(500)).toBe(true);
  window.chargeEvents(1n, 60);
  expect([window.fits(40), window.fits(41)]).toEqual([true, false]);
});
