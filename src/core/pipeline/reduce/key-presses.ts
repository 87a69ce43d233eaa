import type { Key, SessionEvent } from "../recorded.ts";
import { type Gesture, nameOf, retyped, type Unused } from "./gesture.ts";
import { isHiddenText, isModifier } from "./keys.ts";

interface Typed {
  readonly event: SessionEvent;
  readonly events: SessionEvent[];
  endMs: number;
  readonly inferred: readonly string[];
}

interface Held {
  readonly press: SessionEvent;
  /** Whether its release was recorded; one that was not is held for one key and no longer. */
  released: boolean;
  /** The last key it was held for. */
  usedBy: Typed | undefined;
}

/**
 * Key presses and releases put together: what a held modifier was held for is a hotkey. Where no
 * releases (keyup) were recorded, each key tells by itself which modifiers were held, as the DOM's do.
 */
export class KeyPresses {
  readonly unused: Unused[] = [];
  readonly #hasReleases: boolean;
  readonly #unreleased: ReadonlySet<SessionEvent>;
  readonly #held = new Map<string, Held>();
  readonly #down = new Map<string, Typed>();
  readonly #typed: Typed[] = [];

  constructor(events: readonly SessionEvent[]) {
    this.#hasReleases = events.some(isRelease);
    this.#unreleased = this.#hasReleases ? findUnreleased(events) : new Set();
  }

  /** Whether the event is told by a gesture from here, or unused. */
  take(event: SessionEvent): boolean {
    const { key } = event;
    if (!isPress(event) && !isRelease(event)) return false;
    if (key === undefined || key.key === "") this.unused.push({ event, code: "KEY_UNKNOWN" });
    else if (isRelease(event)) this.#release(event, key);
    else if (!isModifier(key.key)) this.#press(event, key);
    else if (this.#hasReleases) this.#hold(event, key.key);
    else this.unused.push({ event, code: "MODIFIER_ALONE" });
    return true;
  }

  end(): readonly Gesture[] {
    for (const held of this.#held.values()) {
      if (held.usedBy === undefined) this.unused.push({ event: held.press, code: "MODIFIER_ALONE" });
    }
    return this.#typed;
  }

  #hold(event: SessionEvent, name: string): void {
    const released = !this.#unreleased.has(event);
    const held = this.#held.get(name);
    if (held === undefined) {
      this.#held.set(name, { press: event, released, usedBy: undefined });
      return;
    }
    // A key that is held repeats itself; the last time is the one that is released.
    held.released = released;
    this.unused.push({ event, code: "DUPLICATE_EVENT" });
  }

  #press(event: SessionEvent, key: Key): void {
    const holds = (name: string): boolean => this.#held.has(name);
    const modifiers = [...this.#held.values()];
    const isComplete = modifiers.every((held) => held.released) && !this.#unreleased.has(event);
    const typed: Typed = {
      event: retyped(event, "key", {
        key: {
          ...key,
          alt: key.alt || holds("Alt"),
          ctrl: key.ctrl || holds("Control"),
          meta: key.meta || holds("Meta"),
          shift: key.shift || holds("Shift"),
        },
      }),
      events: [...modifiers.filter((held) => held.usedBy === undefined).map((held) => held.press), event],
      endMs: event.timeMs,
      inferred: isComplete ? [] : ["SYNTHETIC_RELEASE"],
    };
    for (const [name, held] of this.#held) {
      held.usedBy = typed;
      if (!held.released) this.#held.delete(name);
    }
    this.#typed.push(typed);
    this.#down.set(codeOf(key), typed);
  }

  #release(event: SessionEvent, key: Key): void {
    const held = this.#held.get(key.key);
    const typed = held?.usedBy ?? this.#down.get(codeOf(key));
    this.#held.delete(key.key);
    this.#down.delete(codeOf(key));
    if (typed !== undefined) {
      typed.events.push(event);
      typed.endMs = event.timeMs;
    } else if (held === undefined) {
      this.unused.push({ event, code: "UNMATCHED_RELEASE" });
    } else if (OPENS_SOMETHING.has(key.key)) {
      const pressed = retyped(held.press, "key");
      this.#typed.push({ event: pressed, events: [held.press, event], endMs: event.timeMs, inferred: [] });
    } else {
      for (const each of [held.press, event]) this.unused.push({ event: each, code: "MODIFIER_ALONE" });
    }
  }
}

/** Pressed and released alone, these open a menu; the others do nothing. */
const OPENS_SOMETHING = new Set(["Meta", "Alt"]);

const isPress = (event: SessionEvent): boolean => event.type === "key" || nameOf(event) === "keydown";
const isRelease = (event: SessionEvent): boolean => nameOf(event) === "keyup";

/** Presses of keys that are pressed again, or never, before their release. */
function findUnreleased(events: readonly SessionEvent[]): Set<SessionEvent> {
  const unreleased = new Set<SessionEvent>();
  const released = new Set<string>();
  for (const event of events.toReversed()) {
    // Which of the keys that nobody can tell was released nobody can tell.
    if (event.key === undefined || isHiddenText(event.key)) continue;
    const name = codeOf(event.key);
    if (isRelease(event)) released.add(name);
    else if (isPress(event) && !released.delete(name)) unreleased.add(event);
  }
  return unreleased;
}

/** The physical key where it is told: the same key is "a" when pressed and "A" when released. */
const codeOf = (key: Key): string => (key.code === "" ? key.key.toLowerCase() : key.code);
