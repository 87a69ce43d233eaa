import { once } from "node:events";
import { appendFile, cp, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { canonicalJson, sha256 } from "../../../src/core/pipeline/canonical.ts";
import type { Workplace } from "../../cli/sluice.ts";
import { never } from "../../fixtures.ts";
import { copyOf, exportOf, processed, SAMPLE } from "./place.ts";

let place: Workplace;
beforeAll(async () => {
  place = await processed([`${SAMPLE}return-policy-lookup`, `${SAMPLE}filter-and-compare`]);
}, 120_000);
afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
});

function exported(format: string, name: string, ...flags: string[]): Promise<string> {
  return exportOf(place, format, name, ...flags);
}

async function verify(dir: string, ...flags: string[]) {
  const ran = await place.sluice(["export", "verify", dir, "--json", ...flags]);
  const reasons = ran.records().filter(({ type }) => type === "difference");
  return { code: ran.code, reasons: reasons.map((each) => each["reason"]), summary: ran.records().at(-1), ran };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
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

describe("an export", () => {
  test("of the same sessions with the same options has the same bytes", async () => {
    expect(await contents(await exported("trl", "one"))).toEqual(await contents(await exported("trl", "two")));
  });

  test("shows in its card sites, actions, scores and lengths, each as a picture that verify knows", async () => {
    const dir = await exported("ndjson", "plotted");
    const lines = (await readFile(join(dir, "sessions.ndjson"), "utf8")).trimEnd().split("\n");
    const sites = await readFile(join(dir, "plots", "sites.svg"), "utf8");
    expect(sites).toContain(">shop.example.com</text>");
    expect(sites).toContain(`>${lines.length}</text>`);
    const card = await readFile(join(dir, "README.md"), "utf8");
    for (const name of ["sites", "actions", "scores", "lengths"]) {
      expect(card).toContain(`(plots/${name}.svg)`);
      await readFile(join(dir, "plots", `${name}.svg`));
    }
    const actions = await readFile(join(dir, "plots", "actions.svg"), "utf8");
    const counts = [...actions.matchAll(/>(\d+)<\/text>/g)].map(([, count]) => Number(count));
    const { examples } = z
      .looseObject({ examples: z.record(z.string(), z.int()) })
      .parse(JSON.parse(await readFile(join(dir, "manifest.json"), "utf8")));
    expect(sum(counts)).toBe(sum(Object.values(examples)));
    expect(await verify(dir)).toMatchObject({ code: 0 });
    await appendFile(join(dir, "plots", "sites.svg"), " ");
    expect(await verify(dir)).toMatchObject({ code: 1, reasons: ["FILE_CHANGED"] });
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
    await writeFile(join(place.dir, "taken", "manifest.json"), "{}");
    const damaged = await place.sluice(["export", "trl", "--out", "taken"]);
    expect([damaged.code, damaged.stderr]).toEqual([2, expect.stringContaining("manifest was changed")]);
    await writeFile(join(place.dir, "file"), "mine");
    const file = await place.sluice(["export", "trl", "--out", "file", "--json"]);
    expect([file.code, file.records().at(-1)?.["reason"]]).toEqual([2, "OUTPUT_EXISTS"]);

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
