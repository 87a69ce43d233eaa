import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { AppendedFile, removeFile } from "./export-file.ts";
import { SPLITS, type Split } from "./exporter.ts";

/** Where the examples of each split are: how many files, and how far the last one is. */
const SHARD_STATE = z.record(
  z.enum(SPLITS),
  z.strictObject({ shard: z.int(), bytes: z.int(), examples: z.int(), first: z.int() }),
);

type State = z.output<typeof SHARD_STATE>;

export interface ShardForm {
  /** Such as jsonl. */
  readonly extension: string;
  /** Of one file. */
  readonly maxBytes: number;
  /** What a whole file ends in. */
  readonly ending: Uint8Array;
}

/** Examples of each split one after another, in files of a bounded size: data/train/00000.jsonl. */
export class Shards implements AsyncDisposable {
  readonly #dir: string;
  readonly #form: ShardForm;
  readonly #state: State;
  readonly #open = new Map<Split, AppendedFile>();

  private constructor(dir: string, form: ShardForm, state: State) {
    this.#dir = dir;
    this.#form = form;
    this.#state = state;
  }

  /** Goes on after `state`; examples behind it are cut off, files behind it removed. */
  static async open(dir: string, form: ShardForm, state: unknown): Promise<Shards> {
    const known = state === undefined ? emptyState() : SHARD_STATE.parse(state);
    for (const split of SPLITS) {
      const { shard, examples } = known[split];
      await removeShards(dir, split, form.extension, examples === 0 ? 0 : shard + 1);
    }
    return new Shards(dir, form, known);
  }

  /** Examples of the split until now. */
  count(split: Split): number {
    return this.#state[split].examples;
  }

  /** Appends an example; tells its file and number, from 1. */
  async append(split: Split, data: Uint8Array): Promise<{ readonly file: string; readonly line: number }> {
    const { maxBytes, extension, ending } = this.#form;
    const { bytes } = this.#state[split];
    if (bytes > 0 && bytes + data.length + ending.length > maxBytes) await this.#next(split);
    const now = this.#state[split];
    const file = await this.#file(split);
    await file.append(data);
    this.#state[split] = { ...now, bytes: file.bytes, examples: now.examples + 1 };
    return { file: shardPath(split, now.shard, extension), line: now.examples + 1 - now.first };
  }

  /** All examples are on disk; the state to go on from. */
  async checkpoint(): Promise<State> {
    for (const file of this.#open.values()) await file.sync();
    return structuredClone(this.#state);
  }

  /** Ends the last file of each split. */
  async finish(): Promise<void> {
    for (const split of SPLITS) if (this.#state[split].bytes > 0) await this.#end(await this.#file(split));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#open.values()) await file[Symbol.asyncDispose]();
    this.#open.clear();
  }

  async #file(split: Split): Promise<AppendedFile> {
    const { shard, bytes } = this.#state[split];
    const known = this.#open.get(split);
    if (known !== undefined) return known;
    const file = await AppendedFile.open(join(this.#dir, shardPath(split, shard, this.#form.extension)), bytes);
    this.#open.set(split, file);
    return file;
  }

  async #next(split: Split): Promise<void> {
    const file = await this.#file(split);
    await this.#end(file);
    await file[Symbol.asyncDispose]();
    this.#open.delete(split);
    const { shard, examples } = this.#state[split];
    this.#state[split] = { shard: shard + 1, bytes: 0, examples, first: examples };
  }

  async #end(file: AppendedFile): Promise<void> {
    await file.append(this.#form.ending);
    await file.sync();
  }
}

function emptyState(): State {
  const none = { shard: 0, bytes: 0, examples: 0, first: 0 };
  return { train: none, validation: none, test: none };
}

/** Relative to the export. */
export function shardPath(split: Split, shard: number, extension: string): string {
  return `data/${split}/${String(shard).padStart(5, "0")}.${extension}`;
}

/** Removes whatever is in a split but its first `keep` files. */
export async function removeShards(dir: string, split: Split, extension: string, keep: number): Promise<void> {
  const kept = new Set(Array.from({ length: keep }, (_, shard) => basename(shardPath(split, shard, extension))));
  const names = await readdir(join(dir, "data", split)).catch((): string[] => []);
  for (const name of names) if (!kept.has(name)) await removeFile(join(dir, "data", split, name));
}
