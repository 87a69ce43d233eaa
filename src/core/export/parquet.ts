import { join } from "node:path";
import { asyncBufferFromFile, type SchemaElement } from "hyparquet";
import { z } from "zod";
import { messagesOf } from "./conversation.ts";
import { writeWhole } from "./export-file.ts";
import { type Exporter, type ExportWriter, imagePath, type Outcome, SPLITS, type Split } from "./exporter.ts";
import { removeShards, shardPath } from "./shards.ts";

/** A file is written when its examples have so many bytes, and where a run could go on. */
const MAX_SHARD_BYTES = 64_000_000;

interface Row {
  readonly id: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly images: readonly { readonly bytes: Uint8Array; readonly path: string }[];
}

/**
 * Parquet with the image struct {bytes, path}, as Hugging Face's datasets keeps images, and the
 * features by which it knows them.
 */
export const parquet: Exporter = {
  name: "parquet",
  description: "Parquet with messages and the image struct {bytes, path} for Hugging Face datasets",
  async *read(path) {
    const { parquetReadObjects } = await import("hyparquet");
    // A file is bounded, so it is read whole.
    yield* await parquetReadObjects({ file: await asyncBufferFromFile(path), utf8: false });
  },
  async open({ dir }, state): Promise<ExportWriter> {
    const next = state === undefined ? { train: 0, validation: 0, test: 0 } : STATE.parse(state);
    for (const split of SPLITS) await removeShards(dir, split, "parquet", next[split]);
    const shards = new ParquetShards(dir, next);
    return {
      async write({ split, steps, image }, signal) {
        const outcomes: Outcome[] = [];
        for (const step of steps) {
          signal.throwIfAborted();
          const { screenshot } = step.observation;
          const seen = screenshot && (await image(screenshot));
          const row: Row = {
            id: step.id,
            messages: messagesOf(step),
            images: seen ? [{ bytes: seen.data, path: imagePath(seen) }] : [],
          };
          outcomes.push({ id: step.id, ...(await shards.add(split, row)) });
        }
        return outcomes;
      },
      async checkpoint() {
        for (const split of SPLITS) await shards.write(split);
        return { ...next };
      },
      async finish() {},
      async [Symbol.asyncDispose]() {},
    };
  },
};

/** The number of each split's next file. */
const STATE = z.strictObject({ train: z.int(), validation: z.int(), test: z.int() });

class ParquetShards {
  readonly #dir: string;
  readonly #next: Record<Split, number>;
  readonly #rows: Record<Split, Row[]> = { train: [], validation: [], test: [] };
  readonly #bytes: Record<Split, number> = { train: 0, validation: 0, test: 0 };

  constructor(dir: string, next: Record<Split, number>) {
    this.#dir = dir;
    this.#next = next;
  }

  async add(split: Split, row: Row): Promise<{ readonly file: string; readonly line: number }> {
    const size = row.images.reduce((sum, { bytes }) => sum + bytes.length, 0) + JSON.stringify(row.messages).length;
    if (this.#bytes[split] + size > MAX_SHARD_BYTES) await this.write(split);
    this.#bytes[split] += size;
    const line = this.#rows[split].push(row);
    return { file: shardPath(split, this.#next[split], "parquet"), line };
  }

  /** Writes what is there as a file, if there is anything. */
  async write(split: Split): Promise<void> {
    const rows = this.#rows[split];
    if (rows.length === 0) return;
    const { parquetWriteBuffer } = await import("hyparquet-writer");
    const file = parquetWriteBuffer({
      schema: SCHEMA,
      columnData: [
        { name: "id", data: rows.map(({ id }) => id) },
        { name: "messages", data: rows.map(({ messages }) => messages) },
        { name: "images", data: rows.map(({ images }) => images) },
      ],
      // What a column holds at most and at least would stand in the footer.
      statistics: false,
      rowGroupSize: rows.length,
      kvMetadata: [{ key: "huggingface", value: JSON.stringify({ info: { features: FEATURES } }) }],
      createdBy: "sluice",
    });
    await writeWhole(join(this.#dir, shardPath(split, this.#next[split], "parquet")), new Uint8Array(file));
    this.#next[split] += 1;
    this.#rows[split] = [];
    this.#bytes[split] = 0;
  }
}

const text = (name: string): SchemaElement => {
  return { name, type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" };
};

const listOf = (name: string, fields: readonly SchemaElement[]): SchemaElement[] => [
  { name, repetition_type: "OPTIONAL", num_children: 1, converted_type: "LIST" },
  { name: "list", repetition_type: "REPEATED", num_children: 1 },
  { name: "element", repetition_type: "OPTIONAL", num_children: fields.length },
  ...fields,
];

const SCHEMA: SchemaElement[] = [
  { name: "root", num_children: 3 },
  text("id"),
  ...listOf("messages", [text("role"), text("content")]),
  ...listOf("images", [{ name: "bytes", type: "BYTE_ARRAY", repetition_type: "OPTIONAL" }, text("path")]),
];

const STRING = { dtype: "string", _type: "Value" };

/** https://huggingface.co/docs/datasets/about_dataset_features */
const FEATURES = {
  id: STRING,
  messages: [{ role: STRING, content: STRING }],
  images: [{ _type: "Image" }],
};
