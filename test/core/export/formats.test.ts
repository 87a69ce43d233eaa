import { execFileSync } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { tableFromIPC } from "apache-arrow";
import { readParquet } from "parquet-wasm";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { exporterNamed } from "../../../src/core/export/formats.ts";
import { sha256 } from "../../../src/core/pipeline/canonical.ts";
import type { Workplace } from "../../cli/sluice.ts";
import { never } from "../../fixtures.ts";
import { exportOf, processed, SAMPLE } from "./place.ts";

let place: Workplace;
beforeAll(async () => {
  place = await processed([`${SAMPLE}return-policy-lookup`, `${SAMPLE}filter-and-compare`]);
}, 120_000);
afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
});

function exported(format: string, name: string, ...flags: string[]): Promise<string> {
  return exportOf(place, format, name, ...flags);
}

const MESSAGE = z.strictObject({ role: z.string(), content: z.unknown() });
const LINE = z.looseObject({ messages: z.array(MESSAGE), images: z.array(z.string()) });

async function linesOf(dir: string, split = "train"): Promise<unknown[]> {
  const text = await readFile(join(dir, "data", split, "00000.jsonl"), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
}

describe("a format", () => {
  test("ndjson has every field of every step, and its screenshot as a file", async () => {
    const dir = await exported("ndjson", "nd");
    const lines = z.array(z.looseObject({ id: z.string(), image: z.string().optional() })).parse(await linesOf(dir));
    const result = await place.sluice(["sessions", "result", "return-policy-lookup", "--stage", "assemble"]);
    const { steps } = z.object({ steps: z.array(z.looseObject({ id: z.string() })) }).parse(JSON.parse(result.stdout));
    expect(steps.length).toBeGreaterThan(5);
    for (const step of steps) {
      const { image, ...line } = lines.find(({ id }) => id === step.id) ?? { id: "" };
      expect(line).toEqual(step);
      if (image !== undefined) expect(image).toContain(sha256(await readFile(join(dir, image))));
    }
  });

  test("trl has an image part for each image, and each image can be opened", async () => {
    const dir = await exported("trl", "trl");
    const PARTS = z.array(z.looseObject({ type: z.string() }));
    const lines = z.array(LINE).parse(await linesOf(dir));
    expect(lines.length).toBeGreaterThan(10);
    for (const { messages, images } of lines) {
      expect(messages.map(({ role }) => role)).toEqual(["system", "user", "assistant"]);
      const parts = messages.flatMap(({ content }) => PARTS.parse(content));
      expect(parts.filter(({ type }) => type === "image")).toHaveLength(images.length);
      for (const image of images) expect((await sharp(join(dir, image)).metadata()).width).toBe(1280);
    }
  });

  test("sharegpt has as many <image> as images, and dataset_info.json names its columns", async () => {
    const dir = await exported("sharegpt", "sg");
    const info = z
      .record(z.string(), z.looseObject({ file_name: z.string(), columns: z.record(z.string(), z.string()) }))
      .parse(JSON.parse(await readFile(join(dir, "dataset_info.json"), "utf8")));
    expect(Object.keys(info)).toEqual(["sluice_train"]);
    const lines = z.array(LINE).parse(await linesOf(dir));
    for (const line of lines) {
      const text = line.messages.map(({ content }) => String(content)).join("");
      expect(text.split("<image>")).toHaveLength(line.images.length + 1);
      for (const column of Object.values(info["sluice_train"]?.columns ?? {})) expect(line).toHaveProperty(column);
    }
    expect(await readdir(join(dir, info["sluice_train"]?.file_name ?? ""))).toEqual(["00000.jsonl"]);
  });

  test("chat has images in the user's message alone, as PNG, JPEG or WebP in RGB", async () => {
    const dir = await exported("chat", "chat");
    const URL_PART = z.object({ type: z.literal("image_url"), image_url: z.object({ url: z.string() }) });
    const lines = z.array(z.strictObject({ messages: z.array(MESSAGE) })).parse(await linesOf(dir));
    let images = 0;
    for (const { messages } of lines) {
      for (const { role, content } of messages) {
        const parts = Array.isArray(content) ? content : [];
        if (role !== "user") expect(typeof content).toBe("string");
        for (const part of parts.filter((each) => URL_PART.safeParse(each).success)) {
          const [, type, data = ""] =
            /^data:image\/(png|jpeg|webp);base64,(.+)$/.exec(URL_PART.parse(part).image_url.url) ?? [];
          const { format, channels, space } = await sharp(Buffer.from(data, "base64")).metadata();
          expect([type, space]).toEqual([format, "srgb"]);
          expect([3, 4]).toContain(channels);
          images += 1;
        }
      }
    }
    expect(images).toBeGreaterThan(10);
  });

  test("chat refuses a file of fewer than ten examples", async () => {
    await using writer = await exporterNamed("chat").open({ dir: join(place.dir, "few") }, undefined, never);
    const totals = { train: 10, validation: 9, test: 0 };
    await expect(writer.finish(totals, never)).rejects.toMatchObject({ reason: "TOO_FEW_EXAMPLES" });
    await writer.finish({ ...totals, validation: 10 }, never);
  });

  test("makes long images smaller when asked to", async () => {
    const dir = await exported("trl", "small", "--max-image-edge", "640");
    for (const { images } of z.array(LINE).parse(await linesOf(dir))) {
      for (const image of images) expect((await sharp(join(dir, image)).metadata()).width).toBe(640);
    }
  });

  /** What trl says of each example, to compare other formats with. */
  async function told() {
    const PART = z.array(z.object({ type: z.string(), text: z.string().nullable() }));
    const lines = z.array(LINE.extend({ id: z.string() })).parse(await linesOf(await trl()));
    return lines.map(({ id, messages, images }) => ({
      id,
      texts: messages.map(({ content }) =>
        PART.parse(content)
          .map(({ text }) => text ?? "")
          .join(""),
      ),
      images: images.map((image) => /[0-9a-f]{64}/.exec(image)?.[0]),
    }));
  }
  let written: Promise<string> | undefined;
  const trl = () => {
    written ??= exported("trl", "told");
    return written;
  };

  test("parquet gives a reader in Rust the same examples, and the images' bytes", async () => {
    const dir = await exported("parquet", "parquet");
    const [file = ""] = await readdir(join(dir, "data", "train"));
    const parquet = readParquet(await readFile(join(dir, "data", "train", file)));
    const table = tableFromIPC(parquet.intoIPCStream());
    const ROW = z.object({
      id: z.string(),
      messages: z.array(z.object({ role: z.string(), content: z.string() })),
      images: z.array(z.object({ bytes: z.instanceof(Uint8Array), path: z.string() })),
    });
    const rows = table.toArray().map((row) => {
      const { id, messages, images } = row.toJSON();
      const plain = (list: { toArray(): { toJSON(): unknown }[] }) => [...list.toArray()].map((each) => each.toJSON());
      return ROW.parse({ id, messages: plain(messages), images: plain(images) });
    });
    expect(
      rows.map(({ id, messages, images }) => ({
        id,
        texts: messages.map(({ content }) => content),
        images: images.map(({ bytes }) => sha256(bytes)),
      })),
    ).toEqual(await told());
    const features = z.object({ info: z.object({ features: z.record(z.string(), z.unknown()) }) });
    const { info } = features.parse(JSON.parse(table.schema.metadata.get("huggingface") ?? ""));
    expect(Object.keys(info.features)).toEqual(table.schema.fields.map(({ name }) => name));
  });

  test("webdataset gives tar the same examples, the files of each one after the other", async () => {
    const dir = await exported("webdataset", "webdataset");
    const archive = join(dir, "data", "train", "00000.tar");
    const names = execFileSync("tar", ["tf", archive], { encoding: "utf8" }).trimEnd().split("\n");
    const keys = names.map((name) => name.split(".")[0]);
    expect(keys).toEqual(keys.toSorted());
    execFileSync("tar", ["xf", archive, "-C", dir]);
    const JSON_FILE = z.object({ id: z.string(), messages: z.array(z.object({ content: z.string() })) });
    const examples = await Promise.all(
      [...new Set(keys)].map(async (key) => {
        const { id, messages } = JSON_FILE.parse(JSON.parse(await readFile(join(dir, `${key}.json`), "utf8")));
        const images = names.filter((name) => name.startsWith(`${key}.`) && !name.endsWith(".json"));
        const hashes = await Promise.all(images.map(async (name) => sha256(await readFile(join(dir, name)))));
        return { id, texts: messages.map(({ content }) => content), images: hashes };
      }),
    );
    expect(examples).toEqual(await told());
  });
});
