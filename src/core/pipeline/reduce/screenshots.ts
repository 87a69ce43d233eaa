import type { Screenshot, SessionEvent } from "../recorded.ts";
import type { Draft } from "./draft.ts";

/** Events that change nothing that can be seen: a screenshot from before one of these shows what is there after it. */
const HARMLESS: ReadonlySet<string> = new Set([
  "DUPLICATE_EVENT",
  "FOCUS_NOISE",
  "HOVER_NO_EFFECT",
  "KEY_UNKNOWN",
  "MODIFIER_ALONE",
  "NOT_AN_ACT",
  "POINTER_MOVE",
  "SCROLL_NO_MOVE",
  "UNMATCHED_RELEASE",
  "VALUE_UNCHANGED",
]);

/** Finds for an action what could be seen just before it. */
export class Screenshots {
  readonly #events: readonly SessionEvent[];
  readonly #placeOf: (event: SessionEvent) => number;
  readonly #unused: ReadonlyMap<SessionEvent, string>;
  /** Of each event the last screenshot before it, where one stands for all that follows. */
  readonly #shared: readonly (Screenshot | undefined)[] | undefined;

  /**
   * `unused` has the code of every event that is in no action. `isShared`: a screenshot stands for
   * all that follows until the next one, as where several actions are told as one step.
   */
  constructor(
    events: readonly SessionEvent[],
    placeOf: (event: SessionEvent) => number,
    unused: ReadonlyMap<SessionEvent, string>,
    isShared: boolean,
  ) {
    this.#events = events;
    this.#placeOf = placeOf;
    this.#unused = unused;
    this.#shared = isShared ? lastBefore(events) : undefined;
  }

  /**
   * The one from before the action's own first event; else what an event right before it left, on
   * the same page. Never one that was taken later, or before something else was done: undefined then.
   */
  before({ kind, lead, events }: Draft): Screenshot | undefined {
    // A navigation in front of its cause is a cause told late.
    const first = events.find((event) => event.type !== "navigation") ?? events[0] ?? lead;
    const own = ofPhase(first, "before");
    if (own !== undefined && events.length > 0) return own;
    const at = this.#placeOf(first);
    if (this.#shared !== undefined) return this.#shared[at];
    let url = kind === "navigate" ? undefined : lead.page?.url;
    for (let index = at - 1; index >= 0; index -= 1) {
      const event = this.#events[index];
      if (event === undefined) return undefined;
      url ??= event.page?.url;
      if (event.page !== undefined && event.page.url !== url) return undefined;
      const left = ofPhase(event, "after") ?? ofPhase(event, "unknown");
      if (left !== undefined) return left;
      if (!HARMLESS.has(this.#unused.get(event) ?? "")) return undefined;
      const seen = ofPhase(event, "before");
      if (seen !== undefined) return seen;
    }
    return undefined;
  }
}

function lastBefore(events: readonly SessionEvent[]): (Screenshot | undefined)[] {
  let last: Screenshot | undefined;
  return events.map((event) => {
    const before = last;
    last = event.screenshots.at(-1) ?? last;
    return before;
  });
}

/** The last one taken then. */
function ofPhase({ screenshots }: SessionEvent, phase: Screenshot["phase"]): Screenshot | undefined {
  return screenshots.findLast((screenshot) => screenshot.phase === phase);
}
