import { crc32 } from "node:zlib";

/** A record is its length (u32, little endian), a crc32 of seq and bytes (u32), and the bytes. */
const RECORD_HEADER = 8;

export function recordBytes(event: Uint8Array): number {
  return RECORD_HEADER + event.length;
}

/** What the record at `at` takes, as it says of itself. */
export function recordBytesAt(buffer: Buffer, at: number): number {
  return buffer.length - at < RECORD_HEADER ? RECORD_HEADER : RECORD_HEADER + buffer.readUInt32LE(at);
}

export function encodeRecords(firstSeq: bigint, events: readonly Uint8Array[]): Buffer {
  const buffer = Buffer.allocUnsafe(events.reduce((sum, event) => sum + recordBytes(event), 0));
  let at = 0;
  let seq = firstSeq;
  for (const event of events) {
    buffer.writeUInt32LE(event.length, at);
    buffer.writeUInt32LE(checksum(seq, event), at + 4);
    buffer.set(event, at + RECORD_HEADER);
    at += recordBytes(event);
    seq += 1n;
  }
  return buffer;
}

/**
 * The record of `seq` at `at`: the bytes; `short` with how many bytes from `at` it takes, when the
 * buffer ends before it does; or `bad` when these bytes are no such record. No record is empty, so
 * that zeroes a crash left are none.
 */
export function decodeRecord(buffer: Buffer, at: number, seq: bigint): Decoded {
  if (buffer.length - at < RECORD_HEADER) return { kind: "short", needs: RECORD_HEADER };
  const length = buffer.readUInt32LE(at);
  if (length === 0) return { kind: "bad" };
  const needs = RECORD_HEADER + length;
  if (buffer.length - at < needs) return { kind: "short", needs };
  const event = buffer.subarray(at + RECORD_HEADER, at + needs);
  return buffer.readUInt32LE(at + 4) === checksum(seq, event) ? { kind: "record", event, needs } : { kind: "bad" };
}

export type Decoded =
  | { readonly kind: "record"; readonly event: Uint8Array; readonly needs: number }
  | { readonly kind: "short"; readonly needs: number }
  | { readonly kind: "bad" };

const seqBytes = Buffer.alloc(8);

/** The seq is part of it, so that a record in the wrong place is a bad one. */
function checksum(seq: bigint, event: Uint8Array): number {
  seqBytes.writeBigUInt64LE(seq);
  return crc32(event, crc32(seqBytes));
}
