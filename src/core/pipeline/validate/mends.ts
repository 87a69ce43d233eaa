import { BLOB_ID } from "../../session/event-check.ts";
import type { SessionEvent } from "../recorded.ts";
import { withoutEmpty } from "./absent.ts";
import type { Code, Report } from "./findings.ts";
import { GEOMETRY_MENDS } from "./mend-geometry.ts";
import { TEXT_MENDS } from "./mend-texts.ts";

/** One thing that can be wrong with an event taken alone, and what is done about it. */
export interface Mend {
  readonly code: Code;
  /** The event as it should be, or the same object. Calls `found` when there was something to find. */
  mend(event: SessionEvent, found: (path: string) => void, around: Around): SessionEvent;
}

/** What an event is judged by besides itself. */
export interface Around {
  readonly missingBlobs: ReadonlySet<string>;
}

/** Applies every mend, in order. What comes out gives no finding that something was mended again. */
export function mendEvent(event: SessionEvent, around: Around, report: Report): SessionEvent {
  let next = event;
  for (const { code, mend } of MENDS) next = mend(next, (path) => report(code, path), around);
  return next === event ? event : withoutEmpty(next);
}

const MENDS: readonly Mend[] = [
  ...TEXT_MENDS,
  ...GEOMETRY_MENDS,
  { code: "SCREENSHOT_MISSING", mend: dropMissing },
  { code: "SCREENSHOT_SIZE_ABSENT", mend: checkSizes },
  { code: "TIME_IN_SECONDS", mend: toMilliseconds },
];

function dropMissing(event: SessionEvent, found: (path: string) => void, { missingBlobs }: Around): SessionEvent {
  const screenshots = event.screenshots.filter(({ blob }) => BLOB_ID.test(blob) && !missingBlobs.has(blob));
  if (screenshots.length === event.screenshots.length) return event;
  found("screenshots");
  return { ...event, screenshots };
}

function checkSizes(event: SessionEvent, found: (path: string) => void): SessionEvent {
  if (event.screenshots.some(({ size }) => size === undefined)) found("screenshots.size");
  return event;
}

function toMilliseconds(event: SessionEvent, found: (path: string) => void): SessionEvent {
  if (event.timeMs < FIRST_SECOND || event.timeMs > LAST_SECOND) return event;
  found("time_ms");
  return { ...event, timeMs: event.timeMs * 1000 };
}

/**
 * Seconds from 1990 to 2286. Read as milliseconds these are all in the first four months of 1970,
 * where no recording is from; times that only tell the order begin at 1.
 */
const FIRST_SECOND = 631_152_000;
const LAST_SECOND = 9_999_999_999;
