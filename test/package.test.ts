import { execFile } from "node:child_process";
import { cp, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import manifest from "../package.json" with { type: "json" };
import { STAGES } from "../src/core/pipeline/stages.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../", import.meta.url));
let dir = "";

/** What `npm pack` puts into the package, and no sources beside it. */
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "sluice-package-"));
  await run(
    process.execPath,
    [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json", "--outDir", join(dir, "dist")],
    { cwd: ROOT },
  );
  for (const name of ["package.json", ...manifest.files.filter((file) => file !== "dist")]) {
    await cp(join(ROOT, name), join(dir, name), { recursive: true });
  }
  await symlink(join(ROOT, "node_modules"), join(dir, "node_modules"));
});
afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

async function node(...args: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, args, { cwd: dir, env: { PATH: process.env.PATH } });
  return stdout;
}

test("what is built runs: the programs, and a store made by them", async () => {
  expect(await node("bin/sluice.js", "--version")).toBe(`${manifest.version}\n`);
  expect(await node("bin/sluiced.js", "--version")).toBe(`${manifest.version}\n`);
  expect(await node("bin/sluice.js", "migrate", "up")).toContain("applied");
  expect(await node("bin/sluice.js", "keys", "create", "--name", "k", "--scope", "read")).toMatch(/^slk_/);
  expect(await node("bin/sluice.js", "keys", "list", "--json")).toContain('"name":"k"');
});

test("what is built takes a session through the pipeline", async () => {
  await node("bin/sluice.js", "migrate", "up");
  await writeFile(join(dir, "record.mjs"), RECORD);
  await node("record.mjs");
  const attempts = (await node("bin/sluice.js", "work", "--once", "--json")).trimEnd().split("\n");
  expect(JSON.parse(attempts.at(-1) ?? "")).toMatchObject({ type: "summary", done: STAGES.length, dead: 0, lost: 0 });
});

const RECORD = `
import { loadConfig, openApp } from "sluice";
const { values } = await loadConfig({ flags: {}, env: {}, cwd: ".", file: undefined });
await using app = await openApp(values, { create: false });
const session = { project: "default", session: "s1" };
const never = new AbortController().signal;
await app.store.openStream({ ...session, stream: "main" }, undefined, never);
await app.store.seal({
  ...session,
  streams: [{ stream: "main", lastSeq: 0n }],
  allowMissingBlobs: false,
  jobs: [{ ...session, kind: "validate", priority: 3 }],
}, never);
`;

test("what is exported is there, with its types", async () => {
  const names = z.array(z.string());
  const read = (name: string) => `console.log(JSON.stringify(Object.keys(await import(${JSON.stringify(name)}))))`;
  const core = names.parse(JSON.parse(await node("--input-type=module", "-e", read("sluice"))));
  expect(core).toEqual(expect.arrayContaining(["AppError", "loadConfig", "openApp"]));
  const client = names.parse(JSON.parse(await node("--input-type=module", "-e", read("sluice/client"))));
  expect(client).toEqual(expect.arrayContaining(["Collector", "EventType", "uploadRecording"]));
  for (const { types } of Object.values(manifest.exports)) await cp(join(dir, types), join(dir, "types.d.ts"));
});
