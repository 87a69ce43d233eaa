import type { RedactionKind } from "../recorded.ts";
import { isCommonWord } from "./common-words.ts";
import { digitsOf } from "./detector.ts";
import { squeeze } from "./squeeze.ts";

/** How a value is found again in other texts of its session. */
export interface Spellings {
  /** Equal for the spellings of one value. */
  readonly key: string;
  /** Keys of what is called by a part of it. */
  readonly parts: readonly string[];
  /** Looked for in squeezed texts, whatever stands between its characters. */
  readonly squeezed: readonly string[];
  /** Looked for as they are, case and all. */
  readonly exact: readonly string[];
}

/**
 * A value that is short, or a word like any other, is looked for as it was written, or, when that is
 * too little to tell it by, only where it is all there is.
 */
export function spellingsOf(kind: RedactionKind, value: string): Spellings {
  const squeezed = squeeze(value);
  const own = ofItself(kind, value.trim(), squeezed);
  switch (kind) {
    case "phone":
      return withKey(phoneKey(squeezed), own, phoneForms(value));
    case "email":
      return withKey(squeezed, own, localPart(value));
    case "person":
      return withKey(squeezed, own, nameForms(value));
    case "address":
      return withKey(squeezed, own, addressLines(value));
    case "date_of_birth":
      return withKey(squeezed, own, dateForms(value));
    default:
      return withKey(squeezed === "" || kind === "ip" ? value.trim() : squeezed, own, NONE);
  }
}

interface Forms {
  readonly parts?: readonly string[];
  readonly squeezed: readonly string[];
  readonly exact: readonly string[];
}

const NONE: Forms = { squeezed: [], exact: [] };

function withKey(key: string, ...forms: readonly Forms[]): Spellings {
  return {
    key,
    parts: forms.flatMap((form) => form.parts ?? []),
    squeezed: forms.flatMap((form) => form.squeezed),
    exact: forms.flatMap((form) => form.exact),
  };
}

function ofItself(kind: RedactionKind, value: string, squeezed: string): Forms {
  // Without its dots 10.0.0.1 is a postcode.
  if (kind === "ip") return { squeezed: [], exact: cases(value) };
  const short = squeezed.length < (/^\d+$/.test(squeezed) ? MIN_DIGITS : MIN_LETTERS) || isCommonWord(value);
  const loosely = short ? [] : [squeezed];
  if (kind === "secret") return { squeezed: loosely, exact: value.length < MIN_SECRET ? [] : [value] };
  if (kind === "person" && short && /^\p{L}{2,}$/u.test(value))
    return { squeezed: [], exact: [value, value.toUpperCase()] };
  return { squeezed: loosely, exact: isCommonWord(value) && value.length >= MIN_LETTERS ? [value] : [] };
}

/** Fewer digits are prices, sizes and counts. */
const MIN_DIGITS = 5;
const MIN_LETTERS = 4;
/** The three digits of a security code are everywhere, the four of a PIN seldom. */
const MIN_SECRET = 4;

function cases(value: string): string[] {
  return [...new Set([value, value.toLowerCase(), value.toUpperCase()])];
}

/** What a number has whether or not the country's prefix and the trunk's 0 are written. */
function phoneKey(digits: string): string {
  return digits.length >= NATIONAL_DIGITS ? digits.slice(-NATIONAL_DIGITS) : digits;
}

const NATIONAL_DIGITS = 9;

function phoneForms(value: string): Forms {
  const digits = digitsOf(value.replace(/(?:x|ext\.?|#) ?\d{1,6}$/i, ""));
  return { squeezed: digits.length > NATIONAL_DIGITS ? [digits, digits.slice(-NATIONAL_DIGITS)] : [], exact: [] };
}

/** The first half of an address names its person too, where it is more than a word: `jane.doe`, not `orders`. */
function localPart(value: string): Forms {
  const local = value.slice(0, Math.max(0, value.lastIndexOf("@")));
  const squeezed = squeeze(local);
  const telling = squeezed.length >= 6 && /[\d._-]/.test(local) && !ROLES.test(local);
  return telling ? { squeezed: [squeezed], exact: [] } : NONE;
}

const ROLES =
  /^(?:customer\W?(?:service|care|support)|no\W?reply|do\W?not\W?reply|your\W?(?:name|email)|first\W?name.*|user\W?name)$/i;

/** Parts of four letters or more, as a name is written; first and last name the other way round. */
function nameForms(value: string): Forms {
  const parts = value.trim().split(/[\s,._-]+/u);
  if (parts.length < 2) return NONE;
  const telling = parts.filter((part) => /^[\p{L}\p{M}'’]{4,}$/u.test(part) && !isCommonWord(part));
  const [first = "", ...others] = parts;
  const turned = squeeze(others.join("") + first);
  return {
    parts: telling.map(squeeze),
    squeezed: turned.length >= MIN_LETTERS ? [turned] : [],
    exact: telling.flatMap((part) => {
      const capitalised = part.slice(0, 1).toUpperCase() + part.slice(1).toLowerCase();
      return [...new Set([part, capitalised, part.toUpperCase()])].filter((form) => !/^\p{Ll}/u.test(form));
    }),
  };
}

/** Its lines, and its postcode where that comes last. */
function addressLines(value: string): Forms {
  const lines = value.split(/[\n,;]+/).map(squeeze);
  const postcode = /\s(\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})$/.exec(value.trim())?.[1] ?? "";
  const whole = lines.length < 2 ? [] : lines.filter((line) => line.length >= 6);
  return { squeezed: postcode === "" ? whole : [...whole, squeeze(postcode)], exact: [] };
}

/** The ways a date is shown that was put in as numbers. */
function dateForms(value: string): Forms {
  const iso = /^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})$/.exec(value.trim());
  const turned = /^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})$/.exec(value.trim());
  const year = iso?.[1] ?? turned?.[3];
  if (year === undefined) return NONE;
  const pairs = iso
    ? [[iso[2], iso[3]]]
    : [
        [turned?.[1], turned?.[2]],
        [turned?.[2], turned?.[1]],
      ];
  return { squeezed: pairs.flatMap(([month, day]) => written(year, Number(month), Number(day))), exact: [] };
}

function written(year: string, month: number, day: number): string[] {
  const name = MONTHS[month - 1];
  if (name === undefined) return [];
  const [mm, dd] = [String(month).padStart(2, "0"), String(day).padStart(2, "0")];
  const numbers = [
    `${year}${mm}${dd}`,
    `${dd}${mm}${year}`,
    `${mm}${dd}${year}`,
    `${day}${month}${year}`,
    `${month}${day}${year}`,
  ];
  const names = [name, name.slice(0, 3)].flatMap((each) => [
    `${each}${day}${year}`,
    `${day}${each}${year}`,
    `${each}${dd}${year}`,
    `${dd}${each}${year}`,
  ]);
  return [...numbers, ...names];
}

const MONTHS = [
  "january",
  "february",
  "march",
  "april",
  "may",
  "june",
  "july",
  "august",
  "september",
  "october",
  "november",
  "december",
];
