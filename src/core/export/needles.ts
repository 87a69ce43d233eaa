import type { RedactionKind } from "../pipeline/recorded.ts";
import type { FoundValue } from "../pipeline/redact.ts";

/**
 * Looks for known values in texts, whatever they were made to look like. Shares nothing with what
 * takes them out, so that a mistake there is seen here: texts and values are brought to one form by
 * undoing every way of writing, and compared.
 */
export class Needles {
  readonly #loose = new Map<string, RedactionKind>();
  readonly #whole = new Map<string, RedactionKind>();
  /** What is in the base64 or the hexadecimal form of anything that holds a value. */
  readonly #packed = new Map<string, RedactionKind>();
  /** Examples of one session repeat their texts. */
  readonly #clean = new Set<string>();

  constructor(values: readonly FoundValue[]) {
    for (const { kind, value } of values) {
      const plain = plainOf(value);
      const bare = bareOf(plain);
      if (bare === "") continue;
      if (!isTelling(kind, bare)) this.#whole.set(plain, kind);
      else {
        this.#loose.set(bare, kind);
        for (const form of packedForms(value)) this.#packed.set(form, kind);
      }
    }
  }

  /** Whether the text was looked at before, and nothing was in it. */
  isKnownClean(text: string): boolean {
    return this.#clean.has(text);
  }

  noteClean(text: string): void {
    this.#clean.add(text);
  }

  /** The kind of a value that is in the text. */
  find(text: string): RedactionKind | undefined {
    const plain = plainOf(text);
    const whole = this.#whole.get(plain);
    if (whole !== undefined) return whole;
    if (this.#loose.size === 0) return undefined;
    const bare = bareOf(plain);
    for (const [value, kind] of this.#loose) if (bare.includes(value)) return kind;
    return this.#findPacked(text);
  }

  #findPacked(text: string): RedactionKind | undefined {
    if (!/[\w+/-]{11}/.test(text)) return undefined;
    const base64 = text.replaceAll("-", "+").replaceAll("_", "/");
    const hex = text.toLowerCase();
    for (const [form, kind] of this.#packed) if (base64.includes(form) || hex.includes(form)) return kind;
    return undefined;
  }
}

/** In base64 three bytes are four characters, so there are three, by where it begins; without those its neighbours have a part in. */
function packedForms(value: string): string[] {
  const bytes = Buffer.from(value);
  const base64 = [0, 1, 2].map((shift) => {
    const whole = Buffer.concat([Buffer.alloc(shift), bytes]).toString("base64");
    return whole.slice(Math.ceil((shift * 4) / 3), Math.floor(((shift + bytes.length) * 4) / 3));
  });
  return [...base64, bytes.toString("hex")].filter((form) => form.length >= MIN_PACKED);
}

/** Fewer characters are there by chance. */
const MIN_PACKED = 10;

/**
 * Whether it can be told from other text wherever it stands, letters and digits without what is
 * between them. Names and places are words: only long ones are. Numbers of seven digits are seldom
 * anything else.
 */
function isTelling(kind: RedactionKind, bare: string): boolean {
  if (/^\d+$/.test(bare)) return bare.length >= 7;
  if (kind === "person" || kind === "address") return bare.length >= 12;
  return bare.length >= 8;
}

/** Lower case, one form of each letter, and no escape left: of URLs, HTML, JSON and CSS, twice over. */
function plainOf(text: string): string {
  let plain = text.replaceAll(PLACEHOLDER, "\uE000");
  for (let layer = 0; layer < 2; layer++) {
    plain = plain
      .replaceAll(/(?:%[0-9a-f]{2})+/gi, decodePercent)
      .replaceAll(/&#x([0-9a-f]{1,6});/gi, (_, hex: string) => character(Number.parseInt(hex, 16)))
      .replaceAll(/&#(\d{1,7});/g, (_, number: string) => character(Number(number)))
      .replaceAll(
        /&(amp|lt|gt|quot|apos|commat|period|nbsp);/gi,
        (_, name: string) => ENTITIES[name.toLowerCase()] ?? "",
      )
      .replaceAll(/\\u\{?([0-9a-f]{4,6})\}?/gi, (_, hex: string) => character(Number.parseInt(hex, 16)))
      .replaceAll(/\\x([0-9a-f]{2})/gi, (_, hex: string) => character(Number.parseInt(hex, 16)))
      .replaceAll(PLACEHOLDER, "\uE000");
  }
  return plain
    .normalize("NFKD")
    .replaceAll(/\p{M}|\p{Cf}/gu, "")
    .toLowerCase()
    .replaceAll("ß", "ss")
    .trim();
}

/** Without tags and whatever else is neither letter nor digit; what stood in place of a value keeps its sides apart. */
function bareOf(plain: string): string {
  return plain.replaceAll(/<[^<>]{0,200}>/g, "").replaceAll(/[^\p{L}\p{N}\uE000]+/gu, "");
}

const PLACEHOLDER = /<[A-Z]+(?:_[A-Z]+)*_\d+>/g;

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  commat: "@",
  period: ".",
  nbsp: " ",
};

function decodePercent(escaped: string): string {
  try {
    return decodeURIComponent(escaped);
  } catch {
    return escaped;
  }
}

function character(code: number): string {
  return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000) ? String.fromCodePoint(code) : "";
}
