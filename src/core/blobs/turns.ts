/** Runs what has the same key one after the other, in the order asked. */
export class Turns {
  /** The end of the last turn of each key that has one. */
  readonly #last = new Map<string, Promise<void>>();

  /** Rejects with the signal's reason if it aborts before the turn has come; a turn that began runs to its end. */
  async take<T>(key: string, signal: AbortSignal, run: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const before = this.#last.get(key);
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const ended = before === undefined ? over : before.then(() => over);
    const last = ended.then(() => {
      if (this.#last.get(key) === last) this.#last.delete(key);
    });
    this.#last.set(key, last);
    try {
      if (before !== undefined) await unlessAborted(before, signal);
      return await run();
    } finally {
      end();
    }
  }

  /** Whether a turn of this key is running or waiting. */
  busy(key: string): boolean {
    return this.#last.has(key);
  }

  /** Resolves when every turn asked for so far has ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#last.values());
  }
}

async function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
