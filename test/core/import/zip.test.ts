import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isZip, readZipEntries, readZipEntry, ZIP_LIMITS } from "../../../src/core/import/zip.ts";
import { never } from "../../fixtures.ts";
import { collect } from "./reading.ts";
import { type ZippedFile, zipArchive } from "./zip-archive.ts";

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "sluice-zip-"));
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

async function write(archive: Buffer): Promise<string> {
  const path = join(root, "some.bin");
  await writeFile(path, archive);
  return path;
}

async function readEntry(path: string, name: string, start = 0): Promise<Buffer> {
  const entry = (await readZipEntries(path, never)).get(name);
  if (entry === undefined) throw new Error("no such entry");
  return Buffer.concat(await collect(readZipEntry(path, entry, never, start)));
}

describe("a zip archive", () => {
  const long = Buffer.from("all work and no play ".repeat(50_000));

  test.each([0, 8])("gives each file's bytes from any place, stored by method %i", async (method) => {
    const path = await write(
      zipArchive([
        { name: "empty", method },
        { name: "dir/", method, mode: 0o040755 },
        { name: "dir/long.txt", bytes: long, method },
      ]),
    );
    expect(await isZip(path, never)).toBe(true);
    const entries = await readZipEntries(path, never);
    expect([...entries.values()].map(({ name, size }) => [name, size])).toEqual([
      ["empty", 0],
      ["dir/long.txt", long.length],
    ]);
    expect(await readEntry(path, "empty")).toEqual(Buffer.alloc(0));
    for (const start of [0, 1, 70_000, long.length - 1, long.length]) {
      expect((await readEntry(path, "dir/long.txt", start)).equals(long.subarray(start))).toBe(true);
    }
  });

  test("that holds nothing is one; a text, and a file that was cut off at once, are none", async () => {
    const path = await write(zipArchive([]));
    expect(await isZip(path, never)).toBe(true);
    expect((await readZipEntries(path, never)).size).toBe(0);
    expect(await isZip(await write(Buffer.from('{"PK":1}')), never)).toBe(false);
    expect(await isZip(await write(Buffer.from("PK")), never)).toBe(false);
  });

  test("may be left off in the middle of a file", async () => {
    const path = await write(zipArchive([{ name: "a", bytes: long }]));
    const entry = (await readZipEntries(path, never)).get("a");
    if (entry === undefined) throw new Error("no such entry");
    for await (const chunk of readZipEntry(path, entry, never)) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    const abort = new AbortController();
    const reading = readZipEntry(path, entry, abort.signal)[Symbol.asyncIterator]();
    await reading.next();
    abort.abort(new Error("enough"));
    await expect(reading.next()).rejects.toThrow("enough");
  });
});

describe("an archive is refused by name and for a reason", () => {
  const good: ZippedFile = { name: "good.txt", bytes: "good" };

  test.each<[string, ZippedFile[], string]>([
    ["a file beside it", [good, { name: "../evil.txt" }], "leads out"],
    ["a file beside it, named as on Windows", [good, { name: "..\\evil.txt" }], "leads out"],
    ["an absolute path", [good, { name: "/etc/evil" }], "leads out"],
    ["a drive", [good, { name: "C:/evil" }], "leads out"],
    ["a name with a zero byte", [good, { name: "evil\0.txt" }], "leads out"],
    ["a directory beside it", [good, { name: "a/../../b/" }], "leads out"],
    ["a symlink", [good, { name: "evil", bytes: "/etc/passwd", mode: 0o120777 }], "a link or a device"],
    ["a device", [good, { name: "evil", mode: 0o020666 }], "a link or a device"],
    ["an encrypted file", [good, { name: "evil", bytes: "xxxxxxxxxxxxxxx", flags: 1 }], "encrypted"],
    ["another compression", [good, { name: "evil", bytes: "x", method: 14 }], "method 14"],
    ["two of one name", [good, good], "two of this name"],
    ["bytes that are two files'", [good, { ...good, name: "evil", over: 0 }], "another's too"],
  ])("with %s", async (_, files, reason) => {
    const path = await write(zipArchive(files));
    const field = files.at(-1)?.name.replaceAll("\\", "/");
    await expect(readZipEntries(path, never)).rejects.toMatchObject({
      code: "invalid_argument",
      reason: "BAD_CAPTURE",
      metadata: { path, field },
      message: expect.stringContaining(reason),
    });
  });

  test.each<[string, Partial<ZippedFile>]>([
    ["fewer bytes", { size: 9_999 }],
    ["more bytes", { size: 10_001 }],
    ["other bytes", { crc: 1 }],
  ])("that says of a file that it has %s than are there, when it is read", async (_, lie) => {
    const path = await write(zipArchive([{ name: "a", bytes: Buffer.alloc(10_000, "abc"), ...lie }]));
    const entry = (await readZipEntries(path, never)).get("a");
    if (entry === undefined) throw new Error("no such entry");
    let read = 0;
    const reading = async () => {
      for await (const bytes of readZipEntry(path, entry, never)) read += bytes.length;
    };
    await expect(reading()).rejects.toMatchObject({ reason: "BAD_CAPTURE", metadata: { path, field: "a" } });
    expect(read).toBeLessThanOrEqual(entry.size);
  });

  test("whose files are thousands of times as large, before any is read", async () => {
    // 100 MB of zeros are 100 KB.
    const zeros = Buffer.alloc(100 * 1024 * 1024);
    const path = await write(zipArchive([{ name: "bomb", bytes: zeros }]));
    await expect(readZipEntries(path, never)).rejects.toMatchObject({
      reason: "BAD_CAPTURE",
      message: expect.stringContaining("200 times as large"),
    });
  });

  test("with more entries than the limit, told before they are walked", async () => {
    const path = await write(zipArchive(Array.from({ length: 11 }, (_, n) => ({ name: `${n}` }))));
    expect((await readZipEntries(path, never)).size).toBe(11);
    await expect(readZipEntries(path, never, { ...ZIP_LIMITS, entries: 10 })).rejects.toMatchObject({
      reason: "BAD_CAPTURE",
      message: expect.stringContaining("more than 10 files"),
    });
  });

  test("with more entries than it says", async () => {
    const path = await write(zipArchive([good, { ...good, name: "unseen" }], 1));
    await expect(readZipEntries(path, never)).rejects.toMatchObject({
      reason: "BAD_CAPTURE",
      message: expect.stringContaining("more entries than it says"),
    });
  });

  test("cut off at any byte, or with a byte changed, and never crashes", async () => {
    const archive = zipArchive([good, { name: "b", bytes: "b".repeat(300) }]);
    for (let length = 4; length < archive.length; length += 1) {
      const path = await write(archive.subarray(0, length));
      await expect(readZipEntries(path, never)).rejects.toMatchObject({ reason: "BAD_CAPTURE" });
    }
    for (let at = 0; at < archive.length; at += 1) {
      const changed = Buffer.from(archive);
      changed[at] = (changed[at] ?? 0) ^ 0xff;
      const path = await write(changed);
      const read = async () => {
        for (const entry of (await readZipEntries(path, never)).values()) {
          await collect(readZipEntry(path, entry, never));
        }
      };
      const error = await read().catch((thrown: unknown) => thrown);
      if (error !== undefined) expect(error).toMatchObject({ reason: "BAD_CAPTURE" });
    }
  });

  test("that is not there, with the path", async () => {
    await expect(readZipEntries(join(root, "none.zip"), never)).rejects.toMatchObject({ reason: "NO_SUCH_FILE" });
  });
});
