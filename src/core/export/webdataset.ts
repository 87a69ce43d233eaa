import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { createTarDecoder, packTar } from "modern-tar";
import { EPOCH } from "../clock.ts";
import { messagesOf } from "./conversation.ts";
import type { Exporter, ExportImage, ExportWriter, Outcome } from "./exporter.ts";
import { Shards } from "./shards.ts";

/** Two empty blocks end an archive. */
const ENDING = new Uint8Array(1024);
const FORM = { extension: "tar", maxBytes: 1_000_000_000, ending: ENDING };
const EXTENSIONS = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp" } as const;

/**
 * Shards as WebDataset reads them: tar archives in which the files of an example follow one another
 * and share a name up to the first dot. https://github.com/webdataset/webdataset
 */
export const webdataset: Exporter = {
  name: "webdataset",
  description: "tar shards for WebDataset: a .json and an image for each example",
  async *read(path, signal) {
    const bytes = Readable.toWeb(createReadStream(path, { signal }));
    let example: { name: string; parts: unknown[] } | undefined;
    for await (const { header, body } of bytes.pipeThrough(createTarDecoder({ strict: true }))) {
      const [name = "", extension] = header.name.split(".");
      const data = new Uint8Array(await new Response(body).arrayBuffer());
      if (example !== undefined && example.name !== name) yield example;
      if (example?.name !== name) example = { name, parts: [] };
      example.parts.push(extension === "json" ? JSON.parse(Buffer.from(data).toString("utf8")) : data);
    }
    if (example !== undefined) yield example;
  },
  async open({ dir }, state): Promise<ExportWriter> {
    const shards = await Shards.open(dir, FORM, state);
    return {
      async write({ split, steps, image }, signal) {
        const outcomes: Outcome[] = [];
        for (const step of steps) {
          signal.throwIfAborted();
          const { screenshot } = step.observation;
          const seen = screenshot && (await image(screenshot));
          const name = String(shards.count(split)).padStart(9, "0");
          const json = Buffer.from(JSON.stringify({ id: step.id, messages: messagesOf(step) }));
          outcomes.push({ id: step.id, ...(await shards.append(split, await members(name, json, seen))) });
        }
        return outcomes;
      },
      checkpoint: () => shards.checkpoint(),
      finish: () => shards.finish(),
      [Symbol.asyncDispose]: () => shards[Symbol.asyncDispose](),
    };
  },
};

/** The example's files as they stand in the archive, without its end. */
async function members(name: string, json: Uint8Array, image: ExportImage | undefined): Promise<Uint8Array> {
  const member = (file: string, data: Uint8Array) => ({
    header: { name: file, size: data.length, mode: 0o644, mtime: EPOCH, uid: 0, gid: 0 },
    body: data,
  });
  const archive = await packTar([
    member(`${name}.json`, json),
    ...(image ? [member(`${name}.${EXTENSIONS[image.mediaType]}`, image.data)] : []),
  ]);
  return archive.subarray(0, archive.length - ENDING.length);
}
