/**
 * A text reduced to what its spellings have in common: letters and digits, without case, accents
 * and width. `+1 (555) 010-4477`, `1.555.010.4477` and `１５５５０１０４４７７` are the same.
 */
export interface Squeezed {
  readonly text: string;
  /** Where each character comes from. */
  readonly origins: Uint32Array;
}

export function squeezeWithOrigins(text: string): Squeezed {
  const origins = new Uint32Array(text.length * MAX_EXPANSION);
  const codes = new Uint16Array(text.length * MAX_EXPANSION);
  let size = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 128) {
      const folded = ASCII[code] ?? 0;
      if (folded === 0) continue;
      codes[size] = folded;
      origins[size++] = at;
      continue;
    }
    const character = String.fromCodePoint(text.codePointAt(at) ?? code);
    const folded = foldWide(character);
    for (let unit = 0; unit < folded.length; unit++) {
      codes[size] = folded.charCodeAt(unit);
      origins[size++] = at;
    }
    at += character.length - 1;
  }
  return { text: decoder.decode(codes.subarray(0, size)), origins: origins.subarray(0, size) };
}

export function squeeze(text: string): string {
  let squeezed = "";
  for (const character of text) {
    const code = character.charCodeAt(0);
    if (code >= 128) squeezed += foldWide(character);
    else if (ASCII[code]) squeezed += String.fromCharCode(ASCII[code]);
  }
  return squeezed;
}

/** Whether it is a letter or a digit. */
export function isWordUnit(code: number): boolean {
  if (code < 128) return (ASCII[code] ?? 0) !== 0;
  // Halves of pairs are mostly pictures; letters beyond the basic plane are rare enough to be bounds.
  if (code >= 0xd800 && code <= 0xdfff) return false;
  return foldWide(String.fromCharCode(code)) !== "";
}

const decoder = new TextDecoder("utf-16le");

/** Letters and digits of one UTF-16 unit, folded; "ﷺ" alone becomes more, and is cut. */
const MAX_EXPANSION = 4;

/** Lower-case letters and digits as they are, capitals lowered, all else 0. */
const ASCII = Uint16Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code).toLowerCase();
  return /[a-z0-9]/.test(character) ? character.charCodeAt(0) : 0;
});

/** Texts repeat their few characters beyond ASCII. */
const wide = new Map<string, string>();
const MAX_WIDE = 65_536;

function foldWide(character: string): string {
  const known = wide.get(character);
  if (known !== undefined) return known;
  const folded = character
    .normalize("NFKD")
    .replaceAll(/[^\p{L}\p{N}]/gu, "")
    .toLowerCase()
    .replaceAll("ß", "ss")
    .slice(0, MAX_EXPANSION * character.length);
  if (wide.size < MAX_WIDE) wide.set(character, folded);
  return folded;
}
