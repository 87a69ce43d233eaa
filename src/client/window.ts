/**
 * What was sent and is not acknowledged yet, against the credit the daemon gives. Sizes are upper
 * bounds of encoded frames, so that the true number never exceeds the credit.
 */
export class Window {
  credit = 0;
  #events: Sent[] = [];
  #blobs = new Map<string, Sent[]>();
  #eventBytes = 0;
  #blobBytes = 0;

  get unacked(): number {
    return this.#eventBytes + this.#blobBytes;
  }

  get eventBytes(): number {
    return this.#eventBytes;
  }

  get blobBytes(): number {
    return this.#blobBytes;
  }

  /** Bytes that may be sent now. */
  get room(): number {
    return Math.max(0, this.credit - this.unacked);
  }

  /**
   * Whether a frame may be sent. One that is larger than all the credit may go when nothing else
   * is under way, since it could never go otherwise.
   */
  fits(bytes: number): boolean {
    return this.unacked === 0 ? this.credit > 0 : bytes <= this.room;
  }

  chargeEvents(lastSeq: bigint, bytes: number): void {
    this.#events.push({ end: lastSeq, bytes });
    this.#eventBytes += bytes;
  }

  chargeBlob(id: string, end: number, bytes: number): void {
    const sent = this.#blobs.get(id) ?? [];
    sent.push({ end: BigInt(end), bytes });
    this.#blobs.set(id, sent);
    this.#blobBytes += bytes;
  }

  ackEvents(durableSeq: bigint): void {
    this.#eventBytes -= takeThrough(this.#events, durableSeq);
  }

  ackBlob(id: string, received: bigint): void {
    const sent = this.#blobs.get(id);
    if (sent !== undefined) this.#blobBytes -= takeThrough(sent, received);
    if (sent?.length === 0) this.#blobs.delete(id);
  }

  /** Nothing of this blob is under way any more. */
  releaseBlob(id: string): void {
    for (const { bytes } of this.#blobs.get(id) ?? []) this.#blobBytes -= bytes;
    this.#blobs.delete(id);
  }
}

interface Sent {
  readonly end: bigint;
  readonly bytes: number;
}

function takeThrough(sent: Sent[], end: bigint): number {
  let bytes = 0;
  let count = 0;
  for (const frame of sent) {
    if (frame.end > end) break;
    bytes += frame.bytes;
    count += 1;
  }
  sent.splice(0, count);
  return bytes;
}
