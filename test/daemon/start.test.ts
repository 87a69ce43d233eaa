import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { z } from "zod";
import { Daemon } from "../../dev/daemon.ts";

const BIN = fileURLToPath(new URL("../../bin/sluiced.js", import.meta.url));
const FAILED = z.object({ code: z.number(), stderr: z.string() });

/** Starts a daemon that can't, and returns its exit code and the last line of its log. */
async function refused(dir: string, ...args: string[]) {
  const env = { PATH: process.env.PATH };
  const error: unknown = await promisify(execFile)(process.execPath, [BIN, ...args], { cwd: dir, env }).catch(
    (thrown: unknown) => thrown,
  );
  const { code, stderr } = FAILED.parse(error);
  const line: unknown = JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "");
  return { code, line, stderr };
}

test("a daemon that can't start says why and what to do in one line, and ends with the code for it", async () => {
  const dir = await mkdtemp(join(tmpdir(), "sluice-start-"));
  try {
    await using daemon = await Daemon.start({ dir });
    const second = await refused(dir, "--listen", "127.0.0.1:0");
    expect(second).toMatchObject({ code: 11, line: { level: "fatal", reason: "STORE_LOCKED" } });
    expect(second.stderr).toContain(`process ${daemon.pid}`);
    expect(second.stderr).not.toContain('"stack"');
    const samePort = ["--listen", `127.0.0.1:${daemon.port}`, "--store", "sqlite:./other.db"];
    expect(await refused(dir, ...samePort)).toMatchObject({ code: 1, line: { reason: "ADDRESS_IN_USE" } });
    const open = ["--listen", "0.0.0.0:0", "--store", "sqlite:./other.db"];
    expect(await refused(dir, ...open)).toMatchObject({ code: 1, line: { reason: "NO_KEYS" } });
    expect(await refused(dir, "--store", "postgres://db")).toMatchObject({ code: 2, line: { reason: "BAD_CONFIG" } });
    const nowhere = await refused(dir, "--store", "sqlite:/proc/sluice/sluice.db");
    expect(nowhere).toMatchObject({ code: 10, line: { reason: "STORE_DIRECTORY" } });
    expect(nowhere.stderr).toContain("The directory /proc/sluice of the store can't be made");
    expect(await refused(dir, "--prot", "1")).toMatchObject({ code: 2, line: { reason: "USAGE" } });
  } finally {
    await rm(dir, { recursive: true, maxRetries: 10 });
  }
});
