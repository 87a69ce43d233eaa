import { AppError } from "../../errors.ts";
import type { RedactionKind } from "../recorded.ts";
import { Matcher } from "./matcher.ts";
import type { Reading } from "./reading.ts";
import { spellingsOf } from "./spellings.ts";
import { isWordUnit, type Squeezed, squeezeWithOrigins } from "./squeeze.ts";

/** A personal value of a session. The same value is the same one, however it is spelled. */
export interface PersonalValue {
  readonly id: number;
  readonly kind: RedactionKind;
  /** What stands in its place: `<EMAIL_1>`. */
  readonly placeholder: string;
}

/** A part of a text that holds a value. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly value: PersonalValue;
}

/** The values found in one session, and where they stand in its texts. */
export class Vault {
  readonly #values: PersonalValue[] = [];
  readonly #byKey = new Map<string, number>();
  readonly #counts = new Map<RedactionKind, number>();
  readonly #squeezed = new Matcher();
  readonly #exact = new Matcher();
  /** Values that can't be told from other words and numbers, except where they are all there is. */
  readonly #whole = new Map<string, number>();
  readonly #kept: ((kind: RedactionKind, value: string) => void) | undefined;

  /** `kept` is told of every value that is looked for, as it was written; again if it is kept again. */
  constructor(kept?: (kind: RedactionKind, value: string) => void) {
    this.#kept = kept;
  }

  /**
   * The value's name; its first kind stays. With `spread` it is looked for in every text from now on.
   * Fails with `failed_precondition` TOO_MANY_VALUES.
   */
  keep(kind: RedactionKind, value: string, spread: boolean): PersonalValue {
    const { key, parts, squeezed, exact } = spellingsOf(kind, value);
    const id = this.#byKey.get(key) ?? this.#add(kind, key);
    if (spread) {
      this.#kept?.(kind, value);
      for (const part of parts) if (!this.#byKey.has(part)) this.#byKey.set(part, id);
      this.#lookFor(squeezed, exact, id);
      const whole = value.trim();
      if (squeezed.length + exact.length === 0 && whole.length >= MIN_WHOLE && !this.#whole.has(whole)) {
        this.#whole.set(whole, id);
      }
    }
    return this.#value(id);
  }

  /** Distinct values by kind. */
  get counts(): Partial<Record<RedactionKind, number>> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Where its values stand in a text, in the source's places. */
  find(reading: Reading): Span[] {
    const { text } = reading;
    const spans: Span[] = [];
    const keeper = () => {
      let reached = 0;
      return (start: number, end: number, id: number): void => {
        if (end <= reached) return;
        reached = end;
        spans.push({ start: reading.start(start), end: reading.end(end - 1), value: this.#value(id) });
      };
    };
    const whole = this.#whole.get(text.trim());
    if (whole !== undefined) keeper()(0, text.length, whole);
    this.#findExact(text, keeper());
    this.#findSqueezed(text, keeper());
    return spans;
  }

  #findExact(text: string, keep: Keep): void {
    this.#exact.search(text, (start, end, id) => {
      if (!isBounded(text, start, end)) return false;
      keep(start, end, id);
      return true;
    });
  }

  #findSqueezed(text: string, keep: Keep): void {
    if (this.#squeezed.size === 0) return;
    const squeezed = squeezeWithOrigins(text);
    const hit = (isCut: boolean) => (start: number, end: number, id: number) => {
      const from = squeezed.origins[start] ?? 0;
      const to = (squeezed.origins[end - 1] ?? 0) + 1;
      if (!isTogether(text, squeezed, start, end) || !isAlone(text, squeezed, { start, end, from, to, isCut }))
        return false;
      keep(from, to, id);
      return true;
    };
    this.#squeezed.search(squeezed.text, hit(false), { least: MIN_CUT, found: hit(true) });
  }

  #lookFor(squeezed: readonly string[], exact: readonly string[], id: number): void {
    for (const form of squeezed) this.#squeezed.add(form, id);
    for (const form of exact) this.#exact.add(form, id);
  }

  #add(kind: RedactionKind, key: string): number {
    if (this.#values.length >= MAX_VALUES) {
      throw new AppError(
        "failed_precondition",
        `The session holds more than ${MAX_VALUES} personal values, and can't be redacted whole.`,
        { reason: "TOO_MANY_VALUES" },
      );
    }
    const number = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, number);
    const id =
      this.#values.push({ id: this.#values.length, kind, placeholder: `<${kind.toUpperCase()}_${number}>` }) - 1;
    this.#byKey.set(key, id);
    return id;
  }

  #value(id: number): PersonalValue {
    const value = this.#values[id];
    if (value === undefined) throw new RangeError("no value has this number");
    return value;
  }
}

/** Takes note of a value's place; of those found in one pass only what reaches further than all before. */
type Keep = (start: number, end: number, id: number) => void;

const MAX_VALUES = 100_000;
const MIN_WHOLE = 3;
/** So much of a value at the end of a text that was cut off there is the value. */
const MIN_CUT = 8;

/** Long enough that no other text has it by chance, whatever stands beside it. */
const FREE_DIGITS = 8;
const FREE_LETTERS = 10;

/** Between two characters of one value stand at most these many others: `) - `, `</b> <b>`. */
const MAX_GAP = 9;
/** Of which a run of blanks, as lines are broken and indented, and what can't be seen count as one, up to these many. */
const MAX_BLANKS = 200;

function isTogether(text: string, { origins }: Squeezed, start: number, end: number): boolean {
  for (let at = start + 1; at < end; at++) {
    const [from, to] = [origins[at - 1] ?? 0, origins[at] ?? 0];
    if (to - from <= MAX_GAP) continue;
    if (to - from > MAX_BLANKS || text.slice(from, to).replaceAll(/[\s\p{Cf}]+/gu, " ").length > MAX_GAP) return false;
  }
  return true;
}

interface Hit {
  /** In the squeezed text. */
  readonly start: number;
  readonly end: number;
  /** In the text. */
  readonly from: number;
  readonly to: number;
  /** The end is where the text was cut off. */
  readonly isCut: boolean;
}

/** Whether it stands for itself rather than inside a longer word or number. */
function isAlone(text: string, squeezed: Squeezed, { start, end, from, to, isCut }: Hit): boolean {
  const length = end - start;
  const found = squeezed.text.slice(start, Math.min(end, start + FREE_LETTERS));
  const digits = /^\d+$/.test(found);
  if (digits ? length >= FREE_DIGITS : length >= FREE_LETTERS) return true;
  if (digits && (/[\d][.,]$/.test(text.slice(Math.max(0, from - 2), from)) || /^[.,]\d/.test(text.slice(to, to + 2)))) {
    return false;
  }
  return !isWordUnit(text.charCodeAt(from - 1)) && (isCut || !isWordUnit(text.charCodeAt(to)));
}

function isBounded(text: string, start: number, end: number): boolean {
  const inside = (at: number) => isWordUnit(text.charCodeAt(at));
  return !(inside(start) && inside(start - 1)) && !(inside(end - 1) && inside(end));
}
