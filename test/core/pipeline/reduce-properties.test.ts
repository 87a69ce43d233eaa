import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "../../../src/core/pipeline/canonical.ts";
import type { Action, ReduceOutput } from "../../../src/core/pipeline/outputs.ts";
import type { SessionEvent } from "../../../src/core/pipeline/recorded.ts";
import { reduceEvents, SESSION } from "./acts.ts";
import { expressed } from "./expressed.ts";
import { anySession, livelySession } from "./sessions.ts";

describe("whatever is recorded", () => {
  test("every event is in exactly one action or left out with a code, and all keep their order", () => {
    fc.assert(
      fc.property(livelySession(1), (events) => {
        expectPartition(events, reduceEvents(SESSION, events));
      }),
      { numRuns: 1000 },
    );
  });

  test("reduce does not throw, gives JSON, and gives the same again", () => {
    fc.assert(
      fc.property(anySession(), ({ session, events }) => {
        const output = reduceEvents(session, events);
        expectPartition(events, output);
        expect(canonicalJson(reduceEvents(session, events))).toBe(canonicalJson(output));
      }),
      { numRuns: 500 },
    );
  });

  test("reducing what is reduced changes nothing", () => {
    fc.assert(
      fc.property(livelySession(AS_FAST_AS_HANDS_MS), (events) => {
        const once = reduceEvents(SESSION, events, NO_PAGE_SCROLLS).actions;
        const twice = reduceEvents(SESSION, expressed(once), NO_PAGE_SCROLLS).actions;
        expect(twice.map(essence)).toEqual(once.map(essence));
      }),
      { numRuns: 2000 },
    );
  });
});

/** What comes faster than this a browser may have made of one act, and an action does not tell what it was made of. */
const AS_FAST_AS_HANDS_MS = 60;

/** When exactly a page was there an action does not tell either. */
const NO_PAGE_SCROLLS = { pageScrollMs: 0 };

function expectPartition(events: readonly SessionEvent[], { actions, unused }: ReduceOutput): void {
  const place = new Map(events.map(({ ref }, index) => [`${ref.stream} ${ref.seq}`, index]));
  const placesOf = (refs: readonly SessionEvent["ref"][]) =>
    refs.map(({ stream, seq }) => place.get(`${stream} ${seq}`) ?? -1);
  const perAction = actions.map((action) => placesOf(action.events));
  const left = placesOf(unused.map(({ ref }) => ref));
  expect([...perAction.flat(), ...left].toSorted((a, b) => a - b)).toEqual(events.map((_, index) => index));
  for (const places of [...perAction, left]) expect(places).toEqual(places.toSorted((a, b) => a - b));
  const firsts = perAction.flatMap(([first]) => first ?? []);
  expect(firsts).toEqual(firsts.toSorted((a, b) => a - b));
  for (const { code } of unused) expect(code).toMatch(/^[A-Z]+(_[A-Z]+)+$/);
  for (const { kind, events: refs } of actions) if (refs.length === 0) expect(kind).toBe("wait");
}

/** What an action says, but for when it was done and what was seen. */
function essence({
  kind,
  value,
  masked,
  targets,
  element,
  point,
  to,
  delta,
  button,
  clicks,
  navigatedTo,
  name,
}: Action) {
  return { kind, value, masked, targets, element, point, to, delta, button, clicks, navigatedTo, name };
}
