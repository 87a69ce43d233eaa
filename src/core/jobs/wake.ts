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
