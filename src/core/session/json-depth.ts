/**
 * Whether JSON text nests deeper than `limit`. Text with no more than `limit` opening brackets
 * can't, and counting those four bytes at a time costs a fifth of following the text.
 */
export function nestsDeeper(bytes: Uint8Array, start: number, end: number, limit: number): boolean {
  if (end - start <= limit || countOpeners(bytes, start, end) <= limit) return false;
  let depth = 0;
  let index = start;
  while (index < end) {
    const kind = KINDS[bytes[index++] ?? 0];
    if (kind === PLAIN) continue;
    if (kind === QUOTE) index = afterString(bytes, index, end);
    else if (kind === CLOSER) depth--;
    else if (++depth > limit) return true;
  }
  return false;
}

function afterString(bytes: Uint8Array, start: number, end: number): number {
  let index = start;
  while (index < end) {
    const byte = bytes[index++];
    if (byte === DOUBLE_QUOTE) return index;
    if (byte === BACKSLASH) index++;
  }
  return index;
}

const DOUBLE_QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BRACE = 0x7b;
const PLAIN = 0;
const QUOTE = 1;
const OPENER = 2;
const CLOSER = 3;

const KINDS = new Uint8Array(256);
KINDS[DOUBLE_QUOTE] = QUOTE;
for (const character of "[{") KINDS[character.charCodeAt(0)] = OPENER;
for (const character of "]}") KINDS[character.charCodeAt(0)] = CLOSER;

/** Counts "[" and "{". They differ in one bit: with it set both are 0x7b. */
function countOpeners(bytes: Uint8Array, start: number, end: number): number {
  let count = 0;
  let index = start;
  for (; index < end && ((bytes.byteOffset + index) & 3) !== 0; index++) count += isOpener(bytes[index]);
  if (index === end) return count;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + index, (end - index) >> 2);
  const length = words.length;
  for (let at = 0; at < length; at++) {
    const mixed = ((words[at] ?? 0) | 0x20202020) ^ 0x7b7b7b7b;
    // The top bit of each byte of `zeros` is set where `mixed` has a zero byte; multiplying adds the four up.
    const zeros = ~(((mixed & 0x7f7f7f7f) + 0x7f7f7f7f) | mixed | 0x7f7f7f7f);
    if (zeros !== 0) count += Math.imul(zeros >>> 7, 0x01010101) >>> 24;
  }
  for (index += length * 4; index < end; index++) count += isOpener(bytes[index]);
  return count;
}

function isOpener(byte: number | undefined): number {
  return byte !== undefined && (byte | 0x20) === BRACE ? 1 : 0;
}
