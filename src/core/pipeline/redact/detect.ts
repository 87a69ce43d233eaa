import type { RedactionKind } from "../recorded.ts";
import { detectAddresses } from "./detect-addresses.ts";
import { detectEmails, detectIps, detectPhones } from "./detect-contact.ts";
import { detectCards, detectIbans, detectNationalIds } from "./detect-numbers.ts";
import { detectPeople } from "./detect-people.ts";
import { detectSecrets } from "./detect-secrets.ts";
import { detectInUrls } from "./detect-urls.ts";
import type { Detector } from "./detector.ts";

/** A value that shows by itself what it is. */
export interface Found {
  readonly kind: RedactionKind;
  readonly start: number;
  readonly end: number;
}

/**
 * The values in a text that need no more than the text to be known, in order. One inside another is
 * left out: the digits of an IBAN are no telephone number.
 */
export function detect(text: string): readonly Found[] {
  const found: Found[] = [];
  for (const detector of DETECTORS) {
    detector(text, (kind, start, end) => found.push({ kind, start, end }));
  }
  return found.length < 2 ? found : outermost(found);
}

/** Of two that hold the same characters the first here is right. */
const DETECTORS: readonly Detector[] = [
  detectIbans,
  detectCards,
  detectNationalIds,
  detectEmails,
  detectIps,
  detectSecrets,
  detectPhones,
  detectInUrls,
  detectPeople,
  detectAddresses,
];

function outermost(found: readonly Found[]): readonly Found[] {
  const order = found.map((each, rank) => ({ each, rank }));
  order.sort((a, b) => a.each.start - b.each.start || b.each.end - a.each.end || a.rank - b.rank);
  const kept: Found[] = [];
  let reached = 0;
  for (const { each } of order) {
    if (each.end <= reached) continue;
    kept.push(each);
    reached = each.end;
  }
  return kept;
}
