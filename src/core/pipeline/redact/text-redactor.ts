import type { RedactionKind } from "../recorded.ts";
import { detect } from "./detect.ts";
import { type Reading, readingsOf, withoutTags } from "./reading.ts";
import type { CompiledRules } from "./rules.ts";
import type { PersonalValue, Span, Vault } from "./vault.ts";

/** A text without its values, and the values it held, once for each place they stood at. */
export interface Redacted {
  readonly text: string;
  readonly values: readonly PersonalValue[];
}

/** In place of masks, so that nobody can count what was typed. */
export const MASK = "****";

/**
 * Takes values out of texts, in two passes: the first finds what each text gives away by itself, the
 * second replaces what any of them gave away in all of them. Sessions repeat their texts, so each is
 * worked on once.
 */
export class TextRedactor {
  readonly #vault: Vault;
  readonly #allow: CompiledRules;
  readonly #deny: CompiledRules;
  readonly #noted = new Map<string, readonly Span[]>();
  readonly #redacted = new Map<string, Redacted>();

  constructor(vault: Vault, allow: CompiledRules, deny: CompiledRules) {
    this.#vault = vault;
    this.#allow = allow;
    this.#deny = deny;
    for (const text of deny.texts) this.keep("custom", text);
  }

  /** The first pass. */
  readonly note = (text: string): Redacted => {
    this.#note(text);
    return { text, values: [] };
  };

  /** The second. */
  readonly redact = (text: string): Redacted => {
    const known = this.#redacted.get(text);
    if (known !== undefined) return known;
    const redacted = this.#replace(text);
    this.#redacted.set(text, redacted);
    return redacted;
  };

  /** Where the values stand in a text. */
  places(text: string): readonly Span[] {
    return this.#parts(text).flatMap(({ start, end, value }) => (value === undefined ? [] : [{ start, end, value }]));
  }

  /** Names a value that the place it stands at gives away; undefined when it is allowed. */
  keep(kind: RedactionKind, value: string, spread = true): PersonalValue | undefined {
    return this.#allow.fits(value) ? undefined : this.#vault.keep(kind, value, spread);
  }

  /** The kind of a value that is all of a text and shows by itself what it is. */
  wholly(text: string): RedactionKind | undefined {
    const trimmed = text.trim();
    return detect(trimmed).find(({ start, end }) => start === 0 && end === trimmed.length)?.kind;
  }

  #note(text: string): readonly Span[] {
    const noted = this.#noted.get(text) ?? readingsOf(text).flatMap((each) => this.#spansIn(each));
    this.#noted.set(text, noted);
    return noted;
  }

  #spansIn(reading: Reading): Span[] {
    const spans: Span[] = [];
    const keep = (kind: RedactionKind, start: number, end: number): void => {
      const value = this.keep(kind, reading.text.slice(start, end));
      if (value !== undefined) spans.push({ start: reading.start(start), end: reading.end(end - 1), value });
    };
    this.#deny.find(reading.text, (start, end) => keep("custom", start, end));
    for (const { kind, start, end } of detect(reading.text)) keep(kind, start, end);
    return spans;
  }

  #replace(text: string): Redacted {
    const parts = this.#parts(text);
    if (parts.length === 0) return { text, values: [] };
    const pieces: string[] = [];
    let reached = 0;
    for (const { start, end, value } of parts) {
      pieces.push(text.slice(reached, Math.max(reached, start)), value?.placeholder ?? MASK);
      reached = end;
    }
    pieces.push(text.slice(reached));
    return { text: pieces.join(""), values: parts.flatMap(({ value }) => value ?? []) };
  }

  /** What of a text goes, in order. Parts that overlap both go whole; of two that begin together the longer counts. */
  #parts(text: string): readonly Part[] {
    const readings = readingsOf(text);
    const own: readonly Part[] = this.#note(text);
    // What tags hold apart is no value by itself, but may be one that is known.
    const bare = readings.map(withoutTags).filter((reading) => reading !== undefined);
    const found = own.concat(
      ...[...readings, ...bare].map((reading) => this.#vault.find(reading)),
      ...readings.map(masksIn),
    );
    if (found.length === 0) return found;
    found.sort(byPlace);
    const allowed = this.#allowed(readings).sort(byPlace);
    let next = 0;
    let allowedTo = 0;
    let reached = 0;
    return found.filter(({ start, end }) => {
      for (; (allowed[next]?.start ?? Number.POSITIVE_INFINITY) <= start; next++) {
        allowedTo = Math.max(allowedTo, allowed[next]?.end ?? 0);
      }
      if (end <= reached || end <= allowedTo) return false;
      reached = end;
      return true;
    });
  }

  #allowed(readings: readonly Reading[]): Place[] {
    const allowed: Place[] = [];
    for (const reading of readings) {
      this.#allow.find(reading.text, (start, end) =>
        allowed.push({ start: reading.start(start), end: reading.end(end - 1) }),
      );
    }
    return allowed;
  }
}

interface Place {
  readonly start: number;
  readonly end: number;
}

/** A value, or without one a mask. */
interface Part extends Place {
  readonly value?: PersonalValue;
}

function byPlace(a: Place, b: Place): number {
  return a.start - b.start || b.end - a.end;
}

const MASKS = /[*•●∙⬤＊✱·]{3,}(?:[ -][*•●∙⬤＊✱·]{2,})*/g;

function masksIn(reading: Reading): Part[] {
  return Array.from(reading.text.matchAll(MASKS), ({ 0: match, index }) => ({
    start: reading.start(index),
    end: reading.end(index + match.length - 1),
  }));
}

/** Whether it is a mask and nothing else: stars, dots, or a collector's word for what it took away. */
export function isMask(text: string): boolean {
  if (/^[\s*•●∙⬤＊✱·-]+$/.test(text)) return /[*•●∙⬤＊✱·]/.test(text);
  return /^[[<({*]{1,3}\s?(?:redacted|protected|masked|hidden|removed|filtered|private|sensitive|scrubbed)(?:[ _-]\w{1,20})?\s?[\])>}*]{1,3}$/i.test(
    text,
  );
}
