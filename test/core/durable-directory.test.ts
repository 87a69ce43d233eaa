import { existsSync } from "node:fs";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeDirectory } from "../../src/client/durable-file.ts";
import { makeDurableDirectory } from "../../src/core/durable-directory.ts";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "sluice-directory-"));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

describe.each([
  ["of the store and the blobs", makeDurableDirectory],
  ["of the spool", makeDirectory],
])("the directory %s", (_whose, make) => {
  test("is made with those above it, for its owner alone, and is left as it is when it is there", async () => {
    const dir = join(root, "a", "b", "c");
    await make(dir);
    for (const each of [dir, join(root, "a", "b"), join(root, "a")])
      expect((await stat(each)).mode & 0o777).toBe(0o700);
    await writeFile(join(dir, "kept"), "kept");
    await make(dir);
    expect(existsSync(join(dir, "kept"))).toBe(true);
  });

  test("may be made by many at once", async () => {
    const dir = join(root, "a", "b", "c", "d");
    await Promise.all(Array.from({ length: 20 }, () => make(dir)));
    expect((await stat(dir)).isDirectory()).toBe(true);
  });

  test("is refused where a file is in its place or above it", async () => {
    await writeFile(join(root, "file"), "");
    await expect(make(join(root, "file"))).rejects.toMatchObject({ code: "EEXIST" });
    await expect(make(join(root, "file", "a", "b"))).rejects.toMatchObject({ code: "ENOTDIR" });
  });

  test("is refused where none can be made, whatever that file system answers", async (context) => {
    if (!existsSync("/proc/self")) return context.skip("there is no /proc");
    await expect(make("/proc/sluice/a/b")).rejects.toMatchObject({ code: "ENOENT" });
  });
});
