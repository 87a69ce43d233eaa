import type { SessionEvent } from "../recorded.ts";
import { type Draft, draftOf } from "./draft.ts";
import type { Gesture } from "./gesture.ts";
import { documentOf } from "./identity.ts";
import { attributeOf } from "./keys.ts";
import type { ReduceParams } from "./params.ts";
import type { Trail } from "./trail.ts";

/** What can make a page go elsewhere. */
const LEADS_ELSEWHERE: ReadonlySet<string> = new Set([
  "click",
  "double_click",
  "triple_click",
  "select",
  "key",
  "hotkey",
  "drag",
  "navigate",
]);

/** What can make a page rewrite its own address. */
const REWRITES_ADDRESS: ReadonlySet<string> = new Set(["type", "scroll"]);

/**
 * A navigation: the effect of what was just done, the page the session began on, or an address
 * that was typed. `startUrl` is empty when it is not known.
 */
export function takeNavigation(trail: Trail, gesture: Gesture, params: ReduceParams, startUrl: string): void {
  const { event } = gesture;
  const url = event.page?.url;
  const before = trail.navigation;
  const cause = causeOf(trail, event, params);
  if (cause === undefined || LEADS_ELSEWHERE.has(cause.kind)) trail.navigation = event;
  if (cause !== undefined) {
    trail.join(cause, gesture, "page");
    cause.navigatedTo = url ?? cause.navigatedTo;
    cause.navigatedMs = event.timeMs;
  } else if (trail.drafts.length === 0 && isStart(event, before, startUrl, params)) {
    trail.drop(gesture, "START_PAGE");
  } else if (url === undefined) {
    trail.drop(gesture, "NAVIGATION_UNKNOWN");
  } else {
    trail.begin(gesture);
  }
}

/** Nobody has done anything yet: it is where the session starts, or where that sends the browser on to. */
function isStart(event: SessionEvent, before: SessionEvent | undefined, startUrl: string, params: ReduceParams) {
  if (before !== undefined && event.timeMs - before.timeMs <= params.navigationMs) return true;
  return startUrl !== "" && event.page !== undefined && bare(event.page.url) === bare(startUrl);
}

const bare = (url: string): string => url.replace(/#.*$/s, "").replace(/\/$/, "");

/** The action that the navigation is an effect of. Scrolling and resting go on while a page loads. */
function causeOf(trail: Trail, event: SessionEvent, params: ReduceParams): Draft | undefined {
  for (const draft of trail.drafts.slice(-LOOK_BACK).toReversed()) {
    if (isCause(draft, event, params)) return draft;
    if (draft.kind !== "scroll" && draft.kind !== "hover") return undefined;
  }
  return undefined;
}

const LOOK_BACK = 4;

function isCause(draft: Draft, event: SessionEvent, params: ReduceParams): boolean {
  const { startMs, actedMs, navigatedMs } = draft;
  // While a button is still held, it is the press that may have led there.
  const after = event.timeMs - (event.timeMs < actedMs ? startMs : Math.max(actedMs, navigatedMs));
  if (after > params.slowNavigationMs || !leadsElsewhere(draft, event)) return false;
  if (after <= params.navigationMs) return true;
  // What takes long is the answer; redirects after it are quick.
  if (draft.navigatedTo !== undefined || !LEADS_ELSEWHERE.has(draft.kind)) return false;
  return draft.submits || leadsTo(draft.lead, event);
}

/**
 * Whether an action of its kind can have made the browser show the event's page. Searching while
 * one types, and lists that go on while one scrolls, rewrite the address of the same page.
 */
export function leadsElsewhere({ kind, lead }: Draft, event: SessionEvent): boolean {
  return LEADS_ELSEWHERE.has(kind) || (REWRITES_ADDRESS.has(kind) && staysInDocument(lead, event));
}

function staysInDocument({ page }: SessionEvent, event: SessionEvent): boolean {
  if (page === undefined || event.page === undefined) return false;
  return documentOf(page.url) === documentOf(event.page.url);
}

/** Whether the clicked link's address is where the navigation went. */
function leadsTo({ target, page }: SessionEvent, event: SessionEvent): boolean {
  const href = attributeOf(target, "href");
  if (href === undefined || page === undefined || event.page === undefined) return false;
  const address = URL.parse(href, page.url);
  return address !== null && bare(address.href) === bare(event.page.url);
}

/** Whether the last draft is a navigation for which this click, on the page that it left, is the reason. */
export function isCauseToldLate(last: Draft, { page, timeMs }: SessionEvent, params: ReduceParams): boolean {
  if (last.kind !== "navigate" || last.lead.type !== "navigation") return false;
  return page !== undefined && page.url !== last.value && timeMs - last.startMs <= params.lateCauseMs;
}

export function takeOverNavigation(trail: Trail, navigation: Draft, gesture: Gesture): void {
  const draft = draftOf(gesture);
  trail.drafts.push(draft);
  trail.absorbBeforeLast();
  draft.navigatedTo = navigation.navigatedTo ?? navigation.value;
  draft.navigatedMs = navigation.startMs;
}

/** A form is submitted: the effect of what was just done; by Enter, if nothing else was seen to do it. */
export function takeSubmit(trail: Trail, gesture: Gesture, params: ReduceParams): void {
  const { last } = trail;
  const soon = last !== undefined && gesture.event.timeMs - last.actedMs <= params.effectMs;
  if (!soon || !LEADS_ELSEWHERE.has(last.kind) || last.kind === "navigate") {
    trail.begin(gesture);
    return;
  }
  trail.join(last, gesture, "page");
  last.submits = true;
}
