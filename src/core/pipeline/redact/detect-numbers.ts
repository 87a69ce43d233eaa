import {
  IBAN_LENGTHS,
  isAhv,
  isBelgianNumber,
  isBsn,
  isCodiceFiscale,
  isCpf,
  isDniOrNie,
  isIban,
  isNir,
  isPesel,
  isSteuerId,
  passesLuhn,
} from "./checksums.ts";
import { type Detector, digitsOf } from "./detector.ts";

/** Payment cards: 14 to 19 digits of a scheme's range, in groups or not, that pass Luhn's test. */
export const detectCards: Detector = (text, found) => {
  let last = 0;
  for (const { index } of text.matchAll(CARD_BEGINS)) {
    if (index < last) continue;
    for (const end of groupEnds(text, index, /\d/)) {
      const digits = digitsOf(text.slice(index, end));
      if (digits.length < 14 || digits.length > 19 || !passesLuhn(digits) || /^(\d)\1+$/.test(digits)) continue;
      found("card", index, end);
      last = end;
      break;
    }
  }
};

/** ISO/IEC 7812 ranges: Visa, Mastercard, American Express, Discover and UnionPay, Diners, JCB, Maestro. */
const CARD_BEGINS = /(?<![\w.]|\d[,-])(?:4\d|5[0-8]|2[2-7]|3[04-9]|6\d)(?=[ .\-–\u00a0]?\d)/g;

/** IBANs of the registry's countries and lengths, in groups or not, that pass the test by 97. */
export const detectIbans: Detector = (text, found) => {
  let last = 0;
  for (const { 0: match, index } of text.matchAll(IBAN_BEGINS)) {
    const length = IBAN_LENGTHS.get(match.slice(0, 2).toUpperCase());
    if (length === undefined || index < last) continue;
    // The words behind it look like groups of four too.
    for (const end of groupEnds(text, index, /[a-z0-9]/i)) {
      const compact = text
        .slice(index, end)
        .replaceAll(/[^a-z0-9]/gi, "")
        .toUpperCase();
      if (compact.length !== length || !isIban(compact)) continue;
      found("iban", index, end);
      last = end;
      break;
    }
  }
};

const IBAN_BEGINS = /(?<![a-z0-9])[a-z]{2}\d{2}(?=[ \-\u00a0]?[a-z0-9])/gi;

/** Where groups of `unit` characters with one separator between them end, beginning at `start`. */
function groupEnds(text: string, start: number, unit: RegExp): number[] {
  const ends: number[] = [];
  let at = start;
  for (let units = 0; units <= MAX_UNITS; units++, at++) {
    if (!unit.test(text[at] ?? "")) {
      ends.push(at);
      if (!/[ .\-–\u00a0]/.test(text[at] ?? "") || !unit.test(text[at + 1] ?? "")) break;
      at++;
    }
  }
  return ends;
}

/** An IBAN has at most 34. */
const MAX_UNITS = 34;

/** Ids that states give people. Those without a shape of their own count beside their name alone. */
export const detectNationalIds: Detector = (text, found) => {
  if (!/\d{2}/.test(text)) return;
  for (const { pattern, valid, context } of IDS) {
    for (const { 0: match, index } of text.matchAll(pattern)) {
      if (!valid(match.replaceAll(/[^A-Za-z0-9]/g, "").toUpperCase())) continue;
      const before = text.slice(Math.max(0, index - 60), index);
      if (context === undefined || context.test(before)) found("national_id", index, index + match.length);
    }
  }
  for (const match of text.matchAll(NAMED_ID)) {
    const id = match[1] ?? "";
    const end = match.index + match[0].length;
    if (digitsOf(id).length >= 4) found("national_id", end - id.length, end);
  }
};

interface IdShape {
  readonly pattern: RegExp;
  readonly valid: (compact: string) => boolean;
  /** What stands somewhere before it. */
  readonly context?: RegExp;
}

const edged = (pattern: string): RegExp => new RegExp(`(?<![\\w.-])${pattern}(?![\\w]|[-.]\\d)`, "gi");

const IDS: readonly IdShape[] = [
  // United States: a social security number, or a taxpayer's that begins with 9.
  {
    pattern: edged(String.raw`\d{3}([- ])\d{2}\1\d{4}`),
    valid: (id) => /^(?!000|666)\d{3}(?!00)\d{2}(?!0000)/.test(id),
  },
  {
    pattern: edged(String.raw`\d{9}`),
    valid: (id) => /^(?!000|666)\d{3}(?!00)\d{2}(?!0000)/.test(id),
    context: /\b(?:ssn|social security)\b/i,
  },
  // Spain
  { pattern: edged(String.raw`(?:\d{8}|[xyz][- ]?\d{7})[- ]?[a-z]`), valid: isDniOrNie },
  // Italy
  { pattern: edged("[a-z]{6}[0-9a-z]{2}[a-z][0-9a-z]{2}[a-z][0-9a-z]{3}[a-z]"), valid: isCodiceFiscale },
  // United Kingdom: prefixes that are given out.
  {
    pattern: edged(String.raw`[a-z]{2} ?\d{2} ?\d{2} ?\d{2} ?[a-d]`),
    valid: (id) => /^(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]/.test(id),
  },
  // France
  { pattern: edged(String.raw`[1-478] ?\d{2} ?\d{2} ?\d[0-9ab] ?\d{3} ?\d{3} ?\d{2}`), valid: isNir },
  // Brazil
  { pattern: edged(String.raw`\d{3}\.\d{3}\.\d{3}-\d{2}`), valid: isCpf },
  // Switzerland
  { pattern: edged(String.raw`756[. ]?\d{4}[. ]?\d{4}[. ]?\d{2}`), valid: isAhv },
  // Belgium
  { pattern: edged(String.raw`\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}`), valid: isBelgianNumber },
  // Sweden
  { pattern: edged(String.raw`\d{6}[-+]\d{4}`), valid: passesLuhn },
  {
    pattern: edged(String.raw`\d{2} ?\d{3} ?\d{3} ?\d{3}`),
    valid: isSteuerId,
    context: /steuer|\b(?:tin|idnr|tax)\b/i,
  },
  { pattern: edged(String.raw`\d{4}[ .]?\d{2}[ .]?\d{3}`), valid: isBsn, context: /\b(?:bsn|burgerservice|sofi)/i },
  { pattern: edged(String.raw`\d{11}`), valid: isPesel, context: /\bpesel\b/i },
  {
    pattern: edged(String.raw`\d{3}[- ]?\d{3}[- ]?\d{3}`),
    valid: passesLuhn,
    context: /\b(?:sin|social insurance)\b/i,
  },
];

/** `passport no. XG9382049`, `driver's license: D245-938-19`. */
const NAMED_ID =
  /\b(?:passports?|driv(?:er|ing)(?:['’]?s)? licen[cs]es?|licen[cs]e(?= number| no)|dl|ssn|tax(?:payer)? id|tin|atin|itin|national (?:id|insurance)|aadha?ar|pan(?= card| number)|voter id|personalausweis|identity card)(?:[ -](?:card|number|no\.?|nr\.?|id|code))*(?:,? (?:is|was|of))?[ :#='"(]{1,4}([a-z]{0,3}[0-9][a-z0-9-]{3,20}|[a-z]{1,8}-?[0-9][a-z0-9-]{3,20})(?![\w])/gi;
