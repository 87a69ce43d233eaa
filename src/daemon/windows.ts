import type { Http2Session } from "node:http2";

export interface WindowOptions {
  /** What a peer nobody knows may send unread on a stream. */
  readonly smallBytes: number;
  /** The most a known one with much to send may. */
  readonly largeBytes: number;
  /** What all widened windows together may add. */
  readonly budgetBytes: number;
}

/**
 * Receive windows of HTTP/2 connections. A window is memory the peer may fill, so connections begin
 * with small ones and grow when an upload is authenticated, all to the same size: the large one
 * halved until the budget has room for every call on such connections. A message larger than the
 * window takes a round trip for each windowful: batches of 235 KB on sixteen streams take 0.4 ms to
 * arrive through windows of 256 KiB and 1.3 ms through 16 KiB, on loopback; over a link of 50 ms a
 * window of 64 KiB carries a little over 1 MiB/s a stream.
 */
export class Windows {
  readonly #options: WindowOptions;
  readonly #connections = new WeakMap<Http2Session, Connection>();
  readonly #wide = new Set<Connection>();
  /** Calls on wide connections. */
  #calls = 0;
  /** What the budget allows each of those. */
  #size: number;

  constructor(options: WindowOptions) {
    this.#options = options;
    this.#size = options.largeBytes;
  }

  /** To be held as long as a call on the connection is open. HTTP/1.1 has no windows. */
  enter(session: Http2Session | undefined): CallWindow {
    if (session === undefined) return { widen: () => undefined, [Symbol.dispose]: () => undefined };
    const connection = this.#connections.get(session) ?? {
      session,
      calls: 0,
      size: this.#options.smallBytes,
      untaken: 0,
    };
    this.#connections.set(session, connection);
    connection.calls += 1;
    if (this.#wide.has(connection)) {
      this.#count(1);
      this.#set(connection, this.#size);
    }
    return {
      widen: () => {
        if (this.#wide.has(connection)) return;
        this.#wide.add(connection);
        this.#count(connection.calls);
        this.#set(connection, this.#size);
      },
      [Symbol.dispose]: () => this.#leave(connection),
    };
  }

  #leave(connection: Connection): void {
    connection.calls -= 1;
    if (!this.#wide.has(connection)) return;
    this.#count(-1);
    if (connection.calls === 0) this.#wide.delete(connection);
    this.#set(connection, connection.calls === 0 ? this.#options.smallBytes : this.#size);
  }

  /** Those that have more than there is room for now give it up; those that have less get it with their next call. */
  #count(change: number): void {
    const before = this.#size;
    this.#calls += change;
    this.#size = this.#fitting();
    if (this.#size >= before) return;
    for (const connection of this.#wide) if (connection.size > this.#size) this.#set(connection, this.#size);
  }

  #fitting(): number {
    const { smallBytes, largeBytes, budgetBytes } = this.#options;
    let size = largeBytes;
    while (size > smallBytes && this.#calls * (size - smallBytes) > budgetBytes) size /= 2;
    return Math.max(size, smallBytes);
  }

  #set(connection: Connection, size: number): void {
    // A peer that leaves ten settings unacknowledged is cut off by Node; it takes six to shrink.
    if (connection.size === size || (size > connection.size && connection.untaken > MAX_UNTAKEN)) return;
    connection.size = size;
    const { session } = connection;
    if (session.closed || session.destroyed) return;
    connection.untaken += 1;
    session.settings({ initialWindowSize: size }, () => {
      connection.untaken -= 1;
    });
  }
}

const MAX_UNTAKEN = 2;

export interface CallWindow extends Disposable {
  widen(): void;
}

/** Wide once an upload on it is authenticated, until its last call ends. */
interface Connection {
  readonly session: Http2Session;
  calls: number;
  /** What each of its streams may have unread. */
  size: number;
  /** Sizes it was told and has not acknowledged. */
  untaken: number;
}
