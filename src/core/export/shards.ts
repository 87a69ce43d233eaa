import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { AppendedFile, removeFile } from "./export-file.ts";
import { SPLITS, type Split } from "./exporter.ts";

/** Where the lines of each split are: how many files, and how far the last one is. */
const SHARD_STATE = z.record(
  z.enum(SPLITS),
  z.strictObject({ shard: z.int(), bytes: z.int(), lines: z.int(), first: z.int() }),
);

type State = z.output<typeof SHARD_STATE>;

/** JSON lines of each split, in files of a bounded size: data/train/00000.jsonl. */
export class JsonlShards implements AsyncDisposable {
  readonly #dir: string;
  readonly #maxBytes: number;
  readonly #state: State;
  readonly #open = new Map<Split, AppendedFile>();

  private constructor(dir: string, maxBytes: number, state: State) {
    this.#dir = dir;
    this.#maxBytes = maxBytes;
    this.#state = state;
  }

  /** Goes on after `state`; lines behind it are cut off, files behind it removed. */
  static async open(dir: string, maxBytes: number, state: unknown): Promise<JsonlShards> {
    const known = state === undefined ? emptyState() : SHARD_STATE.parse(state);
    for (const split of SPLITS) {
      const names = await readdir(join(dir, "data", split)).catch(() => []);
      const { shard, lines } = known[split];
      const keep = new Set(Array.from({ length: lines === 0 ? 0 : shard + 1 }, (_, each) => fileName(each)));
      for (const name of names) if (!keep.has(name)) await removeFile(join(dir, "data", split, name));
    }
    return new JsonlShards(dir, maxBytes, known);
  }

  /** Appends a line; tells its file and number, from 1. */
  async append(split: Split, json: string): Promise<{ readonly file: string; readonly line: number }> {
    const data = Buffer.from(`${json}\n`);
    const state = this.#state[split];
    if (state.bytes > 0 && state.bytes + data.length > this.#maxBytes) await this.#next(split);
    const now = this.#state[split];
    const file = await this.#file(split);
    await file.append(data);
    this.#state[split] = { ...now, bytes: file.bytes, lines: now.lines + 1 };
    return { file: `data/${split}/${fileName(now.shard)}`, line: now.lines + 1 - now.first };
  }

  /** All lines are on disk; the state to go on from. */
  async checkpoint(): Promise<State> {
    for (const file of this.#open.values()) await file.sync();
    return structuredClone(this.#state);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#open.values()) await file[Symbol.asyncDispose]();
    this.#open.clear();
  }

  async #file(split: Split): Promise<AppendedFile> {
    const { shard, bytes } = this.#state[split];
    const known = this.#open.get(split);
    if (known !== undefined) return known;
    const file = await AppendedFile.open(join(this.#dir, "data", split, fileName(shard)), bytes);
    this.#open.set(split, file);
    return file;
  }

  async #next(split: Split): Promise<void> {
    const file = this.#open.get(split);
    await file?.sync();
    await file?.[Symbol.asyncDispose]();
    this.#open.delete(split);
    const { shard, lines } = this.#state[split];
    this.#state[split] = { shard: shard + 1, bytes: 0, lines, first: lines };
  }
}

function emptyState(): State {
  const none = { shard: 0, bytes: 0, lines: 0, first: 0 };
  return { train: none, validation: none, test: none };
}

function fileName(shard: number): string {
  return `${String(shard).padStart(5, "0")}.jsonl`;
}
