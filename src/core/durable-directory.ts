import { mkdir, open, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Creates a directory with its parents, and fsyncs the directory that holds each one it made. Asks
 * for one directory at a time: Node's recursive mkdir does not end where a file system answers
 * ENOENT whatever is asked for, as /proc does.
 */
export async function makeDurableDirectory(dir: string): Promise<void> {
  try {
    await mkdir(dir, MODE);
  } catch (error) {
    if (await isDirectory(dir)) return;
    if (!isAbsent(error) || dirname(dir) === dir) throw error;
    await makeDurableDirectory(dirname(dir));
    await makeWithin(dir);
  }
  await fsyncDirectory(dirname(dir));
}

/** Makes the names in a directory last. */
export async function fsyncDirectory(dir: string): Promise<void> {
  await using handle = await open(dir, "r");
  await handle.sync();
}

const MODE = { mode: 0o700 };

/** Another process may have made it meanwhile. */
async function makeWithin(dir: string): Promise<void> {
  try {
    await mkdir(dir, MODE);
  } catch (error) {
    if (!(await isDirectory(dir))) throw error;
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
