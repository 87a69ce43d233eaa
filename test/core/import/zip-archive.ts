import { crc32, deflateRawSync } from "node:zlib";

/** A file to put into an archive, and what the archive is to say of it that is not so. */
export interface ZippedFile {
  readonly name: string;
  readonly bytes?: string | Buffer;
  readonly method?: number;
  readonly flags?: number;
  readonly mode?: number;
  readonly size?: number;
  readonly crc?: number;
  /** Index of the file whose bytes are this one's too. */
  readonly over?: number;
}

/** A zip archive, or what looks like one. `count` is how many entries it says it has. */
export function zipArchive(files: readonly ZippedFile[], count = files.length): Buffer {
  const parts: Buffer[] = [];
  const headers: Buffer[] = [];
  const offsets: number[] = [];
  let length = 0;
  for (const file of files) {
    const name = Buffer.from(file.name);
    const plain = Buffer.from(file.bytes ?? "");
    const method = file.method ?? 8;
    const stored = method === 8 ? deflateRawSync(plain) : plain;
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(20, 0);
    shared.writeUInt16LE(file.flags ?? UTF_8, 2);
    shared.writeUInt16LE(method, 4);
    shared.writeUInt32LE(file.crc ?? crc32(plain), 10);
    shared.writeUInt32LE(stored.length, 14);
    shared.writeUInt32LE(file.size ?? plain.length, 18);
    shared.writeUInt16LE(name.length, 22);
    const own = [Buffer.from("PK\x03\x04"), shared, name, stored];
    offsets.push(file.over === undefined ? length : (offsets[file.over] ?? 0));
    if (file.over === undefined) {
      parts.push(...own);
      length += own.reduce((sum, part) => sum + part.length, 0);
    }
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(((file.mode ?? 0o100644) << 16) >>> 0, 6);
    rest.writeUInt32LE(offsets.at(-1) ?? 0, 10);
    headers.push(Buffer.from("PK\x01\x02"), Buffer.from([20, 3]), shared, rest, name);
  }
  const directory = Buffer.concat(headers);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(count % 65_536, 4);
  end.writeUInt16LE(count % 65_536, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(length, 12);
  return Buffer.concat([...parts, directory, Buffer.from("PK\x05\x06"), end]);
}

const UTF_8 = 0x800;
