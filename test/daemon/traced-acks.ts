import { fromBinary } from "@bufbuild/protobuf";
import { type Ack, UploadResponseSchema } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { parseSyscalls, type Syscall } from "../core/blobs/syscalls.ts";

/** The options of strace that make a trace `findAcks` reads. */
export const STRACE = [
  ...["strace", "-f", "--seccomp-bpf", "-yy", "-xx", "-s", "1048576"],
  ...["-e", "trace=write,writev,sendmsg,sendto,pwrite64,pwritev,fdatasync,fsync,rename"],
] as const;

/** An ack that a daemon wrote to a TCP socket over gRPC, and the call that wrote its first byte. */
export interface WrittenAck {
  readonly ack: Ack;
  readonly written: Syscall;
}

/** The calls of a trace, with the hexadecimal names of files and sockets readable. */
export function parseTrace(trace: string): Syscall[] {
  return parseSyscalls(trace.replace(/<((?:\\x[0-9a-f]{2})+)>/g, (_, hex: string) => `<${bytesOf(hex)}>`));
}

/** Every ack of the trace, in the order they were written. */
export function findAcks(calls: readonly Syscall[]): WrittenAck[] {
  const sent = Map.groupBy(
    calls.filter(({ name }) => /^(write|writev|sendmsg|sendto)$/.test(name)),
    ({ text }) => /^\d+<(TCP[^>]*>?[^>]*)>/.exec(text)?.[1],
  );
  const acks: WrittenAck[] = [];
  for (const [socket, writes] of sent) if (socket !== undefined) acks.push(...acksOn(writes));
  return acks.toSorted((a, b) => a.written.began - b.written.began);
}

function acksOn(writes: readonly Syscall[]): WrittenAck[] {
  const connection = Buffer.concat(writes.map(writtenBytes));
  /** Where in the connection each write ends. */
  const ends: number[] = [];
  for (const write of writes) ends.push((ends.at(-1) ?? 0) + writtenBytes(write).length);
  const writeAt = (position: number): Syscall | undefined => writes[ends.findIndex((end) => position < end)];

  const acks: WrittenAck[] = [];
  for (const message of messagesOf(connection)) {
    const { frame } = fromBinary(UploadResponseSchema, message.bytes);
    const written = writeAt(message.position);
    if (frame.case === "ack" && written !== undefined) acks.push({ ack: frame.value, written });
  }
  return acks;
}

interface Message {
  readonly bytes: Buffer;
  /** Of its first byte in the connection. */
  readonly position: number;
}

/** The gRPC messages in the DATA frames (RFC 9113, section 6.1) that a server wrote. */
function* messagesOf(connection: Buffer): Generator<Message> {
  const streams = new Map<number, { bytes: Buffer; positions: number[] }>();
  for (let at = 0; at + FRAME_HEADER <= connection.length; ) {
    const length = connection.readUIntBE(at, 3);
    const [type, flags, stream] = [connection[at + 3], connection[at + 4] ?? 0, connection.readUInt32BE(at + 5)];
    const payload = connection.subarray(at + FRAME_HEADER, at + FRAME_HEADER + length);
    if (type === DATA) {
      if ((flags & PADDED) !== 0) throw new Error("a padded DATA frame");
      const known = streams.get(stream) ?? { bytes: Buffer.alloc(0), positions: [] };
      known.bytes = Buffer.concat([known.bytes, payload]);
      for (let index = 0; index < length; index++) known.positions.push(at + FRAME_HEADER + index);
      streams.set(stream, known);
    }
    at += FRAME_HEADER + length;
  }
  for (const { bytes, positions } of streams.values()) {
    for (let at = 0; at + MESSAGE_HEADER <= bytes.length; ) {
      const end = at + MESSAGE_HEADER + bytes.readUInt32BE(at + 1);
      if (bytes[at] === 0) yield { bytes: bytes.subarray(at + MESSAGE_HEADER, end), position: positions[at] ?? 0 };
      at = end;
    }
  }
}

const FRAME_HEADER = 9;
const DATA = 0;
const PADDED = 8;
/** Compressed flag and length. */
const MESSAGE_HEADER = 5;

/** What a call put on the socket: all its buffers, as far as its result says they went. */
function writtenBytes({ text }: Syscall): Buffer {
  const buffers = Array.from(text.matchAll(/"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?/g), ([, hex = "", cut]) => {
    if (cut !== undefined) throw new Error("strace cut a buffer off");
    return bytesOf(hex);
  });
  const result = Number(/= (-?\d+)(?: [A-Z]+ \(.*\))?$/.exec(text)?.[1] ?? 0);
  return Buffer.concat(buffers).subarray(0, Math.max(0, result));
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll("\\x", ""), "hex");
}
