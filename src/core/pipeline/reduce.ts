import type { Action, ReduceOutput } from "./outputs.ts";
import type { Page, RedactOutput, SessionEvent, SessionFacts } from "./recorded.ts";
import { actionOf } from "./reduce/actions.ts";
import type { Draft } from "./reduce/draft.ts";
import type { Unused } from "./reduce/gesture.ts";
import { readGestures } from "./reduce/gestures.ts";
import { inferNavigations, nameNavigations } from "./reduce/landings.ts";
import { REDUCE_PARAMS, type ReduceParams } from "./reduce/params.ts";
import { Screenshots } from "./reduce/screenshots.ts";
import { measureScrolls } from "./reduce/scrolling.ts";
import { countsClicks, takeAsTold, tellsActions } from "./reduce/told.ts";
import { endWaits, insertWaits } from "./reduce/waits.ts";
import { walk } from "./reduce/walk.ts";
import type { Stage } from "./stage.ts";

/**
 * Raw events to actions: what the person did, as an agent would be told to do it. Every event ends
 * in exactly one action, or in `unused` with the code of why. Reducing what is reduced changes
 * nothing.
 */
export const reduce: Stage<"reduce", "redact", typeof REDUCE_PARAMS> = {
  name: "reduce",
  version: 2,
  inputs: ["redact"],
  params: REDUCE_PARAMS,
  run: ({ redact }, params) => reduceSession(redact, params),
};

function reduceSession({ session, events: told }: RedactOutput, params: ReduceParams): ReduceOutput {
  const events = told.map(withoutUnknownPage);
  const isTold = tellsActions(session);
  const { drafts, unused } = isTold ? takeAsTold(events) : readActs(events, session, params);
  const place = new Map(events.map((event, index) => [event, index]));
  const placeOf = (event: SessionEvent): number => place.get(event) ?? -1;
  const codes = new Map(unused.map(({ event, code }) => [event, code]));
  const screenshots = new Screenshots(events, placeOf, codes, isTold);
  const pages = pagesBefore(events);
  return {
    session,
    actions: drafts.map((draft) => finish(draft, placeOf, screenshots, pages, params)),
    unused: unused
      .toSorted((a, b) => placeOf(a.event) - placeOf(b.event))
      .map(({ event, code }) => ({ ref: event.ref, code })),
  };
}

/** From raw events to what was done. */
function readActs(
  events: readonly SessionEvent[],
  session: SessionFacts,
  params: ReduceParams,
): { drafts: Draft[]; unused: readonly Unused[] } {
  const { startUrl } = session;
  const { gestures, unused } = readGestures(events, params);
  const trail = walk(
    measureScrolls(nameNavigations(gestures)),
    unused,
    { startUrl, isCounted: countsClicks(session) },
    params,
  );
  inferNavigations(trail.drafts);
  const drafts = insertWaits(trail.drafts, events, params.waitMs);
  endWaits(drafts);
  return { drafts, unused: trail.unused };
}

function finish(
  draft: Draft,
  placeOf: (event: SessionEvent) => number,
  screenshots: Screenshots,
  pages: readonly (Page | undefined)[],
  { longPressMs }: ReduceParams,
): Action {
  const events = draft.events.toSorted((a, b) => placeOf(a) - placeOf(b));
  const ordered = { ...draft, events };
  return actionOf(ordered, {
    events: events.map((event) => event.ref),
    screenshot: screenshots.before(ordered),
    page: draft.kind === "navigate" ? pages[placeOf(events[0] ?? draft.lead)] : draft.lead.page,
    longPressMs,
  });
}

/** A page without an address can't be told from another. */
function withoutUnknownPage(event: SessionEvent): SessionEvent {
  if (event.page?.url !== "") return event;
  const { page: _, ...rest } = event;
  return rest;
}

/** For each event the page that was last told before it. */
function pagesBefore(events: readonly SessionEvent[]): (Page | undefined)[] {
  let page: Page | undefined;
  return events.map((event) => {
    const before = page;
    page = event.page ?? page;
    return before;
  });
}
