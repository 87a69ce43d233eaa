import type { Action } from "../outputs.ts";
import { documentOf } from "../reduce/identity.ts";
import { tellsActions } from "../reduce/told.ts";
import { type Check, type Evidence, nothing, placeOf, shareLeft, shareOf, type Verdict } from "./check.ts";

/** Whether the recording follows from one moment to the next. */
export const CONSISTENCY: readonly Check[] = [
  { name: "times_in_order", dimension: "consistency", look: timesInOrder },
  { name: "no_long_gaps", dimension: "consistency", look: noLongGaps },
  { name: "sequence_unbroken", dimension: "consistency", look: sequenceUnbroken },
  { name: "navigations_explained", dimension: "consistency", look: navigationsExplained },
  { name: "little_mended", dimension: "consistency", look: littleMended },
];

function timesInOrder({ validate }: Evidence): Verdict {
  if (tellsActions(validate.session)) return nothing("times, only an order");
  return withoutCodes(validate, new Set(["TIME_REVERSED", "TIME_IMPOSSIBLE"]), "had a time that could be right");
}

function sequenceUnbroken({ validate }: Evidence): Verdict {
  return withoutCodes(validate, new Set(["ORDER_FROM_SEQUENCE"]), "came in the order in which they happened");
}

function withoutCodes({ events, findings }: Evidence["validate"], codes: ReadonlySet<string>, say: string): Verdict {
  const named = findings.flatMap(({ code, ref }) => (ref !== undefined && codes.has(code) ? [placeOf(ref)] : []));
  const bad = new Set(named);
  return shareOf(events, "events", ({ ref }) => !bad.has(placeOf(ref)), say);
}

function noLongGaps({ validate, params }: Evidence): Verdict {
  const { events, session } = validate;
  if (tellsActions(session)) return nothing("times, only an order");
  const isGap = (timeMs: number, index: number): boolean =>
    timeMs - (events[index - 1]?.timeMs ?? timeMs) > params.longGapMs;
  const gaps = events.filter(({ timeMs }, index) => isGap(timeMs, index)).length;
  const reason = `${gaps} times nothing happened for over ${params.longGapMs / 1000} s`;
  return { share: Math.max(0, 1 - gaps / params.maxLongGaps), reason };
}

/** Between two actions the page is another only where the first one led there. */
function navigationsExplained({ reduce: { actions } }: Evidence): Verdict {
  const changes = actions.flatMap((action, index) => {
    const next = actions[index + 1]?.page?.url;
    const here = action.page?.url;
    return here !== undefined && next !== undefined && here !== next ? [{ action, next }] : [];
  });
  const explained = ({ action, next }: (typeof changes)[number]): number => explains(action, next);
  return shareOf(changes, "changes of the page", explained, "are the effect of an action");
}

function explains({ kind, value, navigatedTo, inferred }: Action, next: string): number {
  const led = navigatedTo ?? (kind === "navigate" ? value : undefined);
  if (led === undefined) return 0;
  return documentOf(led) === documentOf(next) && !inferred?.includes("NAVIGATION_BY_PAGE") ? 1 : 0.5;
}

function littleMended({ validate: { events, findings }, params }: Evidence): Verdict {
  const named = findings.flatMap(({ action, ref }) => (action === "mended" && ref !== undefined ? [placeOf(ref)] : []));
  const mended = new Set(named);
  const count = events.filter(({ ref }) => mended.has(placeOf(ref))).length;
  const reason = `${count} of ${events.length} events had to be mended`;
  return { share: shareLeft(count, events.length, params.maxMended), reason };
}
