import { access } from "node:fs/promises";
import { join } from "node:path";
import type { BlobStore } from "../blobs/blobs.ts";
import { AppError } from "../errors.ts";
import { sha256 } from "../pipeline/canonical.ts";
import { readImageFormat } from "../pipeline/redact/image-format.ts";
import { writeWhole } from "./export-file.ts";
import { type ExportImage, imagePath } from "./exporter.ts";

/** Reads redacted screenshots as they are to be published: none longer than `maxEdge` pixels. */
export class Images {
  readonly #derived: BlobStore;
  readonly #project: string;
  readonly #maxEdge: number | undefined;
  /** Images that were made smaller. */
  resized = 0;

  constructor(derived: BlobStore, project: string, maxEdge: number | undefined) {
    this.#derived = derived;
    this.#project = project;
    this.#maxEdge = maxEdge;
  }

  /** Fails with `not_found` BLOB_NOT_FOUND, `data_loss` BLOB_CORRUPT or NOT_AN_IMAGE. */
  async read(blob: string, signal: AbortSignal): Promise<ExportImage> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.#derived.read(this.#project, blob, signal)) chunks.push(chunk);
    const image = await imageOf(Buffer.concat(chunks), blob);
    const longest = Math.max(image.width, image.height);
    if (this.#maxEdge === undefined || longest <= this.#maxEdge) return image;
    this.resized += 1;
    const edge = this.#maxEdge;
    const sharp = await loadSharp();
    const smaller = sharp(image.data).resize({ width: edge, height: edge, fit: "inside" });
    return await imageOf(await smaller.webp({ quality: RESIZED_QUALITY }).toBuffer(), blob);
  }
}

const RESIZED_QUALITY = 90;

/** An image of these bytes. Fails with `data_loss` NOT_AN_IMAGE, naming the blob. */
export async function imageOf(data: Uint8Array, blob: string): Promise<ExportImage> {
  const format = readImageFormat(data);
  if (format === undefined) {
    throw new AppError("data_loss", `The screenshot ${blob} is no PNG, JPEG or WebP; redact its session again.`, {
      reason: "NOT_AN_IMAGE",
      metadata: { blob },
    });
  }
  const sharp = await loadSharp();
  const { width, height } = await sharp(data).metadata();
  return { id: sha256(data), data, mediaType: `image/${format.name}`, width, height };
}

/** Puts an image beside the lines that name it, once. Returns its path within the export. */
export async function shelve(dir: string, image: ExportImage): Promise<string> {
  const path = imagePath(image);
  const file = join(dir, path);
  const there = await access(file).then(
    () => true,
    () => false,
  );
  if (!there) await writeWhole(file, image.data);
  return path;
}

/** Loaded with the first image, as it brings libvips with it. */
export async function loadSharp() {
  const { default: sharp } = await import("sharp");
  sharp.cache(false);
  sharp.concurrency(1);
  return sharp;
}
