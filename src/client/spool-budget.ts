import { Wake } from "./wake.ts";

/** The bytes all sessions of a spool may have on disk together. */
export class SpoolBudget {
  readonly maxBytes: number;
  readonly #room = new Wake();
  #usedBytes = 0;
  #waiting = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Somebody waits for room: give back what can be given back. */
  get pressed(): boolean {
    return this.#waiting > 0;
  }

  /** Resolves when bytes were given back; take it before `take`. */
  get roomMade(): Promise<void> {
    return this.#room.rung;
  }

  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.maxBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  /** What is on disk already counts, even when it is more than the budget. */
  adopt(bytes: number): void {
    this.#usedBytes += bytes;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
    if (bytes > 0) this.#room.ring();
  }

  async whilePressed(wait: Promise<void>): Promise<void> {
    this.#waiting += 1;
    try {
      await wait;
    } finally {
      this.#waiting -= 1;
    }
  }
}
