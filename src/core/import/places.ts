/** Which of a source's items, by number, the events read last were told of. */
export class Places {
  readonly #items = new Float64Array(KNOWN_PLACES).fill(-1);
  readonly #seqs = new BigInt64Array(KNOWN_PLACES);

  set(seq: bigint, item: number): void {
    const slot = Number(seq % BigInt(KNOWN_PLACES));
    this.#items[slot] = item;
    this.#seqs[slot] = seq;
  }

  /** undefined of one that was read long ago, or was not. */
  of(seq: bigint): number | undefined {
    const slot = Number(seq % BigInt(KNOWN_PLACES));
    return this.#seqs[slot] === seq ? this.#items[slot] : undefined;
  }
}

const KNOWN_PLACES = 16 * 1024;
