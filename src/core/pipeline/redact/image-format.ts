/** What an image file says of itself before it is decoded. */
export interface ImageFormat {
  readonly name: "png" | "jpeg" | "webp";
  readonly animated: boolean;
  /** It holds nothing but what is needed to show it: no EXIF, XMP, comments, times, nothing behind its end. */
  readonly bare: boolean;
}

/** Undefined for anything but PNG, JPEG and WebP, which are what screenshots come as; a file that ends too early is not bare. */
export function readImageFormat(bytes: Uint8Array): ImageFormat | undefined {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (data.subarray(0, 8).equals(PNG)) return { name: "png", ...readPng(data) };
  if (data.subarray(0, 3).equals(JPEG)) return { name: "jpeg", animated: false, bare: isBareJpeg(data) };
  if (data.toString("latin1", 0, 4) === "RIFF" && data.toString("latin1", 8, 12) === "WEBP") {
    return { name: "webp", ...readWebp(data) };
  }
  return undefined;
}

type Facts = Omit<ImageFormat, "name">;

const PNG = Buffer.from("89504e470d0a1a0a", "hex");
const JPEG = Buffer.from("ffd8ff", "hex");

/** PNG, third edition: chunks that say how to show the pixels. */
export const PNG_CHUNKS: ReadonlySet<string> = new Set(
  "IHDR PLTE IDAT IEND tRNS cHRM gAMA sBIT sRGB cICP mDCV cLLI bKGD pHYs hIST".split(" "),
);

function readPng(data: Buffer): Facts {
  let bare = true;
  let animated = false;
  let at = 8;
  while (at + 12 <= data.length) {
    const length = data.readUInt32BE(at);
    const type = data.toString("latin1", at + 4, at + 8);
    animated ||= type === "acTL";
    bare &&= PNG_CHUNKS.has(type);
    at += 12 + length;
    if (type === "IEND") return { animated, bare: bare && at === data.length };
  }
  return { animated, bare: false };
}

/** WebP container specification. */
export const WEBP_CHUNKS: ReadonlySet<string> = new Set(["VP8 ", "VP8L", "VP8X", "ALPH"]);

function readWebp(data: Buffer): Facts {
  let bare = data.length >= 12 && data.readUInt32LE(4) + 8 === data.length;
  let animated = false;
  let at = 12;
  while (at + 8 <= data.length) {
    const type = data.toString("latin1", at, at + 4);
    const length = data.readUInt32LE(at + 4);
    animated ||= type === "ANIM" || type === "ANMF";
    bare &&= WEBP_CHUNKS.has(type);
    at += 8 + length + (length % 2);
  }
  return { animated, bare: bare && at === data.length };
}

/** ITU-T T.81, annex B: frames, tables, restart intervals; JFIF without a thumbnail, and Adobe's colour transform. */
function isBareJpeg(data: Buffer): boolean {
  let at = 2;
  while (at + 4 <= data.length && data[at] === 0xff) {
    const marker = data[at + 1] ?? 0;
    const length = data.readUInt16BE(at + 2);
    if (marker === 0xda) return endsWithScan(data, at + 2 + length);
    if (!isPlainSegment(marker, data.subarray(at + 4, at + 2 + length))) return false;
    at += 2 + length;
  }
  return false;
}

function isPlainSegment(marker: number, content: Buffer): boolean {
  if (marker === 0xe0) return content.length === 14 && content.toString("latin1", 0, 5) === "JFIF\0";
  if (marker === 0xee) return content.length === 12 && content.toString("latin1", 0, 5) === "Adobe";
  return (marker >= 0xc0 && marker <= 0xcf) || marker === 0xdb || marker === 0xdd;
}

/** Between scans of a progressive image stand tables; behind the last one only the end. */
function endsWithScan(data: Buffer, start: number): boolean {
  let at = start;
  for (;;) {
    at = data.indexOf(0xff, at);
    if (at === -1 || at + 1 >= data.length) return false;
    const marker = data[at + 1] ?? 0;
    if (marker === 0xd9) return at + 2 === data.length;
    if (marker === 0x00 || marker === 0xff || (marker >= 0xd0 && marker <= 0xd7)) {
      at += marker === 0xff ? 1 : 2;
      continue;
    }
    if (at + 4 > data.length) return false;
    const length = data.readUInt16BE(at + 2);
    if (marker !== 0xda && !isPlainSegment(marker, data.subarray(at + 4, at + 2 + length))) return false;
    at += 2 + length;
  }
}
