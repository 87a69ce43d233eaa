import { createHash } from "node:crypto";
import type { NewBlob } from "../../store/store.ts";
import type { TraceFiles } from "./files.ts";

/** A picture of a trace, as a blob. */
export interface Shot extends NewBlob {
  readonly file: string;
  readonly width: number;
  readonly height: number;
}

/** Reads the pictures that a trace names. */
export class Shots {
  readonly #files: TraceFiles;
  /** Calls that follow one another are often of one picture. */
  #last: { readonly file: string; readonly shot: Shot | undefined } | undefined;

  constructor(files: TraceFiles) {
    this.#files = files;
  }

  /** undefined when it is not there, or is no PNG, JPEG or WebP by its content. */
  async read(file: string, signal: AbortSignal): Promise<Shot | undefined> {
    if (this.#last?.file !== file) this.#last = { file, shot: await this.#look(file, signal) };
    return this.#last.shot;
  }

  async #look(file: string, signal: AbortSignal): Promise<Shot | undefined> {
    const size = await this.#files.sizeOf(file, signal);
    if (size === undefined || size > MAX_IMAGE_BYTES) return undefined;
    const chunks: Buffer[] = [];
    for await (const chunk of this.#files.read(file, signal)) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const kind = await kindOf(bytes);
    if (kind === undefined) return undefined;
    return { ...kind, file, id: createHash("sha256").update(bytes).digest("hex"), size: bytes.length };
  }
}

/** What an image is by its own bytes, whatever its name or the trace says. */
async function kindOf(bytes: Buffer): Promise<Pick<Shot, "mediaType" | "width" | "height"> | undefined> {
  const mediaType = mediaTypeOf(bytes);
  if (mediaType === undefined) return undefined;
  const { default: sharp } = await import("sharp");
  try {
    // Reads its head alone.
    const { width, height } = await sharp(bytes, { limitInputPixels: false }).metadata();
    return { mediaType, width, height };
  } catch {
    return undefined;
  }
}

function mediaTypeOf(bytes: Buffer): string | undefined {
  const head = bytes.toString("latin1", 0, 12);
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (head.startsWith("\xff\xd8\xff")) return "image/jpeg";
  return head.startsWith("RIFF") && head.endsWith("WEBP") ? "image/webp" : undefined;
}

/** What a blob may have at most. */
const MAX_IMAGE_BYTES = 64 * 1024 * 1024;
