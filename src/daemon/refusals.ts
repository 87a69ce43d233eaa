const PLAINTEXT_TEXT = "This port speaks TLS: use https.\n";
/** What a peer is told that speaks plain text where TLS is asked for. */
export const PLAINTEXT_HTTP1 = Buffer.from(
  `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: ${PLAINTEXT_TEXT.length}\r\nConnection: close\r\n\r\n${PLAINTEXT_TEXT}`,
);
/** An empty SETTINGS, which must come first, and GOAWAY with INADEQUATE_SECURITY (RFC 9113, 7). */
export const PLAINTEXT_HTTP2 = Buffer.concat([
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
  Buffer.from([0, 0, 8 + PLAINTEXT_TEXT.length, 7, 0, 0, 0, 0, 0]),
  Buffer.from([0, 0, 0, 0, 0, 0, 0, 0x0c]),
  Buffer.from(PLAINTEXT_TEXT),
]);
/** Fatal handshake_failure (RFC 8446, 6): clients say what it is, where a reset would puzzle. */
export const TLS_ALERT_HANDSHAKE_FAILURE = Buffer.from([0x15, 3, 1, 0, 2, 2, 40]);
