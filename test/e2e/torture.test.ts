import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const KILLS = 8;

test(`killed -9 ${KILLS} times, and stalled past their leases, workers do every job once`, async () => {
  const args = ["test/torture/main.ts", "jobs", "--kills", String(KILLS), "--seed", "1", "--json"];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  const report: unknown = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
  const checks = { kills: KILLS, lost: 0, doubled: 0, unaccounted: 0 };
  expect(report).toMatchObject({ name: "jobs", ok: true, checks });
});

test(`a backfill that is killed -9 ${KILLS} times brings everything in once`, async () => {
  const args = [
    "test/torture/main.ts",
    "backfill",
    "--kills",
    String(KILLS),
    "--sessions",
    "600",
    "--seed",
    "1",
    "--json",
  ];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  const report: unknown = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
  const checks = { lost: 0, doubled: 0, unaccounted: 0, added: 0 };
  expect(report).toMatchObject({ name: "backfill", ok: true, checks });
});

for (const mode of ["daemon", "collector"]) {
  test(`killed -9 ${KILLS} times under load, the ${mode} loses and doubles nothing`, async () => {
    const args = ["test/torture/main.ts", "crash", "--kills", String(KILLS), "--mode", mode, "--seed", "1", "--json"];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
    const report: unknown = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
    expect(report).toMatchObject({
      name: "crash",
      ok: true,
      checks: { kills: KILLS, lost: 0, doubled: 0, unaccounted: 0 },
    });
  });
}
