import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { RefusalReason } from "../core/metrics.ts";

/**
 * One socket through its phases: `opening` (no protocol spoken yet; the TLS handshake is part of
 * it), then `http1` or `http2`, then closed. A sweep calls `check` on every connection a few times
 * a second at most; time is the sum of the sweeps' ticks, so that neither a clock that is set nor a
 * busy event loop makes a peer look dead.
 */
export class Connection {
  readonly socket: Socket;
  readonly #limits: ConnectionLimits;
  readonly #close: (reason: RefusalReason) => void;
  #phase: Phase;
  #draining = false;

  /** `close` must destroy the connection and count the reason. */
  constructor(socket: Socket, limits: ConnectionLimits, now: number, close: (reason: RefusalReason) => void) {
    this.socket = socket;
    this.#limits = limits;
    this.#close = close;
    this.#phase = { name: "opening", since: now };
  }

  /** `socket` is the one HTTP runs on: the TLS one where there is TLS. */
  http1(socket: Socket): void {
    this.#phase = { name: "http1", socket, responses: new Set() };
  }

  http2(session: ServerHttp2Session, now: number): void {
    const phase: Http2Phase = {
      name: "http2",
      session,
      since: now,
      settled: false,
      streams: 0,
      idleSince: now,
      heardAt: now,
      heardBytes: 0,
      pingedAt: now,
      ping: undefined,
    };
    session.once("remoteSettings", () => {
      phase.settled = true;
    });
    session.on("stream", (stream) => {
      phase.streams++;
      stream.once("close", () => {
        phase.streams--;
        phase.idleSince = undefined;
      });
    });
    this.#phase = phase;
  }

  /** An HTTP/1.1 exchange began on this connection. */
  exchange(response: ServerResponse<IncomingMessage>): void {
    const phase = this.#phase;
    if (phase.name !== "http1") return;
    phase.responses.add(response);
    if (this.#draining) response.shouldKeepAlive = false;
    response.once("close", () => {
      phase.responses.delete(response);
      if (this.#draining && phase.responses.size === 0) phase.socket.destroySoon();
    });
  }

  /** Whether a call is being served; false in `opening`. */
  get busy(): boolean {
    if (this.#phase.name === "http1") return this.#phase.responses.size > 0;
    return this.#phase.name === "http2" && this.#phase.streams > 0;
  }

  /** Takes no new calls, lets those in hand finish, then closes. */
  drain(): void {
    this.#draining = true;
    const phase = this.#phase;
    if (phase.name === "opening" || (phase.name === "http1" && phase.responses.size === 0)) {
      this.socket.destroy();
    } else if (phase.name === "http1") {
      for (const response of phase.responses) response.shouldKeepAlive = false;
    } else if (!phase.session.closed && !phase.session.destroyed) {
      // RFC 9113, 6.8: a first GOAWAY that refuses nothing, and a round trip later the one that names
      // the last stream, so that no call that is on its way is lost.
      const { session } = phase;
      session.goaway(constants.NGHTTP2_NO_ERROR, LAST_STREAM_ID);
      session.ping(() => session.close());
    }
  }

  /** Refuses the HTTP/2 calls that come from now on: Node's own client, told to go, answers no ping. */
  goAway(): void {
    if (this.#phase.name === "http2") this.#phase.session.close();
  }

  /** Closes the connection if its time is up, and sends a ping if one is due. */
  check(now: number): void {
    const phase = this.#phase;
    if (phase.name === "opening" && now - phase.since >= this.#limits.handshakeTimeoutMs) this.#close("handshake");
    if (phase.name === "http2" && !phase.session.destroyed) this.#checkHttp2(phase, now);
  }

  #checkHttp2(phase: Http2Phase, now: number): void {
    const limits = this.#limits;
    if (!phase.settled && now - phase.since >= limits.handshakeTimeoutMs) {
      this.#close("handshake");
      return;
    }
    this.#updateHttp2(phase, now);
    const idle = phase.idleSince === undefined ? 0 : now - phase.idleSince;
    // GOAWAY first; a peer that does not take it in time is cut off.
    if (idle >= limits.idleConnectionMs + limits.keepalive.pingTimeoutMs) this.#close("idle");
    else if (idle >= limits.idleConnectionMs) phase.session.close();
    else this.#checkPing(phase, now);
  }

  #updateHttp2(phase: Http2Phase, now: number): void {
    if (phase.streams > 0) phase.idleSince = undefined;
    else phase.idleSince ??= now;
    const bytes = this.socket.bytesRead;
    if (bytes !== phase.heardBytes) {
      phase.heardBytes = bytes;
      phase.heardAt = now;
    }
  }

  #checkPing(phase: Http2Phase, now: number): void {
    const { pingIntervalMs, pingTimeoutMs } = this.#limits.keepalive;
    const { ping } = phase;
    if (ping !== undefined) {
      if (now - ping.sentAt < pingTimeoutMs) return;
      // An answer queues behind what the peer is sending: with a call open, any byte shows that it
      // lives. With none, the only thing it can be sending for so long is a header block, in drips.
      if (phase.streams === 0 || phase.heardBytes === ping.heardBytes) this.#close("ping");
      else phase.ping = { sentAt: now, heardBytes: phase.heardBytes };
      return;
    }
    const quiet = now - phase.heardAt >= pingIntervalMs;
    const due = phase.streams === 0 && now - phase.pingedAt >= pingIntervalMs;
    if ((!quiet && !due) || phase.session.closed) return;
    phase.pingedAt = now;
    phase.ping = { sentAt: now, heardBytes: phase.heardBytes };
    phase.session.ping(() => {
      phase.ping = undefined;
    });
  }
}

export interface ConnectionLimits {
  /** To speak a protocol: TLS, then an HTTP/2 preface with SETTINGS, or the first byte of HTTP/1.1. */
  readonly handshakeTimeoutMs: number;
  readonly keepalive: Keepalive;
  /** An HTTP/2 connection without a call is closed after this long. */
  readonly idleConnectionMs: number;
}

interface Keepalive {
  /** A connection that was quiet for this long, or has no call, is sent a PING. */
  readonly pingIntervalMs: number;
  /** A peer that answers nothing for this long is gone. */
  readonly pingTimeoutMs: number;
}

type Phase = OpeningPhase | Http1Phase | Http2Phase;

interface OpeningPhase {
  readonly name: "opening";
  readonly since: number;
}

interface Http1Phase {
  readonly name: "http1";
  readonly socket: Socket;
  readonly responses: Set<ServerResponse<IncomingMessage>>;
}

interface Http2Phase {
  readonly name: "http2";
  readonly session: ServerHttp2Session;
  readonly since: number;
  /** The peer's SETTINGS, which end its preface, have arrived. */
  settled: boolean;
  streams: number;
  /** The first sweep that found no stream open. */
  idleSince: number | undefined;
  heardAt: number;
  heardBytes: number;
  pingedAt: number;
  ping: { readonly sentAt: number; readonly heardBytes: number } | undefined;
}

const LAST_STREAM_ID = 2 ** 31 - 1;
