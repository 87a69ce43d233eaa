import type { EventTypeName, SessionEvent } from "../recorded.ts";

/** What a collector's own name of a type means in the vocabulary. */
interface Meaning {
  readonly type: EventTypeName;
  /** What the name says beyond the type; it can only be told of an event that has a pointer. */
  readonly clicks?: number;
  readonly button?: number;
  /**
   * The name tells of a part of that event, and stands for it only in a stream that has neither the
   * events themselves nor another of their parts: else one click would become two.
   */
  readonly part?: boolean;
}

/** Which names stand for which types in one stream. */
export class StreamNames {
  readonly #types = new Set<EventTypeName>();
  /** The part that stands for the whole: the one that came first. */
  readonly #parts = new Map<EventTypeName, string>();

  /** Each of the stream's events, in order, before any is asked about. */
  note({ type, customType }: SessionEvent): void {
    const name = plain(customType);
    const meaning = MEANINGS.get(name);
    // Presses whose releases were recorded too are left to reduce, which tells clicks and drags by both.
    if (RELEASES.has(name)) this.#types.add("click");
    else if (meaning?.part !== true) this.#types.add(meaning?.type ?? type);
    else if (!this.#parts.has(meaning.type)) this.#parts.set(meaning.type, name);
  }

  /** undefined when the name is in no known spelling. Case and marks between words don't matter. */
  meaningOf(customType: string): Meaning | undefined {
    const name = plain(customType);
    const meaning = MEANINGS.get(name);
    if (meaning?.part !== true) return meaning;
    return !this.#types.has(meaning.type) && this.#parts.get(meaning.type) === name ? meaning : undefined;
  }
}

function plain(customType = ""): string {
  const name = customType.toLowerCase().replace(/[^a-z0-9]/g, "");
  return MEANINGS.has(name) ? name : name.replace(/^(eventtype|on)/, "");
}

const RELEASES: ReadonlySet<string> = new Set(["mouseup", "pointerup"]);

const MEANINGS: ReadonlyMap<string, Meaning> = new Map([
  ...named({ type: "click" }, "click leftclick mouseclick"),
  ...named({ type: "click", part: true }, "mousedown pointerdown"),
  ...named({ type: "click", clicks: 2 }, "dblclick doubleclick"),
  ...named({ type: "click", clicks: 3 }, "tripleclick"),
  ...named({ type: "click", button: 1 }, "middleclick"),
  ...named({ type: "click", button: 2 }, "contextmenu rightclick secondaryclick"),
  ...named({ type: "input" }, "input change inputchange fill type typing textinput valuechange selectoption"),
  ...named({ type: "scroll" }, "scroll"),
  ...named({ type: "scroll", part: true }, "wheel mousewheel"),
  ...named({ type: "navigation" }, "navigation navigate goto pageview pageload pagechange urlchange"),
  ...named({ type: "navigation" }, "popstate pushstate replacestate hashchange navigationrestored"),
  ...named({ type: "hover" }, "hover mouseover mouseenter pointerover pointerenter"),
  ...named({ type: "focus" }, "focus focusin"),
  ...named({ type: "blur" }, "blur focusout"),
  ...named({ type: "submit" }, "submit formsubmit"),
  ...named({ type: "key" }, "key keydown keystroke"),
  ...named({ type: "key", part: true }, "keypress"),
  ...named({ type: "drag" }, "drag draganddrop dragdrop"),
  ...named({ type: "drag", part: true }, "dragstart"),
  ...named({ type: "drop" }, "drop"),
  ...named({ type: "touch" }, "touch tap"),
  ...named({ type: "touch", part: true }, "touchstart"),
]);

function named(meaning: Meaning, names: string): [string, Meaning][] {
  return names.split(" ").map((name) => [name, meaning]);
}
