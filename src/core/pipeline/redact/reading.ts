import { isUtf8 } from "node:buffer";

/**
 * A text as a reader sees it, without the encodings it stands in, each character with where it is
 * in the source. Values are looked for in readings and replaced in the source.
 */
export interface Reading {
  readonly text: string;
  /** Where character `at` begins in the source. */
  start(at: number): number;
  /** Where character `at` ends in the source. */
  end(at: number): number;
}

/**
 * Every way to read a text: without percent-encoding and HTML entities, however deep; where there
 * are backslashes, also without JSON, JavaScript and CSS escapes, which otherwise are part of the
 * text, as in a Windows path; and, where there is any, with what base64 or hexadecimal spells. All
 * that is spelled so stands where the whole of it stands.
 */
export function readingsOf(source: string): readonly Reading[] {
  const plain = ENCODED.test(source) ? undressed(source) : asItIs(source);
  const others = [BACKSLASH, ...SPELLED].map((encoding) => decode(plain, encoding));
  return [plain, ...others.filter((other) => other !== plain)];
}

/** A text without its tags, which may stand inside a value; undefined when it has none. */
export function withoutTags(reading: Reading): Reading | undefined {
  const bare = decode(reading, TAG);
  return bare === reading ? undefined : bare;
}

const ENCODED = /%[0-9a-fA-F]{2}|&#?\w{1,31};/;

/** `jane%2540example.com` in a URL in a URL: each pass takes one layer off. */
const MAX_LAYERS = 5;

function undressed(source: string): Reading {
  let reading = asItIs(source);
  for (let layer = 0; layer < MAX_LAYERS && ENCODED.test(reading.text); layer++) {
    const next = decode(reading, PERCENT_OR_ENTITY);
    if (next.text.length === reading.text.length) break;
    reading = next;
  }
  return reading;
}

function asItIs(text: string): Reading {
  return { text, start: (at) => at, end: (at) => at + 1 };
}

interface Encoding {
  /** Global; finds what may be encoded. */
  readonly pattern: RegExp;
  /** What a match means; undefined when it means itself. */
  readonly decoded: (match: string) => string | undefined;
}

/** `from` itself when nothing in it is encoded. */
function decode(from: Reading, { pattern, decoded }: Encoding): Reading {
  const parts: string[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  const copy = (until: number): void => {
    for (let at = copied; at < until; at++) {
      starts.push(from.start(at));
      ends.push(from.end(at));
    }
    parts.push(from.text.slice(copied, until));
  };
  let copied = 0;
  for (const match of from.text.matchAll(pattern)) {
    const text = decoded(match[0]);
    if (text === undefined) continue;
    copy(match.index);
    copied = match.index + match[0].length;
    for (let unit = 0; unit < text.length; unit++) {
      starts.push(from.start(match.index));
      ends.push(from.end(copied - 1));
    }
    parts.push(text);
  }
  if (parts.length === 0) return from;
  copy(from.text.length);
  return { text: parts.join(""), start: (at) => starts[at] ?? 0, end: (at) => ends[at] ?? 0 };
}

/** A character of UTF-8 as one match, so that a value's edge never lies inside one. */
const PERCENT_OR_ENTITY: Encoding = {
  pattern:
    /%[0-7][0-9a-f]|%[cd][0-9a-f]%[89ab][0-9a-f]|%e[0-9a-f](?:%[89ab][0-9a-f]){2}|%f[0-7](?:%[89ab][0-9a-f]){3}|&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,8});/gi,
  decoded: (match) => (match.startsWith("%") ? percentDecoded(match) : entity(match.slice(1, -1).toLowerCase())),
};

function percentDecoded(match: string): string | undefined {
  const bytes = Buffer.from(match.replaceAll("%", ""), "hex");
  const text = bytes.toString("utf8");
  return text.includes("\uFFFD") ? undefined : text;
}

const NAMED_ENTITIES: ReadonlyMap<string, string> = new Map([
  ["amp", "&"],
  ["apos", "'"],
  ["colon", ":"],
  ["comma", ","],
  ["commat", "@"],
  ["equals", "="],
  ["gt", ">"],
  ["hyphen", "-"],
  ["lowbar", "_"],
  ["lpar", "("],
  ["lt", "<"],
  ["nbsp", " "],
  ["num", "#"],
  ["period", "."],
  ["plus", "+"],
  ["quot", '"'],
  ["rpar", ")"],
  ["semi", ";"],
  ["sol", "/"],
]);

function entity(name: string): string | undefined {
  if (!name.startsWith("#")) return NAMED_ENTITIES.get(name);
  return character(name.startsWith("#x") ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1)));
}

/** `\n`, `\u0040` and `\x40`; `\40 ` and `\@` as CSS writes what an identifier can't hold. */
const BACKSLASH: Encoding = {
  pattern: /\\(?:u\{[0-9a-f]{1,6}\}|u[0-9a-f]{4}|x[0-9a-f]{2}|[0-9a-f]{1,6}\s?|[^0-9a-f\s])/gi,
  decoded: (match) => {
    if (/^\\[nrt]$/i.test(match)) return " ";
    const hex = /^\\(?:[ux]\{?)?([0-9a-f]{1,6})\}?\s?$/i.exec(match)?.[1];
    return hex === undefined ? match.slice(1) : character(Number.parseInt(hex, 16));
  },
};

const TAG: Encoding = { pattern: /<\/?[a-z][^<>]{0,2000}>/gi, decoded: () => "" };

/** `/`, `-` and `_` are in some, and between others and what stands beside them. */
const SPELLED: readonly Encoding[] = [
  { pattern: /[\w+/-]{11,}={0,2}/g, decoded: (match) => textOf(match, "base64") },
  { pattern: /[\w+-]{11,}={0,2}/g, decoded: (match) => textOf(match, "base64") },
  { pattern: /[a-z\d]{11,}={0,2}/gi, decoded: (match) => textOf(match, "base64") },
  { pattern: /(?:[0-9a-f]{2}){8,}/gi, decoded: (match) => textOf(match, "hex") },
];

/** The text that bytes are, as against a picture, a number or another word. */
function textOf(match: string, encoding: "base64" | "hex"): string | undefined {
  if (!isText(Buffer.from(match.slice(0, 24), encoding).subarray(0, 6))) return undefined;
  const bytes = Buffer.from(match, encoding);
  return isUtf8(bytes) && isText(bytes) ? bytes.toString("utf8") : undefined;
}

function isText(bytes: Uint8Array): boolean {
  return bytes.every((byte) => (byte >= 0x20 && byte !== 0x7f) || (byte >= 0x09 && byte <= 0x0d));
}

function character(code: number): string | undefined {
  return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) ? String.fromCodePoint(code) : undefined;
}
