import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { JsonCursor } from "../../../src/core/import/json-cursor.ts";
import { never } from "../../fixtures.ts";

let root: string;
let path: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "sluice-cursor-"));
  path = join(root, "doc.json");
});
afterEach(() => rm(root, { recursive: true }));

/** Every member of the document's one object, and the items of those that are lists, as they are written. */
async function read(text: string): Promise<[key: string, value: string | string[]][]> {
  await writeFile(path, text);
  await using cursor = new JsonCursor(path, 0, never);
  const members: [key: string, value: string | string[]][] = [];
  for await (const key of cursor.keys()) {
    const items: string[] = [];
    if (text.charCodeAt((await cursor.next())?.offset ?? 0) === 0x5b) {
      for await (const _ of cursor.indices()) items.push(await cursor.readText(1_000_000));
      members.push([key, items]);
    } else members.push([key, await cursor.readText(1_000_000)]);
  }
  await cursor.end();
  return members;
}

test("tells each value exactly as it is written", async () => {
  const text =
    '\n{ "a\\u0062" : [ {"n": 1.0, "s":"]}\\\\\\"" } ,\r\n[ ] , -2.50e3, "x,]" ,null], "z":{"y":[7]}, "e" :[], "t":true }\t';
  expect(await read(text)).toEqual([
    ["ab", ['{"n": 1.0, "s":"]}\\\\\\"" }', "[ ]", "-2.50e3", '"x,]"', "null"]],
    ["z", '{"y":[7]}'],
    ["e", []],
    ["t", "true"],
  ]);
});

test("reads the same wherever its chunks end", async () => {
  const text = '{"k":[{"a":"\\\\\\"é]"},-1.5e3,"\\u00e9"],"l":null}';
  const plain = await read(text);
  // Chunks are of 256 KiB: with these blanks before it, one ends in every place of the document.
  for (let before = 256 * 1024 - Buffer.byteLength(text); before <= 256 * 1024; before += 1) {
    expect(await read(" ".repeat(before) + text)).toEqual(plain);
  }
});

test("for any object, however it is laid out, the values parse to those that JSON.parse gives", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.string(), fc.oneof(fc.array(fc.jsonValue()), fc.jsonValue())),
      fc.constantFrom(undefined, 2, "\t"),
      async (object, indent) => {
        const text = JSON.stringify(object, undefined, indent);
        const members = await read(text);
        const parsed = members.map(([key, value]) => [
          key,
          Array.isArray(value) ? value.map((item) => JSON.parse(item)) : JSON.parse(value),
        ]);
        expect(parsed).toEqual(Object.entries(JSON.parse(text)));
      },
    ),
    { numRuns: 50 },
  );
});

test.each([
  ["an end in a string", '{"a":"b'],
  ["an end in an object", '{"a":1'],
  ["an end before a value", '{"a":'],
  ["a value left out", '{"a":,"b":1}'],
  ["an item left out", '{"a":[1,,2]}'],
  ["a comma too many", '{"a":[1,]}'],
  ["a key that is no string", "{a:1}"],
  ["a colon left out", '{"a" 1}'],
  ["a bracket of the other kind", '{"a":[1}'],
  ["another value after it", "{} {}"],
  ["no object", "[1]"],
  ["nothing", ""],
])("%s is refused, with the place", async (_, text) => {
  await expect(read(text)).rejects.toMatchObject({
    code: "invalid_argument",
    reason: "BAD_CAPTURE",
    metadata: { path },
  });
  await expect(read(text)).rejects.toThrow(/at byte \d+/);
});

test("a value that is too long is refused without being held", async () => {
  await writeFile(path, `{"a":"${"x".repeat(2000)}"}`);
  await using cursor = new JsonCursor(path, 0, never);
  const reading = (async () => {
    for await (const _ of cursor.keys()) await cursor.readText(1000);
  })();
  await expect(reading).rejects.toThrow(/longer than 1000 bytes/);
});

test("a text that is not UTF-8 is refused", async () => {
  await writeFile(path, Buffer.from('{"a":"\xff"}', "latin1"));
  await using cursor = new JsonCursor(path, 0, never);
  const reading = (async () => {
    for await (const _ of cursor.keys()) await cursor.readText(1000);
  })();
  await expect(reading).rejects.toMatchObject({ reason: "BAD_CAPTURE" });
});
