import type { Page } from "../recorded.ts";
import type { Draft } from "./draft.ts";
import type { Gesture } from "./gesture.ts";
import { leadsElsewhere } from "./navigating.ts";

/** Navigations that don't say where they led: to the page of the next event, if there is one that says. */
export function nameNavigations(gestures: readonly Gesture[]): Gesture[] {
  const named: Gesture[] = [];
  let page: Page | undefined;
  for (const gesture of gestures.toReversed()) {
    const { event } = gesture;
    if (event.type === "navigation" && event.page === undefined && page !== undefined) {
      named.push({ ...gesture, event: { ...event, page }, inferred: ["URL_OF_NEXT_PAGE"] });
    } else {
      named.push(gesture);
    }
    page = event.page ?? page;
  }
  return named.toReversed();
}

/** Pages that were reached without a navigation being told: by the action before, if it can have led there. */
export function inferNavigations(drafts: readonly Draft[]): void {
  for (const [index, draft] of drafts.entries()) {
    const here = draft.lead.page?.url;
    const there = drafts[index + 1]?.lead;
    if (draft.kind === "navigate" || draft.navigatedTo !== undefined || there?.type === "navigation") continue;
    if (here === undefined || there?.page === undefined || there.page.url === here) continue;
    if (!leadsElsewhere(draft, there)) continue;
    draft.navigatedTo = there.page.url;
    draft.inferred.add("NAVIGATION_BY_PAGE");
  }
}
