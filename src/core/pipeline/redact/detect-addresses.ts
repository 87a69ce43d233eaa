import type { Detector } from "./detector.ts";

/**
 * Postal addresses that are written out whole, from the street and its number to the postcode, as
 * shops show those they have on file. Less than that, in a text, is as often a shop's or a film's.
 */
export const detectAddresses: Detector = (text, found) => {
  if (!/\d{4}|[A-Z]\d/.test(text) || !KIND_OF_STREET.test(text)) return;
  for (const pattern of WRITTEN_OUT) {
    for (const { 0: match, index } of text.matchAll(pattern)) found("address", index, index + match.length);
  }
};

/** A word of a name, as streets and towns have them. */
const WORD = String.raw`\p{Lu}[\p{L}\p{M}'’.-]{0,24}`;
const WORDS = (most: number): string =>
  `${WORD}(?: (?:of|the|de|du|des|la|le|di|del|della|an|am|aan|den|der|y|${WORD})){0,${most - 1}}`;
const NUMBER = String.raw`\d{1,6}[A-Za-z]?(?:[-/]\d{1,4}[A-Za-z]?)?`;
/** Between the street and the town: a line's end, a comma, no more than a space. */
const BREAK = String.raw`(?:\s{0,3},\s{0,4}|\s{1,4})`;
const FLAT = String.raw`(?:,?\s{1,4}(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Fl|Box|#)\.?\s{0,2}#?[\w-]{1,8})?`;

const STREET_KIND =
  "Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Court|Ct|Boulevard|Blvd|Way|Place|Pl|Terrace|Ter|Circle|Cir|Square|Sq|Parkway|Pkwy|Highway|Hwy|Trail|Trl|Close|Crescent|Cres|Gardens|Grove|Mews|Row|Walk|Hill|Loop|Alley|Plaza|Crossing|Quay|Wharf";
const STREET = `${NUMBER} (?:[NSEW]{1,2}\\.? )?${WORDS(5)} (?:${STREET_KIND})\\.?(?: [NSEW]{1,2})?${FLAT}`;

const STREET_ENDING = String.raw`straße|strasse|str\.|weg|platz|gasse|allee|ring|damm|ufer|straat|gracht|laan|plein|kade|gatan|vägen|vej|gade`;
const STREET_BEGINNING =
  "[Rr]ue|[Aa]venue|[Bb]oulevard|[Qq]uai|[Pp]lace|[Ii]mpasse|[Aa]llée|Via|Viale|Piazza|Corso|Calle|Avenida|Plaza|Paseo|Carrer|Rua|Praça";
/** One of them is in every address, and in few other texts. */
const KIND_OF_STREET = new RegExp(`(?:${STREET_KIND}|${STREET_BEGINNING})\\b|(?:${STREET_ENDING})\\s`, "u");

const STATE =
  "A[BKLRZ]|BC|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ABDEINOST]|N[BCDEHJLMSTVY]|O[HKNR]|P[AERQ]|QC|RI|S[CDK]|T[NX]|UT|V[AT]|W[AIVY]|YT|NSW|VIC|QLD|TAS|ACT";
const POSTCODE = String.raw`(?:\d{5}(?:-\d{4})?|[A-Z]\d[A-Z] ?\d[A-Z]\d|\d{4})`;
const UK_POSTCODE = String.raw`[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}`;

const whole = (pattern: string): RegExp => new RegExp(String.raw`(?<![\p{L}\p{N}])${pattern}(?![\p{L}\p{N}])`, "gu");

const WRITTEN_OUT: readonly RegExp[] = [
  // 1418 Alder Crest Ln, Tacoma WA 98402
  whole(`${STREET}${BREAK}${WORDS(4)},?\\s{1,3}(?:${STATE}),?\\s{1,3}${POSTCODE}`),
  // 12 Harbour Lane, Whitby YO21 3PU
  whole(`${STREET}${BREAK}(?:${WORDS(4)}${BREAK}){1,2}${UK_POSTCODE}`),
  // Lindenstraße 12, 10969 Berlin; Keizersgracht 123, 1015 CJ Amsterdam
  whole(
    String.raw`\p{Lu}[\p{L}-]{0,24}(?: \p{Lu}[\p{L}-]{0,24}){0,2}(?:${STREET_ENDING})\s${NUMBER}${BREAK}(?:[A-Z]{1,2}-)?\d{4,5}(?: [A-Z]{2})?\s${WORDS(3)}`,
  ),
  // 8 rue de la Paix, 75002 Paris; Via Roma 1, 00184 Roma; Calle Mayor 3, 28013 Madrid
  whole(
    String.raw`(?:${NUMBER}(?: bis| ter)?,? )?(?:${STREET_BEGINNING})(?: (?:de|du|des|la|le|les|l['’]|d['’]|di|del|della|dei|do|da|dos|y|e|${WORD})){1,6}(?:,? ${NUMBER})?${BREAK}\d{4,5}(?:-\d{3})?\s${WORDS(3)}`,
  ),
];
