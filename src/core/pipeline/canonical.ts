import { createHash } from "node:crypto";
import canonicalize from "canonicalize";

/**
 * JSON in its canonical form (RFC 8785): the same value is the same text, whatever order its keys
 * were set in. Fails on what JSON can't say: NaN, infinities, lone surrogates, cycles.
 */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("undefined has no JSON");
  return text;
}

/** Lower-case hexadecimal. */
export function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
