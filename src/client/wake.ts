/**
 * A condition variable: whoever waits takes `rung` before looking at the condition, so that a ring
 * in between is not lost.
 */
export class Wake {
  #next = Promise.withResolvers<void>();

  get rung(): Promise<void> {
    return this.#next.promise;
  }

  ring(): void {
    const ringing = this.#next;
    this.#next = Promise.withResolvers<void>();
    ringing.resolve();
  }
}

/** What `promise` gives, or a rejection with the signal's reason if that aborts first. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: result, resolve, reject } = Promise.withResolvers<T>();
  const onAbort = () => reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  return result;
}
