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

  watch(peer: Peer): CallWatch & Disposable {
    const call: WatchedCall = {
      peer,
      begunAt: undefined,
      lastAt: performance.now(),
      answeringSince: undefined,
      unread: 0,
      unreadSince: undefined,
    };
    this.#calls.add(call);
    return Object.assign(call, { [Symbol.dispose]: () => this.#calls.delete(call) });
  }

  #sweep(now: number): void {
    const { messageMs, idleMs, answerMs } = this.#options;
    for (const call of this.#calls) {
      const waiting = stuckSince(call, now);
      if (waiting !== undefined && now - waiting > answerMs) call.peer.cut();
      else if (call.begunAt !== undefined && now - call.begunAt > messageMs) {
        call.peer.late(expired(`a message did not arrive whole within ${messageMs} ms`));
      } else if (call.begunAt === undefined && now - call.lastAt > idleMs) {
        call.peer.late(expired(`nothing was sent for ${idleMs} ms`));
      }
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** The other end of a call. */
export interface Peer {
  /** Ends the call with an error the peer can read. */
  late(error: ConnectError): void;
  /** Ends a call whose peer reads nothing. */
  cut(): void;
  /** Bytes of answers that have not left. */
  unread(): number;
}

interface WatchedCall extends CallWatch {
  readonly peer: Peer;
  /** At the last sweep. */
  unread: number;
  unreadSince: number | undefined;
}

/**
 * Since when the peer has taken nothing of what it was told; undefined when it has. A large answer
 * is waited for; small ones, such as acks, gather in the stream's buffer, and nobody waits.
 */
function stuckSince(call: WatchedCall, now: number): number | undefined {
  const before = call.unread;
  call.unread = call.peer.unread();
  const moved = call.unread === 0 || call.unread < before || call.answeringSince !== undefined;
  call.unreadSince = moved ? undefined : (call.unreadSince ?? now);
  return call.answeringSince ?? call.unreadSince;
}

function expired(message: string): ConnectError {
  return new ConnectError(message, Code.DeadlineExceeded);
}
