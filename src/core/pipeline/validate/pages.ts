import type { Page, SessionEvent } from "../recorded.ts";
import type { AddFinding } from "./findings.ts";

/**
 * Gives events without a page, or without its address, that of the event before. Not navigations:
 * where they lead is what is not known, nor what follows one of those. `events` are one stream's.
 */
export function fillPages(events: readonly SessionEvent[], report: AddFinding): SessionEvent[] {
  let last: Page | undefined;
  return events.map((event) => {
    const { page, type } = event;
    if (page !== undefined && page.url !== "") {
      last = page;
      return event;
    }
    if (type === "navigation") last = undefined;
    if (last === undefined) {
      report(
        event.ref,
        page === undefined ? "PAGE_MISSING" : "PAGE_URL_ABSENT",
        page === undefined ? "page" : "page.url",
      );
      return event;
    }
    report(event.ref, "PAGE_FILLED", page === undefined ? "page" : "page.url");
    return { ...event, page: page === undefined ? last : { ...page, url: last.url } };
  });
}
