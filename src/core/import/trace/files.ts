import { lstat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileError, listDirectory, readChunks, statIfThere } from "../file-access.ts";
import { isZip, readZipEntries, readZipEntry } from "../zip.ts";

/** The files of a trace, in a zip archive or a directory. Their names are relative to it. */
export interface TraceFiles {
  /** The files at its top, in order of their names. */
  readonly top: readonly string[];
  /** A file as it is told to people: "run.zip: 0-trace.trace". */
  where(name: string): string;
  /** The file on the disk that holds the bytes, alone or among others. */
  pathOf(name: string): string;
  /** Its size in bytes; undefined when there is no such file, or it would lie outside. */
  sizeOf(name: string, signal: AbortSignal): Promise<number | undefined>;
  /** Of a file that is there, from byte `start` on. */
  read(name: string, signal: AbortSignal, start?: number): AsyncIterable<Buffer>;
}

/** undefined when there is nothing at `path` that can hold a trace. A file that is no archive stands for itself. */
export async function openTraceFiles(path: string, signal: AbortSignal): Promise<TraceFiles | undefined> {
  const stats = await statIfThere(path, signal);
  if (stats?.isDirectory()) {
    const entries = await listDirectory(path, signal);
    return directory(
      path,
      entries.filter((entry) => entry.isFile()).map((entry) => entry.name),
    );
  }
  if (!stats?.isFile()) return undefined;
  return (await isZip(path, signal)) ? await archive(path, signal) : directory(dirname(path), [basename(path)]);
}

async function archive(path: string, opening: AbortSignal): Promise<TraceFiles> {
  const entries = await readZipEntries(path, opening);
  return {
    top: [...entries.keys()].filter((name) => !name.includes("/")).toSorted(),
    where: (name) => `${path}: ${name}`,
    pathOf: () => path,
    sizeOf: async (name) => entries.get(name)?.size,
    async *read(name, signal, start) {
      const entry = entries.get(name);
      if (entry !== undefined) yield* readZipEntry(path, entry, signal, start);
    },
  };
}

function directory(path: string, top: readonly string[]): TraceFiles {
  return {
    top,
    where: (name) => join(path, name),
    pathOf: (name) => join(path, name),
    sizeOf: (name, signal) => sizeOfFile(path, name, signal),
    read: (name, signal, start) => readChunks(join(path, name), signal, start),
  };
}

/** What a trace names must be its own: no link that leads elsewhere, and no way out. */
async function sizeOfFile(root: string, name: string, signal: AbortSignal): Promise<number | undefined> {
  signal.throwIfAborted();
  if (!/^([\w-][\w@.-]*\/)?[\w-][\w@.-]*$/.test(name)) return undefined;
  try {
    const stats = await lstat(join(root, name));
    return stats.isFile() ? stats.size : undefined;
  } catch (error) {
    const failed = fileError(join(root, name), error);
    if (failed.code === "not_found") return undefined;
    throw failed;
  }
}
