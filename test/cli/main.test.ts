import { execFile } from "node:child_process";
import { symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { mintKey } from "../../src/core/api-key.ts";
import { BIN, Workplace } from "./sluice.ts";

vi.setConfig({ testTimeout: 60_000 });
const run = promisify(execFile);

let place: Workplace;
beforeEach(async () => {
  place = await Workplace.open();
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

describe("usage", () => {
  test("--help begins with examples, lists the exit codes and is no failure", async () => {
    const { code, stdout } = await place.sluice(["--help"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Examples:\n/);
    expect(stdout).toContain("12 not allowed  130 interrupted");
  });

  test("--version is the package's", async () => {
    expect(await place.sluice(["--version"])).toMatchObject({ code: 0, stdout: "0.1.0\n" });
  });

  test("a mistyped command exits 2 and is told the one that was meant; with --json the last line says so too", async () => {
    const plain = await place.sluice(["sessions", "lst"]);
    expect(plain).toMatchObject({ code: 2, stdout: "" });
    expect(plain.stderr).toContain("unknown command 'lst'\n(Did you mean list?)");
    const json = await place.sluice(["pusj", "--json"]);
    expect(json.code).toBe(2);
    expect(json.records()).toEqual([
      expect.objectContaining({ type: "error", code: "invalid_argument", reason: "USAGE" }),
    ]);
  });

  test.each([
    [["push"], "missing required argument"],
    [["push", "x", "--concurrency", "0"], "Give a whole number from 1 to 64."],
    [["sessions", "list", "--since", "yesterday"], "Write a time as"],
    [["sessions", "list", "--label", "x"], "Write a label as name=value."],
    [["keys", "create", "--name", "x", "--scope", "all"], "The scopes are ingest, read, process, admin."],
    [["keys", "create", "--scope", "read"], "required option '--name <name>' not specified"],
    [[], "Name a command"],
  ])("%j exits 2 and says what is wrong", async (args, message) => {
    const { code, stdout, stderr } = await place.sluice(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(message);
  });

  test("no key can be given by flag, and one that is tried is not repeated", async () => {
    const { secret } = mintKey({ project: "p", name: "n", scopes: ["read"], expiresAtMs: undefined }, 0);
    const { code, stderr } = await place.sluice(["push", ".", `--key=${secret}`]);
    expect(code).toBe(2);
    expect(stderr).toContain("unknown option '--key");
    expect(stderr).not.toContain(secret.slice(17));
  });
});

test.each(["sluice", "sluiced"])(
  "on an older Node %s says plainly what it needs, exits 1 and loads nothing",
  async (name) => {
    const older = `data:text/javascript,${encodeURIComponent(`
    Object.defineProperty(process, "versions", { value: { ...process.versions, node: "22.11.0" } });
    Object.defineProperty(process, "version", { value: "v22.11.0" });
  `)}`;
    const bin = join(dirname(BIN), `${name}.js`);
    const failure = run(process.execPath, ["--import", older, bin, "--version"]);
    await expect(failure).rejects.toMatchObject({
      code: 1,
      stdout: "",
      stderr: `${name} needs Node 24 or later, this is v22.11.0.\n`,
    });
  },
);

describe("config", () => {
  test("show prints every setting with where it came from, and never a password", async () => {
    await writeFile(join(place.dir, "sluice.yaml"), "# ours\ngrace: 5s\n");
    const { code, stdout } = await place.sluice(["config", "show"], { env: { SLUICE_LOG_LEVEL: "debug" } });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^grace +5s +file sluice\.yaml:2$/m);
    expect(stdout).toMatch(/^log\.level +debug +env SLUICE_LOG_LEVEL$/m);
    expect(stdout).toMatch(/^limits\.message_bytes +4MiB +default$/m);
    const refused = await place.sluice(["config", "show", "--store", "postgres://sluice:hunter2@db/sluice"]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("postgres: is not in this release");
    expect(refused.stderr + refused.stdout).not.toContain("hunter2");
  });

  test("check exits 0 with warnings and 2 with errors, and names each with its origin", async () => {
    const warned = await place.sluice(["config", "check", "--json"], {
      env: { SLUICE_LISTEN: "0.0.0.0:4750", SLUICE_SOTRE: "x" },
    });
    expect(warned.code).toBe(0);
    expect(warned.records()).toEqual([
      expect.objectContaining({ type: "problem", severity: "warning", setting: "listen", origin: "env SLUICE_LISTEN" }),
      expect.objectContaining({ type: "summary", errors: 0, warnings: 1 }),
    ]);
    expect(warned.stderr).toContain("did you mean SLUICE_STORE?");
    const env = { SLUICE_TLS_CERT: "none.pem", SLUICE_TLS_KEY: "none.key" };
    const failed = await place.sluice(["config", "check"], { env });
    expect(failed.code).toBe(2);
    expect(failed.stderr).toContain("tls.cert (env SLUICE_TLS_CERT): none.pem can't be read as PEM");
  });
});

describe("migrate", () => {
  test("up says so where the store's directory can't be made", async () => {
    // Where every mkdir is answered with ENOENT.
    const { code, stderr } = await place.sluice(["migrate", "up", "--store", "sqlite:/proc/sluice/sluice.db"]);
    expect(code).toBe(10);
    expect(stderr).toContain("The directory /proc/sluice of the store can't be made");
  });

  test("up makes the store, status tells what is applied, and both can be run again", async () => {
    const none = await place.sluice(["migrate", "status", "--json"]);
    expect(none.code).toBe(10);
    expect(none.records()).toEqual([expect.objectContaining({ type: "error", code: "no_store" })]);
    expect((await place.sluice(["migrate", "up"])).code).toBe(0);
    const { code, stdout } = await place.sluice(["migrate", "status"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^schema (\d+) of \1, 0 migrations to apply\n/);
    expect(await place.sluice(["migrate", "up"])).toMatchObject({ code: 0, stdout: "Nothing to apply.\n" });
  });
});

test("a binary that is linked from elsewhere still finds its sources", async () => {
  const link = join(place.dir, "sluice");
  await symlink(BIN, link);
  expect(await run(process.execPath, [link, "--version"])).toMatchObject({ stdout: "0.1.0\n" });
});
