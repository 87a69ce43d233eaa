import type { Socket } from "node:net";

/** What a connection speaks, by its first bytes. */
export type Protocol = "tls" | "http2" | "http1";

/**
 * Reads as many bytes as it takes to know what the peer speaks, puts them back, and calls `found`
 * once, in the same tick, with the socket paused and none of these listeners left on it. Never
 * calls it when the socket closes first. The wait has no deadline of its own.
 */
export function sniff(socket: Socket, found: (protocol: Protocol) => void): void {
  let seen: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const protocol = protocolOf(seen);
    if (protocol === undefined) return;
    socket.off("data", onData);
    socket.off("end", onEnd);
    socket.pause();
    socket.unshift(seen);
    found(protocol);
  };
  // The peer is done without having said enough to be answered.
  const onEnd = () => socket.destroy();
  socket.on("data", onData);
  socket.on("end", onEnd);
}

/** How an HTTP/2 connection begins (RFC 9113, 3.4). No HTTP/1.1 request can begin so. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
/** The content type of a TLS handshake record (RFC 8446, 5.1). */
const TLS_HANDSHAKE = 0x16;

/** undefined while the bytes could still become HTTP/2 or HTTP/1.1: "P" begins both. */
function protocolOf(seen: Buffer): Protocol | undefined {
  if (seen[0] === TLS_HANDSHAKE) return "tls";
  const length = Math.min(seen.length, PREFACE.length);
  if (seen.compare(PREFACE, 0, length, 0, length) !== 0) return "http1";
  return length === PREFACE.length ? "http2" : undefined;
}
