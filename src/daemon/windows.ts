import type { Http2Session } from "node:http2";

export interface WindowOptions {
  /** What a peer nobody knows may send unread on a stream. */
  readonly smallBytes: number;
  /** What a known one with much to send may. */
  readonly largeBytes: number;
  /** What all large windows together may add. */
  readonly budgetBytes: number;
}

/**
 * Receive windows of HTTP/2 connections. A window is memory the peer may fill, so connections begin
 * with small ones; they grow when an upload is authenticated, as long as the budget has room for
 * every call on the connection, and shrink when it has not. Over a link of 50 ms a window of 64 KiB
 * carries a little over 1 MiB/s a stream, one of 2 MiB forty.
 */
export class Windows {
  readonly #options: WindowOptions;
  readonly #connections = new WeakMap<Http2Session, Connection>();
  #reserved = 0;

  constructor(options: WindowOptions) {
    this.#options = options;
  }

  /** To be held as long as a call on the connection is open. HTTP/1.1 has no windows. */
  enter(session: Http2Session | undefined): CallWindow {
    if (session === undefined) return { widen: () => undefined, [Symbol.dispose]: () => undefined };
    const connection = this.#connections.get(session) ?? { session, calls: 0, large: false, reserved: 0 };
    this.#connections.set(session, connection);
    connection.calls += 1;
    if (connection.large) this.#fit(connection);
    return {
      widen: () => {
        connection.large = true;
        this.#fit(connection);
      },
      [Symbol.dispose]: () => {
        connection.calls -= 1;
        if (connection.calls === 0) connection.large = false;
        this.#fit(connection);
      },
    };
  }

  #fit(connection: Connection): void {
    const { smallBytes, largeBytes, budgetBytes } = this.#options;
    const wanted = connection.large ? connection.calls * (largeBytes - smallBytes) : 0;
    const granted = this.#reserved - connection.reserved + wanted <= budgetBytes ? wanted : 0;
    const before = connection.reserved;
    this.#reserved += granted - before;
    connection.reserved = granted;
    if ((before === 0) === (granted === 0)) return;
    const { session } = connection;
    if (session.closed || session.destroyed) return;
    session.settings({ initialWindowSize: granted === 0 ? smallBytes : largeBytes });
  }
}

export interface CallWindow extends Disposable {
  widen(): void;
}

interface Connection {
  readonly session: Http2Session;
  calls: number;
  large: boolean;
  reserved: number;
}
