import { isIPv4, isIPv6 } from "node:net";
import { type Detector, digitsOf } from "./detector.ts";

/** From each @ outwards: a local part of RFC 5321's length, a domain with a dot in it. */
export const detectEmails: Detector = (text, found) => {
  for (let at = text.indexOf("@"); at !== -1; at = text.indexOf("@", at + 1)) {
    const before = LOCAL.exec(text.slice(Math.max(0, at - 64), at))?.[0] ?? "";
    const domain = (DOMAIN.exec(text.slice(at + 1, at + 256))?.[0] ?? "").replace(NEXT_SENTENCE, "");
    if (before !== "" && domain !== "") found("email", at - before.length, at + 1 + domain.length);
  }
};

const LOCAL = /[\p{L}\p{N}_](?:[\p{L}\p{N}\p{M}._+'-]*[\p{L}\p{N}\p{M}_+-])?$/u;
const DOMAIN =
  /^[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,62})(?:\.[\p{L}\p{N}][\p{L}\p{N}-]{0,62}){0,8}\.\p{L}[\p{L}\p{N}-]{1,62}/u;

/** `jane@example.com.Thanks` */
const NEXT_SENTENCE = /(?<=^[^A-Z]+\.[^A-Z.]+)\.[A-Z][a-z]+$/;

/** Addresses that name a machine or a network; those that mean "this one" or "any" name nobody. */
export const detectIps: Detector = (text, found) => {
  for (const { 0: match, index } of text.matchAll(IPV4)) {
    if (isIPv4(match) && !/^(?:0|127|255)\./.test(match)) found("ip", index, index + match.length);
  }
  if (!text.includes(":")) return;
  for (const { 0: match, index } of text.matchAll(IPV6)) {
    const address = match.replace(/[:.]$/, (end) => (match.endsWith("::") ? end : ""));
    if (isIPv6(address) && namesSomething(address)) found("ip", index, index + address.length);
  }
};

/** Not a version: `Chrome/138.0.0.0`, `v1.2.3.4`, `1.2.3.4.5`. */
const IPV4 = /(?<![\w.]|[A-Za-z]\/|\bversion )\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w]|\.\d)/gi;
const IPV6 = /(?<![\w:.])[0-9a-f]{0,4}:[0-9a-f:]{1,40}(?:\.?\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})?(?![\w:]|\.\d)/gi;

/** `::1` and `a::b`, as in code, do not. */
function namesSomething(address: string): boolean {
  return address.replaceAll(/[:.]/g, "").length >= 5 && /\d/.test(address);
}

/**
 * Telephone numbers as people and forms write them. Digits alone are one only beside a word that
 * says so: most are order numbers, sizes and prices.
 */
export const detectPhones: Detector = (text, found) => {
  if (!/\d{2}/.test(text)) return;
  for (const shape of SHAPES) {
    for (const match of text.matchAll(shape.pattern)) {
      const start = match.index;
      const end = start + match[0].length;
      const count = digitsOf(match[0].replace(EXTENSION_AT_END, "")).length;
      if (count < shape.least || count > 15 || isOther(match[0])) continue;
      if (shape.inContext && !hasContext(text, start, end)) continue;
      found("phone", start, end);
    }
  }
};

const BEFORE = String.raw`(?<![\w@%$€£#]|\d[.,:/=-]|[a-z][_-])`;
const AFTER = String.raw`(?![\w%@]|[.,:/-]\d)`;
const EXTENSION = String.raw`(?: ?(?:x|ext\.?|#) ?\d{1,6})?`;
const EXTENSION_AT_END = /(?:x|ext\.?|#) ?\d{1,6}$/i;
const GAP = String.raw`[ .\-–\u00a0]`;

interface Shape {
  readonly pattern: RegExp;
  /** Digits it has at least. */
  readonly least: number;
  readonly inContext: boolean;
}

const SHAPES: readonly Shape[] = [
  // +44 20 7946 0018, +49 (0)30 901820, 001-748-088-2851x818
  shape(String.raw`(?:\+|00)[1-9]\d{0,2}${GAP}?(?:\(\d{1,5}\)${GAP}?)?\d{1,12}(?:${GAP}{1,2}\d{1,8}){0,6}`, 8),
  // (555) 010-4477, 555.010.4477, 1-800-555-0199
  shape(String.raw`(?:1${GAP})?(?:\(\d{3}\) ?|\d{3}${GAP})\d{3}${GAP}\d{4}`, 10),
  // (88) 684-334, (011) 4706-6184
  shape(String.raw`\(0?\d{1,4}\) ?\d{2,8}(?:[ -]\d{2,5}){0,3}`, 8),
  // 020 7946 0018, 06-24312407, 030/901820, 02.27.96.63.08
  shape(String.raw`0\d{1,4}[ .\-/]\d{2,8}(?:[ .-]\d{2,5}){0,4}`, 9),
  // 25-62-29-72
  shape(String.raw`\d{2}-\d{2}-\d{2}-\d{2}`, 8),
  // 785 8949, 2813882583
  shape(String.raw`\(?\d{1,5}\)?(?:[ .\-–/]{0,2}\d{1,5}){1,5}`, 6, true),
];

function shape(pattern: string, least: number, inContext = false): Shape {
  return { pattern: new RegExp(BEFORE + pattern + EXTENSION + AFTER, "gi"), least, inContext };
}

/** A date, an American social security number, an IP address. */
function isOther(text: string): boolean {
  return /^(?:\d{4}([-. ])\d{1,2}\1\d{1,2}|\d{1,2}([-. /])\d{1,2}\2\d{4}|\d{3}-\d{2}-\d{4}|\d+\.\d+\.\d+\.\d+)$/.test(
    text,
  );
}

function hasContext(text: string, start: number, end: number): boolean {
  return (
    CONTEXT_BEFORE.test(text.slice(Math.max(0, start - 40), start)) || CONTEXT_AFTER.test(text.slice(end, end + 12))
  );
}

const PHONE_WORD =
  "(?:tele)?phones?|tel|telefono?|teléfono|téléphone|telefoon|telefone|mobile|cell|celular|móvil|handy|fax|call(?:ed|ing)?|dial|ring|reach|answering|answers?|text|sms|whatsapp|hotline|landline|contact";
/** Words between it and the number: `call me at`, `phone number is`. */
const FILLER =
  "me|us|him|her|them|you|at|on|is|to|number|no|nr|the|my|your|our|this|via|under|by|please|office|work|home";
const CONTEXT_BEFORE = new RegExp(
  String.raw`(?<!\w)(?:${PHONE_WORD})(?!\w)(?:[^\w\n]{1,3}(?:${FILLER})(?!\w)){0,4}[^\w\n]{0,4}$`,
  "iu",
);
const CONTEXT_AFTER = /^[ -]{0,2}\(?(?:office|fax|mobile|cell|home|phone|tel)\b/i;
