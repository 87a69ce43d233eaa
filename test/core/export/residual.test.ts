import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import fc from "fast-check";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { EXPORTERS, exporterNamed } from "../../../src/core/export/formats.ts";
import { Needles } from "../../../src/core/export/needles.ts";
import { sha256 } from "../../../src/core/pipeline/canonical.ts";
import { pack } from "../../../src/core/session/segment.ts";
import type { Workplace } from "../../cli/sluice.ts";
import { never } from "../../fixtures.ts";
import { survivals } from "../pipeline/redact/sessions.ts";
import { copyOf, processed, SAMPLE } from "./place.ts";

const RECORDINGS = fileURLToPath(new URL("../../../../shared/data/codesight", import.meta.url));
const SHARED = existsSync(RECORDINGS);

/** Made up, of the one person in these recordings; some of them are typed nowhere, and echoed by pages. */
const VALUES = [
  "dana.whitlock@example.com",
  "danawhitlock@gmail",
  "(206) 555-0140",
  "1418 Alder Crest Ln",
  "DnobDQCm5JUcKkHnVm3uMGonrNZGmwEnDqPhukd",
  "203.0.113.10",
  "203.0.113.11",
];

let place: Workplace;
beforeAll(async () => {
  place = await processed([SHARED ? RECORDINGS : `${SAMPLE}return-policy-lookup`]);
}, 180_000);
afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
});

test.for(EXPORTERS.map(({ name }) => name))(
  "nothing of a person who was in dirty recordings is in an export as %s",
  async (format, context) => {
    if (!SHARED) context.skip("no recordings at ../shared/data/codesight");
    const ran = await place.sluice(["export", format, "--out", format]);
    expect(ran.code, ran.stderr).toBe(0);
    const entries = await readdir(join(place.dir, format), { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    expect(files.some((file) => file.includes("/data/train/"))).toBe(true);
    for (const file of files) {
      // Parquet compresses: its rows are read as well as its bytes.
      const rows: unknown[] = [];
      if (file.includes("/data/")) for await (const row of exporterNamed(format).read(file, never)) rows.push(row);
      const text = `${await readFile(file, "latin1")}${JSON.stringify(rows, (_key, each) => (each instanceof Uint8Array ? "" : each))}`;
      for (const value of VALUES)
        expect({ file, value, left: survivals(text, value) }).toEqual({ file, value, left: [] });
    }
    const { residual } = z
      .object({ residual: z.object({ found: z.int(), values: z.record(z.string(), z.int()), texts: z.int() }) })
      .parse(JSON.parse(await readFile(join(place.dir, format, "manifest.json"), "utf8")));
    expect(residual.values["email"]).toBeGreaterThan(0);
    expect(residual.texts).toBeGreaterThan(500);
  },
);

/** Puts a text into what `assemble` gave, where it was never taken out, in place of its task. */
async function plant(copy: Workplace, text: string): Promise<string> {
  await using app = await copy.app();
  const [first] = await app.store.listExportable(
    { selection: { project: "default" }, after: undefined, limit: 1 },
    never,
  );
  const session = first?.session ?? "";
  const head = (await app.store.readHeads("default", session, never)).find(({ stage }) => stage === "assemble");
  const artifact = await app.store.readArtifact("default", session, head?.key ?? "", never);
  const steps = z.looseObject({ steps: z.array(z.looseObject({ task: z.string() })) });
  const output = steps.parse(JSON.parse(Buffer.from(artifact?.data ?? "").toString("utf8")));
  const [step] = output.steps;
  if (step !== undefined) step.task = `${step.task} ${text}`;
  const data = Buffer.from(JSON.stringify(output));
  const { encoding, payload } = pack(data);
  const database = new Database(join(copy.dir, "data", "sluice.db"));
  database
    .prepare("UPDATE artifacts SET encoding = ?, payload = ?, raw_bytes = ?, sha256 = ? WHERE lower(hex(key)) = ?")
    .run(encoding, payload, data.length, Buffer.from(sha256(payload), "hex"), head?.key);
  database.close();
  return session;
}

describe("a value that is put back", () => {
  const planted = SHARED
    ? [
        "dana.whitlock@example.com",
        "dana%2Ewhitlock%2540example.com",
        "DANA.WHITLOCK &#64; example . com",
        "2065550140",
      ]
    : ["someone.else@example.org", "+1 (206) 555-0140"];
  test.each(planted)("as %s stops the export, which says where and not what, and leaves nothing", async (text) => {
    await using copy = await copyOf(place);
    const session = await plant(copy, text);
    const ran = await copy.sluice(["export", "ndjson", "--out", "planted", "--json"]);
    expect(ran.code).toBe(1);
    expect(ran.records().at(-1)).toMatchObject({ reason: "PERSONAL_DATA_LEFT" });
    expect(ran.stderr).toContain(`data/train/00000.jsonl:1 (task) of session ${session}`);
    expect(`${ran.stdout}${ran.stderr}`.toLowerCase()).not.toMatch(/whitlock|0140|someone/);
    expect((await readdir(copy.dir)).filter((name) => name.startsWith("planted"))).toEqual([]);
  });
});

test("an image that holds more than the picture stops the export", async () => {
  await using copy = await processed([`${SAMPLE}return-policy-lookup`]);
  const derived = join(copy.dir, "data", "derived", "default");
  const [file = ""] = (await readdir(derived, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const dirty = await sharp(file)
    .withExif({ IFD0: { Artist: "somebody" } })
    .webp({ lossless: true })
    .toBuffer();
  await using app = await copy.app();
  const id = await app.derived.put("default", dirty, never);
  const head = (await app.store.readHeads("default", "return-policy-lookup", never)).find(
    (each) => each.stage === "assemble",
  );
  const artifact = await app.store.readArtifact("default", "return-policy-lookup", head?.key ?? "", never);
  const text = Buffer.from(artifact?.data ?? "").toString("utf8");
  const [named = ""] = /[0-9a-f]{64}/.exec(text.slice(text.indexOf('"blob"'))) ?? [];
  const data = Buffer.from(text.replaceAll(named, id));
  const { encoding, payload } = pack(data);
  const database = new Database(join(copy.dir, "data", "sluice.db"));
  database
    .prepare("UPDATE artifacts SET encoding = ?, payload = ?, raw_bytes = ?, sha256 = ? WHERE lower(hex(key)) = ?")
    .run(encoding, payload, data.length, Buffer.from(sha256(payload), "hex"), head?.key);
  database.close();
  for (const format of ["trl", "chat"]) {
    const ran = await copy.sluice(["export", format, "--out", format, "--json"]);
    expect(ran.records().at(-1)).toMatchObject({ reason: "PERSONAL_DATA_LEFT" });
    expect(ran.stderr).toContain("an image that holds more than a picture");
  }
});

describe("needles", () => {
  const spellings: ((value: string) => string)[] = [
    (value) => value.toUpperCase(),
    (value) => encodeURIComponent(value),
    (value) => encodeURIComponent(encodeURIComponent(value)),
    (value) => value.replace(/./g, (each) => `&#${each.charCodeAt(0)};`),
    (value) => value.replace(/./g, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`),
    (value) => [...value].join("</b><b>"),
    (value) => [...value].join("\u200b"),
    (value) => value.normalize("NFD"),
    (value) => value.replaceAll(/[!-~]/g, (each) => String.fromCharCode(each.charCodeAt(0) + 0xfee0)),
    (value) => Buffer.from(value).toString("base64"),
    (value) => Buffer.from(`x=${value}`).toString("base64url"),
    (value) => Buffer.from(JSON.stringify({ a: value.length, value })).toString("base64"),
    (value) => Buffer.from(value).toString("hex").toUpperCase(),
  ];
  const value = fc.oneof(
    fc.emailAddress(),
    fc.stringMatching(/^[A-Za-zÀ-ÿ]{6,12} [A-Za-zÀ-ÿ]{6,12}$/),
    fc.stringMatching(/^\+?\d{3}[ -]\d{3}[ -]\d{4}$/),
  );

  test("find a value in every spelling, anywhere in a text", () => {
    fc.assert(
      fc.property(value, fc.constantFrom(...spellings), fc.string(), fc.string(), (each, spell, before, after) => {
        const needles = new Needles([{ kind: "person", value: each }]);
        const letters = each.normalize("NFKD").replaceAll(/[^\p{L}\p{N}]/gu, "");
        fc.pre(letters.length >= 12 && !/[%&\\<>]/.test(each));
        // What stands around must not complete an escape or a tag.
        const around = (text: string) => text.replaceAll(/[&%\\<>#;\dA-Fa-fux]/g, "");
        expect(needles.find(`${around(before)} ${spell(each)} ${around(after)}`)).toBe("person");
      }),
      { numRuns: 2_000 },
    );
  });

  test("do not find a placeholder, nor a short word in a longer text", () => {
    const needles = new Needles([
      { kind: "email", value: "email@one.example" },
      { kind: "person", value: "May" },
      { kind: "address", value: "98402" },
    ]);
    for (const text of ["<EMAIL_1>", "in May or June", "size 98402-B", "%3CEMAIL_1%3E", "e-mail one"]) {
      expect(needles.find(text), text).toBeUndefined();
    }
    expect(needles.find(" may ")).toBe("person");
    expect(needles.find("98402")).toBe("address");
  });
});
