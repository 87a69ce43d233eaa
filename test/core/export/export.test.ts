import { once } from "node:events";
import { appendFile, cp, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { exporterNamed } from "../../../src/core/export/formats.ts";
import { canonicalJson, sha256 } from "../../../src/core/pipeline/canonical.ts";
import type { Workplace } from "../../cli/sluice.ts";
import { never } from "../../fixtures.ts";
import { copyOf, processed, SAMPLE } from "./place.ts";

let place: Workplace;
beforeAll(async () => {
  place = await processed([`${SAMPLE}return-policy-lookup`, `${SAMPLE}filter-and-compare`]);
}, 120_000);
afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
});

async function exported(format: string, name: string, ...flags: string[]): Promise<string> {
  const ran = await place.sluice(["export", format, "--out", name, ...flags]);
  expect(ran.code, ran.stderr).toBe(0);
  return join(place.dir, name);
}

async function verify(dir: string, ...flags: string[]) {
  const ran = await place.sluice(["export", "verify", dir, "--json", ...flags]);
  const reasons = ran.records().filter(({ type }) => type === "difference");
  return { code: ran.code, reasons: reasons.map((each) => each["reason"]), summary: ran.records().at(-1), ran };
}

/** Every file of a directory with its bytes, but what only says where it was written. */
async function contents(dir: string): Promise<Map<string, string>> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(
    await Promise.all(
      files.sort().map(async (file) => [file.slice(dir.length), sha256(await readFile(file))] as const),
    ),
  );
}

const MESSAGE = z.strictObject({ role: z.string(), content: z.unknown() });
const LINE = z.looseObject({ messages: z.array(MESSAGE), images: z.array(z.string()) });

async function linesOf(dir: string, split = "train"): Promise<unknown[]> {
  const text = await readFile(join(dir, "data", split, "00000.jsonl"), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
}

describe("a format", () => {
  test("ndjson has every field of every step, and its screenshot as a file", async () => {
    const dir = await exported("ndjson", "nd");
    const lines = z.array(z.looseObject({ id: z.string(), image: z.string().optional() })).parse(await linesOf(dir));
    const result = await place.sluice(["sessions", "result", "return-policy-lookup", "--stage", "assemble"]);
    const { steps } = z.object({ steps: z.array(z.looseObject({ id: z.string() })) }).parse(JSON.parse(result.stdout));
    expect(steps.length).toBeGreaterThan(5);
    for (const step of steps) {
      const { image, ...line } = lines.find(({ id }) => id === step.id) ?? { id: "" };
      expect(line).toEqual(step);
      if (image !== undefined) expect(image).toContain(sha256(await readFile(join(dir, image))));
    }
  });

  test("trl has an image part for each image, and each image can be opened", async () => {
    const dir = await exported("trl", "trl");
    const PARTS = z.array(z.looseObject({ type: z.string() }));
    const lines = z.array(LINE).parse(await linesOf(dir));
    expect(lines.length).toBeGreaterThan(10);
    for (const { messages, images } of lines) {
      expect(messages.map(({ role }) => role)).toEqual(["system", "user", "assistant"]);
      const parts = messages.flatMap(({ content }) => PARTS.parse(content));
      expect(parts.filter(({ type }) => type === "image")).toHaveLength(images.length);
      for (const image of images) expect((await sharp(join(dir, image)).metadata()).width).toBe(1280);
    }
  });

  test("sharegpt has as many <image> as images, and dataset_info.json names its columns", async () => {
    const dir = await exported("sharegpt", "sg");
    const info = z
      .record(z.string(), z.looseObject({ file_name: z.string(), columns: z.record(z.string(), z.string()) }))
      .parse(JSON.parse(await readFile(join(dir, "dataset_info.json"), "utf8")));
    expect(Object.keys(info)).toEqual(["sluice_train"]);
    const lines = z.array(LINE).parse(await linesOf(dir));
    for (const line of lines) {
      const text = line.messages.map(({ content }) => String(content)).join("");
      expect(text.split("<image>")).toHaveLength(line.images.length + 1);
      for (const column of Object.values(info["sluice_train"]?.columns ?? {})) expect(line).toHaveProperty(column);
    }
    expect(await readdir(join(dir, info["sluice_train"]?.file_name ?? ""))).toEqual(["00000.jsonl"]);
  });

  test("chat has images in the user's message alone, as PNG, JPEG or WebP in RGB", async () => {
    const dir = await exported("chat", "chat");
    const URL_PART = z.object({ type: z.literal("image_url"), image_url: z.object({ url: z.string() }) });
    const lines = z.array(z.strictObject({ messages: z.array(MESSAGE) })).parse(await linesOf(dir));
    let images = 0;
    for (const { messages } of lines) {
      for (const { role, content } of messages) {
        const parts = Array.isArray(content) ? content : [];
        if (role !== "user") expect(typeof content).toBe("string");
        for (const part of parts.filter((each) => URL_PART.safeParse(each).success)) {
          const [, type, data = ""] =
            /^data:image\/(png|jpeg|webp);base64,(.+)$/.exec(URL_PART.parse(part).image_url.url) ?? [];
          const { format, channels, space } = await sharp(Buffer.from(data, "base64")).metadata();
          expect([type, space]).toEqual([format, "srgb"]);
          expect([3, 4]).toContain(channels);
          images += 1;
        }
      }
    }
    expect(images).toBeGreaterThan(10);
  });

  test("chat refuses a file of fewer than ten examples", async () => {
    await using writer = await exporterNamed("chat").open({ dir: join(place.dir, "few") }, undefined, never);
    const totals = { train: 10, validation: 9, test: 0 };
    await expect(writer.finish(totals, never)).rejects.toMatchObject({ reason: "TOO_FEW_EXAMPLES" });
    await writer.finish({ ...totals, validation: 10 }, never);
  });

  test("makes long images smaller when asked to", async () => {
    const dir = await exported("trl", "small", "--max-image-edge", "640");
    for (const { images } of z.array(LINE).parse(await linesOf(dir))) {
      for (const image of images) expect((await sharp(join(dir, image)).metadata()).width).toBe(640);
    }
  });
});

describe("an export", () => {
  test("of the same sessions with the same options has the same bytes", async () => {
    expect(await contents(await exported("trl", "one"))).toEqual(await contents(await exported("trl", "two")));
  });

  test.each(["plan.ndjson", "journal.json"])(
    "killed once there is %s goes on, and has the same bytes",
    async (seen) => {
      const name = `killed-${seen}`;
      const child = place.spawn(["export", "sharegpt", "--out", name]);
      for (;;) {
        const there = await readdir(join(place.dir, `${name}.partial`)).catch((): string[] => []);
        if (there.includes(seen) || child.exitCode !== null) break;
      }
      child.kill("SIGKILL");
      await once(child, "exit");
      expect(child.signalCode).toBe("SIGKILL");
      expect(await readdir(place.dir)).not.toContain(name);
      const again = await exported("sharegpt", name);
      expect(await contents(again)).toEqual(await contents(await exported("sharegpt", `unbroken-${seen}`)));
      expect(await readdir(place.dir)).not.toContain(`${name}.partial`);
    },
  );

  test("is not written over anything, nor beside an unfinished one with other options", async () => {
    await mkdir(join(place.dir, "taken"));
    await writeFile(join(place.dir, "taken", "mine"), "mine");
    const over = await place.sluice(["export", "trl", "--out", "taken", "--json"]);
    expect([over.code, over.records().at(-1)?.["reason"]]).toEqual([2, "OUTPUT_EXISTS"]);
    expect(await readdir(join(place.dir, "taken"))).toEqual(["mine"]);

    const child = place.spawn(["export", "trl", "--out", "left"]);
    for (;;) {
      const there = await readdir(join(place.dir, "left.partial")).catch((): string[] => []);
      if (there.includes("plan.ndjson") || child.exitCode !== null) break;
    }
    child.kill("SIGKILL");
    await once(child, "exit");
    const other = await place.sluice(["export", "chat", "--out", "left", "--json"]);
    expect(other.records().at(-1)?.["reason"]).toBe("OTHER_EXPORT");
  });

  test("leaves out what is not sealed, not processed, stale or scored too low, and says how many", async () => {
    await using copy = await copyOf(place);
    {
      await using app = await copy.app();
      await app.store.openStream({ project: "default", session: "open", stream: "main" }, undefined, never);
    }
    const ran = await copy.sluice(["export", "trl", "--out", "some", "--json"]);
    const [told] = ran.records();
    expect(told).toMatchObject({ type: "export", sessions: 2, sessions_left_out: { NOT_SEALED: 1 } });
    await writeFile(join(copy.dir, "pipeline.yaml"), "stages:\n  assemble:\n    history: 3\n");
    const stale = await copy.sluice(["export", "trl", "--out", "none", "--json"]);
    expect(stale.records().at(-1)).toMatchObject({ reason: "NOTHING_TO_EXPORT" });
    expect(stale.stderr).toContain("2 NOT_FRESH");
    await rm(join(copy.dir, "pipeline.yaml"));
    const low = await copy.sluice(["export", "trl", "--out", "low", "--min-score", "100", "--where", "score<=99"]);
    expect(low.code).not.toBe(0);
  });

  test("is listed by the store with every session it names", async () => {
    const dir = await exported("trl", "listed");
    await using app = await place.app();
    const naming = await app.store.exportsNaming("default", "filter-and-compare", never);
    expect(naming.map(({ path }) => path)).toContain(dir);
  });
});

describe("verify", () => {
  let whole: string;
  beforeAll(async () => {
    whole = await exported("trl", "whole");
  });

  test("says that every byte is there, and with the store that the events give them", async () => {
    const dir = whole;
    expect(await verify(dir)).toMatchObject({ code: 0, summary: { root_compared: false, made_again: false } });
    const proven = await verify(dir, "--store", "sqlite:data/sluice.db");
    expect(proven, proven.ran.stdout).toMatchObject({ code: 0, summary: { root_compared: true, made_again: true } });
    const told = z.object({ root: z.string() }).parse(JSON.parse(await readFile(join(dir, "manifest.json"), "utf8")));
    expect(await verify(dir, "--root", told.root)).toMatchObject({ code: 0, summary: { root_compared: true } });
  });

  const images = async (dir: string): Promise<string[]> => {
    const entries = await readdir(join(dir, "images"), { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
  };
  const damages: [string, string, (dir: string) => Promise<void>][] = [
    [
      "a removed line",
      "FILE_CHANGED",
      async (dir) => {
        const file = join(dir, "data/train/00000.jsonl");
        await writeFile(file, (await readFile(file, "utf8")).replace(/^.*\n/, ""));
      },
    ],
    [
      "a changed byte",
      "FILE_CHANGED",
      async (dir) => {
        const file = join(dir, "data/train/00000.jsonl");
        await writeFile(file, (await readFile(file, "utf8")).replace("Task", "task"));
      },
    ],
    [
      "a swapped image",
      "FILE_CHANGED",
      async (dir) => {
        const [a = "", b = ""] = await images(dir);
        await rename(a, `${dir}/x`);
        await rename(b, a);
        await rename(`${dir}/x`, b);
      },
    ],
    ["a removed image", "FILE_MISSING", async (dir) => rm((await images(dir))[0] ?? "")],
    ["an added file", "FILE_ADDED", async (dir) => writeFile(join(dir, "data/train/00001.jsonl"), "{}\n")],
    ["a line added to the list", "FILE_CHANGED", async (dir) => appendFile(join(dir, "files.ndjson"), "{}\n")],
    [
      "a manifest that was changed",
      "MANIFEST_CHANGED",
      async (dir) => {
        const file = join(dir, "manifest.json");
        await writeFile(file, (await readFile(file, "utf8")).replace('"sessions": 2', '"sessions": 3'));
      },
    ],
  ];

  test.each(damages)("catches %s", async (_name, reason, damage) => {
    const dir = join(place.dir, "damaged");
    await cp(whole, dir, { recursive: true });
    await damage(dir);
    const verified = await verify(dir);
    expect(verified.code).toBe(1);
    expect(new Set(verified.reasons)).toContain(reason);
    await rm(dir, { recursive: true });
  });

  test("catches with the root or the store a manifest that was edited to match", async () => {
    const dir = join(place.dir, "edited");
    await cp(whole, dir, { recursive: true });
    const { root } = z
      .looseObject({ root: z.string() })
      .parse(JSON.parse(await readFile(join(dir, "manifest.json"), "utf8")));
    await forge(dir);
    const blind = await verify(dir);
    expect(blind).toMatchObject({ code: 0, summary: { root_compared: false } });
    expect(blind.ran.stderr).toContain("Not proven");
    expect(await verify(dir, "--root", root)).toMatchObject({ code: 1, reasons: ["OTHER_ROOT"] });
    expect(await verify(dir, "--store", "sqlite:data/sluice.db")).toMatchObject({ code: 1, reasons: ["UNKNOWN_ROOT"] });
  });

  test("refuses what is no export", async () => {
    const ran = await place.sluice(["export", "verify", "data", "--json"]);
    expect([ran.code, ran.records().at(-1)?.["reason"]]).toEqual([2, "NO_EXPORT"]);
  });

  test.each([
    ["OTHER_WATERMARK", "UPDATE streams SET durable_seq = durable_seq - 1"],
    ["OTHER_EVENTS", "UPDATE sessions SET info = json_set(info, '$.task', 'another')"],
    ["ARTIFACT_GONE", "DELETE FROM artifact_heads; DELETE FROM artifact_blobs; DELETE FROM artifacts"],
  ])("catches with the store: %s", async (reason, sql) => {
    await using copy = await copyOf(place);
    const database = new Database(join(copy.dir, "data", "sluice.db"));
    database.exec(sql);
    database.close();
    const ran = await copy.sluice(["export", "verify", whole, "--store", "sqlite:data/sluice.db", "--json"]);
    expect(ran.code).toBe(1);
    expect(ran.records()[0]?.["reason"], ran.stderr).toBe(reason);
  });
});

/** Changes a line and everything that tells of it, as somebody would who knows how. */
async function forge(dir: string): Promise<void> {
  const file = join(dir, "data/train/00000.jsonl");
  const changed = (await readFile(file, "utf8")).replace("Task", "task");
  await writeFile(file, changed);
  const list = join(dir, "files.ndjson");
  const lines = (await readFile(list, "utf8")).trimEnd().split("\n");
  const edited = lines.map((line) => {
    const each = z.object({ path: z.string(), bytes: z.int(), sha256: z.string() }).parse(JSON.parse(line));
    return JSON.stringify(each.path.startsWith("data/train") ? { ...each, sha256: sha256(changed) } : each);
  });
  await writeFile(list, `${edited.join("\n")}\n`);
  const manifest = join(dir, "manifest.json");
  const { root: _, ...told } = z
    .looseObject({ root: z.string(), hashes: z.looseObject({ files: z.string() }) })
    .parse(JSON.parse(await readFile(manifest, "utf8")));
  const matching = { ...told, hashes: { ...told.hashes, files: sha256(`${edited.join("\n")}\n`) } };
  await writeFile(manifest, JSON.stringify({ ...matching, root: sha256(canonicalJson(matching)) }));
}
