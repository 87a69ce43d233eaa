import { OpenRedaction } from "@openredaction/core";
import redactPii from "redact-pii";
import type { RedactionKind } from "../../src/core/pipeline/recorded.ts";
import type { LabelledSpan } from "./pii-sets.ts";

/** What a redactor takes out of a text. A span of no kind counts for whatever it covers. */
export interface Redactor {
  readonly name: string;
  /** Of those it knows; of others it finds none. */
  readonly kinds: readonly RedactionKind[];
  find(text: string): Promise<readonly FoundSpan[]>;
}

type FoundSpan = Omit<LabelledSpan, "kind"> & { readonly kind: RedactionKind | undefined };

/** npm's redact-pii 3.4, all its rules on. It gives no places, so they are read from where its words stand. */
export function redactPiiPeer(): Redactor {
  const redactor = new redactPii.SyncRedactor();
  return {
    name: "redact_pii",
    kinds: ["email", "phone", "card", "ip", "national_id", "secret", "address", "person"],
    find: async (text) => replacements(text, redactor.redact(text)),
  };
}

/** Its `replaceWith` changes nothing in 3.4, so these are what it always writes. */
const REDACT_PII_WORDS: ReadonlyMap<string, RedactionKind | undefined> = new Map([
  ["CREDIT_CARD_NUMBER", "card"],
  ["STREET_ADDRESS", "address"],
  ["ZIPCODE", "address"],
  ["PHONE_NUMBER", "phone"],
  ["IP_ADDRESS", "ip"],
  ["US_SOCIAL_SECURITY_NUMBER", "national_id"],
  ["EMAIL_ADDRESS", "email"],
  ["USERNAME", undefined],
  ["PASSWORD", "secret"],
  ["CREDENTIALS", "secret"],
  ["PERSON_NAME", "person"],
  ["DIGITS", undefined],
  ["URL", undefined],
]);

/** Between two words stands what was left; what is not there in the original was taken out. */
function replacements(original: string, redacted: string): FoundSpan[] {
  const found: FoundSpan[] = [];
  let at = 0;
  let since: { readonly start: number; readonly kind: RedactionKind | undefined } | undefined;
  for (const part of redacted.split(new RegExp(`(${[...REDACT_PII_WORDS.keys()].join("|")})`))) {
    if (REDACT_PII_WORDS.has(part)) {
      since ??= { start: at, kind: REDACT_PII_WORDS.get(part) };
      continue;
    }
    if (part === "") continue;
    const next = original.indexOf(part, at);
    if (next === -1) continue;
    if (since !== undefined) found.push({ ...since, end: next });
    since = undefined;
    at = next + part.length;
  }
  if (since !== undefined) found.push({ ...since, end: original.length });
  return found;
}

/** npm's openredaction 1.1, as it comes. */
export function openRedactionPeer(): Redactor {
  const redactor = new OpenRedaction();
  return {
    name: "openredaction",
    kinds: ["email", "phone", "card", "iban", "ip", "national_id", "secret", "address", "person"],
    find: async (text) => {
      const { detections } = await redactor.detect(text);
      return detections.map(({ type, position: [start, end] }) => ({
        start,
        end,
        kind: OPEN_REDACTION_KINDS.find(([pattern]) => pattern.test(type))?.[1],
      }));
    },
  };
}

const OPEN_REDACTION_KINDS: readonly (readonly [RegExp, RedactionKind])[] = [
  [/EMAIL/, "email"],
  [/PHONE/, "phone"],
  [/CREDIT_CARD|DEBIT_CARD/, "card"],
  [/IBAN/, "iban"],
  [/^IP/, "ip"],
  [/SSN|PASSPORT|DRIV|NATIONAL|TAX|NINO|AADHAAR|VOTER/, "national_id"],
  [/KEY|TOKEN|JWT|SECRET|PASSWORD|BEARER|OAUTH|CREDENTIAL/, "secret"],
  [/ADDRESS|POSTCODE|ZIP|STREET/, "address"],
  [/NAME/, "person"],
];
