import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const PUSHER = fileURLToPath(new URL("./pusher.ts", import.meta.url));
const PUSHES = 30;

test("no push resolves before the fdatasync that follows its write", { timeout: 60_000 }, async (context) => {
  if (spawnSync("strace", ["-V"]).status !== 0) return context.skip("strace is not installed");
  const directory = await mkdtemp(join(tmpdir(), "sluice-fsync-"));
  try {
    const log = join(directory, "strace");
    const calls = ["-f", "-y", "-s", "16", "-e", "trace=write,pwrite64,fdatasync", "-o", log];
    const pusher = [process.execPath, PUSHER, join(directory, "spool"), "http://127.0.0.1:1", "1", String(PUSHES)];
    const child = spawn("strace", [...calls, ...pusher], { stdio: "ignore" });
    await once(child, "exit");
    expect(resolvedUnsynced((await readFile(log, "utf8")).split("\n"))).toEqual({ resolved: PUSHES, unsynced: 0 });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

/** Goes through the calls in the order they were made: one push at a time writes, syncs, and is told. */
function resolvedUnsynced(calls: readonly string[]): { resolved: number; unsynced: number } {
  const found = { resolved: 0, unsynced: 0 };
  let state: "told" | "written" | "synced" = "told";
  for (const call of calls) {
    if (/ pwrite64\(\d+<[^>]*\.seg>/.test(call)) state = "written";
    else if (/fdatasync(\(| resumed>).*= 0$/.test(call) && state === "written") state = "synced";
    else if (/ write\(1<[^>]*>, "\d+ \d+\\n"/.test(call)) {
      found.resolved += 1;
      if (state !== "synced") found.unsynced += 1;
      state = "told";
    }
  }
  return found;
}
