import { loadSharp } from "./images.ts";

/**
 * The difference hash of a picture: whether each of 8 by 8 places is brighter than the one right of
 * it, on a grey copy of 9 by 8. Pictures that look alike differ in few bits. 16 hexadecimal digits.
 */
export async function differenceHash(data: Uint8Array): Promise<string> {
  const sharp = await loadSharp();
  const pixels = await sharp(data).greyscale().resize(9, 8, { fit: "fill" }).raw().toBuffer();
  let bits = 0n;
  for (let y = 0; y < 8; y++) {
    for (let x = 0; x < 8; x++) {
      bits = (bits << 1n) | ((pixels[y * 9 + x] ?? 0) > (pixels[y * 9 + x + 1] ?? 0) ? 1n : 0n);
    }
  }
  return bits.toString(16).padStart(16, "0");
}

/** Hashes that differ in so many bits are of pictures that look alike. */
export const ALIKE_BITS = 3;

/**
 * Hashes seen so far, and those among them that are like a given one. Two that differ in at most
 * three bits are equal in one of four parts.
 */
export class AlikeIndex {
  readonly #parts = Array.from({ length: ALIKE_BITS + 1 }, () => new Map<string, string[]>());
  readonly #all = new Set<string>();

  /** Those like it, itself among them if it was seen; then it counts as seen. */
  add(hash: string): string[] {
    const found = new Set<string>();
    for (const [part, byValue] of this.#parts.entries()) {
      const value = hash.slice(part * 4, part * 4 + 4);
      const same = byValue.get(value) ?? [];
      for (const other of same) if (distance(hash, other) <= ALIKE_BITS) found.add(other);
      if (this.#all.has(hash)) continue;
      same.push(hash);
      byValue.set(value, same);
    }
    this.#all.add(hash);
    return [...found];
  }
}

function distance(a: string, b: string): number {
  let bits = BigInt(`0x${a}`) ^ BigInt(`0x${b}`);
  let count = 0;
  for (; bits > 0n; bits &= bits - 1n) count += 1;
  return count;
}
