import { createHash } from "node:crypto";

/** The same bytes for the same number, 1 to about 100,000 of them. */
export function madeUpBlob(number: number): Buffer {
  const seed = createHash("sha256").update(`blob ${number}`).digest();
  return Buffer.alloc(1 + (seed.readUInt32LE(0) % 100_000), seed);
}
