import type { Dir } from "node:fs";
import { opendir, stat } from "node:fs/promises";
import { join } from "node:path";
import { errno } from "./partial.ts";

/** A file beside the blobs that begins with a blob's id: what arrived of it, or what a killed process was writing. */
export interface Leftover {
  readonly project: string;
  readonly id: string;
  readonly path: string;
}

/** Those below `dir` that nothing was written to since `beforeMs`. */
export async function* leftovers(dir: string, beforeMs: number): AsyncGenerator<Leftover> {
  for await (const { name: project } of await opendir(dir)) {
    for await (const { name } of (await openIfThere(join(dir, project, "partial"))) ?? []) {
      const path = join(dir, project, "partial", name);
      const [id] = /^[0-9a-f]{64}/.exec(name) ?? [];
      if (id !== undefined && (await untouchedSince(path, beforeMs))) yield { project, id, path };
    }
  }
}

export async function untouchedSince(path: string, beforeMs: number): Promise<boolean> {
  try {
    return (await stat(path)).mtimeMs < beforeMs;
  } catch (error) {
    if (errno(error) === "ENOENT") return false;
    throw error;
  }
}

async function openIfThere(path: string): Promise<Dir | undefined> {
  try {
    return await opendir(path);
  } catch (error) {
    if (errno(error) === "ENOENT" || errno(error) === "ENOTDIR") return undefined;
    throw error;
  }
}
