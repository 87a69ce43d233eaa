import { Code, ConnectError } from "@connectrpc/connect";

export interface DeadlineOptions {
  /** For one message to arrive whole once it has begun. */
  readonly messageMs: number;
  /** How long a call may be silent between messages. */
  readonly idleMs: number;
  /** How long a peer may leave an answer unread. */
  readonly answerMs: number;
}

/** What one call is doing, as its parts note it. Times are of performance.now(). */
export interface CallWatch {
  /** When the message that is arriving began; undefined between messages. */
  begunAt: number | undefined;
  /** When anything last arrived. */
  lastAt: number;
  /** Since when an answer waits to be taken. */
  answeringSince: number | undefined;
}

/** One timer for all calls: a timer a message would cost more than the message. */
export class Deadlines implements Disposable {
  readonly #options: DeadlineOptions;
  readonly #calls = new Set<WatchedCall>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: DeadlineOptions) {
    this.#options = options;
    const tick = Math.max(10, Math.min(1000, options.messageMs / 4));
    this.#timer = setInterval(() => this.#sweep(performance.now()), tick).unref();
  }

  /** `late` ends the call with an error its peer can read; `cut` one whose peer reads nothing. */
  watch(late: (error: ConnectError) => void, cut: () => void): CallWatch & Disposable {
    const call: WatchedCall = { late, cut, begunAt: undefined, lastAt: performance.now(), answeringSince: undefined };
    this.#calls.add(call);
    return Object.assign(call, { [Symbol.dispose]: () => this.#calls.delete(call) });
  }

  #sweep(now: number): void {
    const { messageMs, idleMs, answerMs } = this.#options;
    for (const call of this.#calls) {
      if (call.answeringSince !== undefined && now - call.answeringSince > answerMs) call.cut();
      else if (call.begunAt !== undefined && now - call.begunAt > messageMs) {
        call.late(expired(`a message did not arrive whole within ${messageMs} ms`));
      } else if (call.begunAt === undefined && now - call.lastAt > idleMs) {
        call.late(expired(`nothing was sent for ${idleMs} ms`));
      }
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

interface WatchedCall extends CallWatch {
  readonly late: (error: ConnectError) => void;
  readonly cut: () => void;
}

function expired(message: string): ConnectError {
  return new ConnectError(message, Code.DeadlineExceeded);
}
