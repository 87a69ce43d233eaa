/** The keys that are held, and what each press says as the DOM does (KeyboardEvent.key and code). */
export class KeyNames {
  readonly #isMac: boolean;
  readonly #held = new Set<string>();

  constructor(platform: string) {
    this.#isMac = platform === "darwin";
  }

  press(name: string) {
    const { key } = this.#name(name);
    this.#held.add(key);
    return this.read(name);
  }

  release(name: string) {
    this.#held.delete(this.#name(name).key);
    return this.read(name);
  }

  /** One key, with what is held. */
  read(name: string, more: readonly string[] = []) {
    const holds = (key: string): boolean => this.#held.has(key) || more.includes(key);
    return {
      ...this.#name(name, holds("Shift")),
      alt: holds("Alt"),
      ctrl: holds("Control"),
      meta: holds("Meta"),
      shift: holds("Shift"),
    };
  }

  /** "Control+Shift+T": the last one is pressed while the others are held. */
  readCombination(names: string) {
    const parts = names.split("+");
    // The plus itself: "+" and "Control++".
    const key = names.endsWith("+") ? "+" : (parts.at(-1) ?? "");
    const held = parts.slice(0, -1).filter((part) => part !== "");
    return this.read(
      key,
      held.map((part) => this.#name(part).key),
    );
  }

  /** Keys may go by their place on the keyboard: "KeyA", "Digit1", "ShiftLeft". */
  #name(name: string, isShifted = false): { readonly key: string; readonly code: string } {
    if (name === "ControlOrMeta") return { key: this.#isMac ? "Meta" : "Control", code: "" };
    const [, letter] = /^Key([A-Z])$/.exec(name) ?? [];
    if (letter !== undefined) return { key: isShifted ? letter : letter.toLowerCase(), code: name };
    const [, digit] = /^Digit(\d)$/.exec(name) ?? [];
    if (digit !== undefined && !isShifted) return { key: digit, code: name };
    const [, modifier] = /^(Shift|Control|Alt|Meta)(Left|Right)$/.exec(name) ?? [];
    if (modifier !== undefined) return { key: modifier, code: name };
    if (name === "Space") return { key: " ", code: name };
    if (name === "\n" || name === "\r") return { key: "Enter", code: "" };
    return { key: name, code: "" };
  }
}
