import type { RedactionKind, SessionEvent } from "../recorded.ts";
import type { Fields } from "./fields.ts";
import type { TextRedactor } from "./text-redactor.ts";

/**
 * The key presses that would spell a value: all that put a character into a personal field, and those
 * that together with others are one. Keys that do something instead, such as Enter, are not among them.
 */
export class KeyPresses {
  readonly #events: readonly SessionEvent[];
  readonly #personal: readonly SessionEvent[];
  readonly #runs: readonly Run[];
  /** What was typed into personal fields: some collectors tell of it in no other way. */
  readonly #typed: readonly { readonly kind: RedactionKind; readonly text: string }[];

  constructor(events: readonly SessionEvent[], fields: Fields) {
    this.#events = events;
    const personal: SessionEvent[] = [];
    const runs = new Map<string, Press[]>();
    const held = new Map<string, { readonly kind: RedactionKind; readonly presses: Press[] }>();
    for (const [index, event] of events.entries()) {
      const typed = typedBy(event);
      if (typed === undefined) continue;
      const field = fields.of(event);
      if (field?.kind !== undefined) {
        if (isCharacter(typed)) personal.push(event);
        // In a list, keys only look for one of its words.
        if (field.chosen) continue;
        const id = field.ids[0] ?? field.kind;
        const into = held.get(id) ?? { kind: field.kind, presses: [] };
        held.set(id, into);
        into.presses.push({ index, event, typed });
        continue;
      }
      const where = field?.ids[0] ?? "";
      const run = runs.get(where) ?? [];
      runs.set(where, run);
      run.push({ index, event, typed });
    }
    this.#personal = personal;
    this.#runs = Array.from(runs.values(), runOf);
    this.#typed = Array.from(held.values(), ({ kind, presses }) => ({ kind, text: runOf(presses).text }));
  }

  note(texts: TextRedactor): void {
    for (const { text } of this.#runs) texts.note(text);
    for (const { kind, text } of this.#typed) {
      for (const value of text.split("\n")) if (value.trim() !== "") texts.keep(kind, value);
    }
  }

  unspoken(texts: TextRedactor): ReadonlySet<SessionEvent> {
    const unspoken = new Set(this.#personal);
    for (const { text, left, all } of this.#runs) {
      for (const { start, end } of texts.places(text)) {
        const first = left[start]?.index ?? 0;
        const last = left[end - 1]?.index ?? 0;
        for (const { index, event, typed } of all) {
          // What was typed and taken back in between may be half of it.
          if (first <= index && index <= last && isCharacter(typed)) unspoken.add(event);
        }
      }
    }
    this.#addReleases(unspoken);
    return unspoken;
  }

  /** A release, told as a custom event, says again what its press said; one without a press says it for the first time. */
  #addReleases(unspoken: Set<SessionEvent>): void {
    const presses = new Map<string, SessionEvent>();
    for (const event of this.#events) {
      const { type, key } = event;
      if (key === undefined) continue;
      const name = key.code === "" ? key.key.toLowerCase() : key.code;
      const press = presses.get(name);
      if (type === "key") presses.set(name, event);
      else if ([...key.key].length === 1 && (press === undefined || unspoken.has(press))) unspoken.add(event);
    }
  }
}

interface Press {
  readonly index: number;
  readonly event: SessionEvent;
  readonly typed: string;
}

/** The presses of one field, or of none. */
interface Run {
  readonly all: readonly Press[];
  /** What they wrote, and of each UTF-16 unit of it the press. */
  readonly text: string;
  readonly left: readonly Press[];
}

const BACKSPACE = "\b";

function isCharacter(typed: string): boolean {
  return typed !== BACKSPACE && typed !== "\n";
}

/** A character, BACKSPACE, or a line's end for a key that ends what was typed; undefined for a command and no key at all. */
function typedBy({ type, key }: SessionEvent): string | undefined {
  if (type !== "key" || key === undefined || key.key === "") return undefined;
  if (key.key === "Backspace") return BACKSPACE;
  if (MODIFIERS.has(key.key)) return undefined;
  // Control and alt together are AltGr, which writes @ on many keyboards.
  if (key.meta || (key.ctrl && !key.alt)) return undefined;
  return [...key.key].length === 1 ? key.key : "\n";
}

const MODIFIERS: ReadonlySet<string> = new Set(["Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock", "Dead"]);

function runOf(all: readonly Press[]): Run {
  const typed: Press[] = [];
  for (const press of all) {
    if (press.typed === BACKSPACE) typed.pop();
    else typed.push(press);
  }
  return {
    all,
    text: typed.map((press) => press.typed).join(""),
    left: typed.flatMap((press) => Array.from({ length: press.typed.length }, () => press)),
  };
}
