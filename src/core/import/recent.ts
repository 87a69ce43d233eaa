import { hash } from "node:crypto";

/** Knows the items read last, and so those that were written twice. */
export class Recent {
  readonly #seen = new Set<string>();

  /** Whether it is the same to the letter as one of the 1,024 before it. */
  isAgain(json: string): boolean {
    const name = hash("sha256", json, "base64");
    if (this.#seen.has(name)) return true;
    this.#seen.add(name);
    const [oldest] = this.#seen;
    if (this.#seen.size > MAX_RECENT && oldest !== undefined) this.#seen.delete(oldest);
    return false;
  }
}

const MAX_RECENT = 1024;
