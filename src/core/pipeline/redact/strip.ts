import { type ImageFormat, PNG_CHUNKS, WEBP_CHUNKS } from "./image-format.ts";

/**
 * The file with what is needed to show the picture and nothing else, its compressed pixels as they
 * were. How it is shown may change: an orientation and a colour profile go too. What can't be taken
 * apart comes back as it is, or broken off; whoever uses it decodes it first.
 */
export function stripImage(bytes: Uint8Array, name: ImageFormat["name"]): Buffer {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (name === "png") return stripPng(data);
  return name === "webp" ? stripWebp(data) : stripJpeg(data);
}

function stripPng(data: Buffer): Buffer {
  const kept = [data.subarray(0, 8)];
  for (let at = 8; at + 12 <= data.length; ) {
    const end = at + 12 + data.readUInt32BE(at);
    const type = data.toString("latin1", at + 4, at + 8);
    if (PNG_CHUNKS.has(type)) kept.push(data.subarray(at, end));
    if (type === "IEND") break;
    at = end;
  }
  return Buffer.concat(kept);
}

/** Which chunks a WebP has stands in the first: profile, EXIF, XMP. */
const WEBP_EXTRAS = 0x20 | 0x08 | 0x04;

function stripWebp(data: Buffer): Buffer {
  const kept: Buffer[] = [];
  const end = Math.min(data.length, data.readUInt32LE(4) + 8);
  for (let at = 12; at + 8 <= end; ) {
    const length = data.readUInt32LE(at + 4);
    const next = at + 8 + length + (length % 2);
    const type = data.toString("latin1", at, at + 4);
    const chunk = Buffer.from(data.subarray(at, next));
    if (type === "VP8X" && chunk.length > 8) chunk[8] = (chunk[8] ?? 0) & ~WEBP_EXTRAS;
    if (WEBP_CHUNKS.has(type)) kept.push(chunk);
    at = next;
  }
  const header = Buffer.from(data.subarray(0, 12));
  header.writeUInt32LE(4 + kept.reduce((sum, chunk) => sum + chunk.length, 0), 4);
  return Buffer.concat([header, ...kept]);
}

/** Application segments and comments go, but Adobe's, which tells how colours are coded; so does what is behind the end. */
function stripJpeg(data: Buffer): Buffer {
  const kept = [data.subarray(0, 2)];
  let at = 2;
  while (at + 4 <= data.length && data[at] === 0xff && data[at + 1] !== 0xda) {
    const marker = data[at + 1] ?? 0;
    const end = at + 2 + data.readUInt16BE(at + 2);
    const segment = data.subarray(at, end);
    const adobe = marker === 0xee && segment.length === 16;
    if (adobe || !((marker >= 0xe0 && marker <= 0xef) || marker === 0xfe)) kept.push(segment);
    at = end;
  }
  const last = data.lastIndexOf(Buffer.from([0xff, 0xd9]));
  kept.push(data.subarray(at, last < at ? data.length : last + 2));
  return Buffer.concat(kept);
}
