import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadConfig } from "../../src/core/config.ts";
import { checkConfig, isLoopback } from "../../src/core/config-check.ts";

const DAY_MS = 86_400_000;
const run = promisify(execFile);
let dir: string;
let openssl = true;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "sluice-check-"));
  try {
    for (const name of ["a", "b"]) {
      const [key, cert] = [join(dir, `${name}.key`), join(dir, `${name}.pem`)];
      const subject = ["-subj", "/CN=localhost", "-days", "100"];
      await run("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, ...subject]);
      await chmod(key, 0o600);
    }
  } catch {
    openssl = false;
  }
});
afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

async function check(flags: Record<string, string>, nowMs = Date.now()) {
  const standard = { store: `sqlite:${dir}/new/deep/sluice.db`, blobs: `file:${dir}/blobs` };
  const { values } = await loadConfig({ flags: { ...standard, ...flags }, env: {}, cwd: dir, file: undefined });
  return (await checkConfig(values, nowMs)).map(
    ({ severity, setting, message }) => `${severity} ${setting}: ${message}`,
  );
}

function tls(cert: string, key: string) {
  return { "tls.cert": join(dir, cert), "tls.key": join(dir, key) };
}

describe("checkConfig", () => {
  test("the defaults in a writable directory are in order", async () => {
    expect(await check({})).toEqual([]);
  });

  test("a port that other machines reach in plain text is a warning", async () => {
    expect(await check({ listen: "0.0.0.0:4750" })).toEqual([
      expect.stringContaining("warning listen: 0.0.0.0 can be reached"),
    ]);
  });

  test("a store that can't be written is an error", async () => {
    await writeFile(join(dir, "file"), "");
    expect(await check({ store: `sqlite:${dir}/file/sluice.db` })).toEqual([
      expect.stringContaining("error store: can't be written"),
    ]);
  });

  test("a certificate or authority that is missing or no PEM is an error that names the file", async () => {
    await writeFile(join(dir, "bad.pem"), "no PEM");
    expect(await check({ ...tls("none.pem", "bad.pem"), "tls.client_ca": join(dir, "bad.pem") })).toEqual([
      expect.stringContaining(`error tls.cert: ${dir}/none.pem can't be read as PEM: ENOENT`),
      expect.stringContaining(`error tls.key: ${dir}/bad.pem can't be read as PEM`),
      expect.stringContaining(`error tls.client_ca: ${dir}/bad.pem can't be read as PEM`),
    ]);
  });

  test("a key of another certificate, one that anyone can read, and a certificate near its end are told", async (context) => {
    if (!openssl) return context.skip("openssl is absent");
    expect(await check(tls("a.pem", "a.key"))).toEqual([]);
    expect(await check(tls("a.pem", "b.key"))).toEqual([expect.stringContaining("error tls.key")]);
    const at = (days: number) => check(tls("a.pem", "a.key"), Date.now() + days * DAY_MS);
    expect(await at(90)).toEqual([expect.stringContaining("warning tls.cert")]);
    expect(await at(101)).toEqual([expect.stringContaining("error tls.cert")]);
    expect(await at(-1)).toEqual([expect.stringContaining("error tls.cert")]);
    await chmod(join(dir, "b.key"), 0o644);
    expect(await check(tls("b.pem", "b.key"))).toEqual([
      expect.stringContaining("warning tls.key: anyone on this machine can read"),
    ]);
  });
});

test.each([
  ["127.0.0.1", true],
  ["127.9.9.9", true],
  ["::1", true],
  ["localhost", true],
  ["::ffff:127.0.0.1", true],
  ["0.0.0.0", false],
  ["::", false],
  ["10.0.0.1", false],
  ["example.com", false],
])("isLoopback(%s) is %s", (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});
