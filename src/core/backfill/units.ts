import { createHash } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileError, hashFile, listDirectory, readHead, statPath } from "../import/file-access.ts";
import { holdsOne } from "../import/importer.ts";

/** What is brought in as one: a file, or a directory that is one recording. */
export interface Unit {
  /** Absolute. */
  readonly path: string;
  readonly kind: "file" | "directory";
}

/**
 * Everything at the sources that may be a recording, in the order of the sources and in each by
 * name. Directories are entered unless they are one recording themselves; links are not followed,
 * so that nothing is met twice. Fails with `not_found` NO_SUCH_FILE for a source that is not there.
 */
export async function* unitsAt(sources: readonly string[], signal: AbortSignal): AsyncIterable<Unit> {
  for (const source of sources) yield* unitsIn(resolve(source), signal);
}

async function* unitsIn(path: string, signal: AbortSignal): AsyncIterable<Unit> {
  const stats = await statPath(path, signal);
  if (!stats.isDirectory()) {
    yield { path, kind: "file" };
    return;
  }
  if (await holdsOne(path, signal)) {
    yield { path, kind: "directory" };
    return;
  }
  for (const entry of await listDirectory(path, signal)) {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) yield* unitsIn(inner, signal);
    else if (entry.isFile()) yield { path: inner, kind: "file" };
  }
}

export interface Content {
  /** sha256 over all files, hexadecimal. Names of files count within a directory, and nowhere else. */
  readonly digest: string;
  readonly bytes: number;
}

/**
 * What a unit holds. A file that is named by the sha256 of its bytes, as screenshots of captures are,
 * counts by its name and size: whoever brings it in compares its bytes with its name.
 */
export async function contentOf({ path, kind }: Unit, signal: AbortSignal): Promise<Content> {
  if (kind === "file") {
    const { id, size } = await hashFile(path, signal);
    return { digest: id, bytes: size };
  }
  const hash = createHash("sha256");
  let bytes = 0;
  for (const { name, file, size } of filesBelow(path)) {
    const named = /(?:^|\/)([0-9a-f]{64})\.\w+$/.exec(name)?.[1];
    const id = named ?? (await hashFile(file, signal)).id;
    hash.update(`${name}\0${id}\0${size}\0`);
    bytes += size;
  }
  return { digest: hash.digest("hex"), bytes };
}

/** By name. Read at once as small files are: a recording has a few, or a few thousand. */
function filesBelow(directory: string): { readonly name: string; readonly file: string; readonly size: number }[] {
  try {
    return readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .sort()
      .map((file) => ({ name: relative(directory, file), file, size: statSync(file).size }));
  } catch (error) {
    throw fileError(directory, error);
  }
}

/** What a file is that by its content can't be a recording of its own; undefined for any other. */
export async function companionKind(path: string, signal: AbortSignal): Promise<"image" | "pickle" | undefined> {
  const head = await readHead(path, 16, signal);
  const text = head.toString("latin1");
  if (text.startsWith("\x89PNG\r\n") || head.subarray(0, 3).equals(JPEG) || /^RIFF....WEBP/s.test(text)) return "image";
  // A pickle of protocol 2 or later says so; loading one runs what it says.
  return head[0] === 0x80 && (head[1] ?? 0) >= 2 && (head[1] ?? 0) <= 5 ? "pickle" : undefined;
}

const JPEG = Buffer.from("ffd8ff", "hex");
