/**
 * Gives the memory under `bytes` back at once; to the collector a quarter of a megabyte is a small
 * object. For who is the last to need it, and knows that nothing else lies in the same buffer: of
 * those that share one only Node's pool is recognised, by its size, and left alone.
 */
export function giveBack(bytes: Uint8Array | undefined): void {
  if (bytes === undefined || !(bytes.buffer instanceof ArrayBuffer)) return;
  if (bytes.buffer.byteLength !== Buffer.poolSize) bytes.buffer.transfer(0);
}
