import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { Collector } from "../../src/client/index.ts";
import { eventOf } from "./recordings.ts";
import { StrictDaemon } from "./strict-daemon.ts";

const run = promisify(execFile);

test("a full disk refuses pushes, keeps what was taken, and takes more when there is room", async (context) => {
  const directory = await mkdtemp(join(tmpdir(), "sluice-full-"));
  try {
    await run("mount", ["-t", "tmpfs", "-o", "size=600k", "tmpfs", directory]);
  } catch {
    await rm(directory, { recursive: true });
    return context.skip("a small filesystem can't be mounted here");
  }
  try {
    await using daemon = await StrictDaemon.start();
    await daemon.stop();
    const ballast = join(directory, "ballast");
    await writeFile(ballast, Buffer.alloc(200 * 1024));
    await using collector = await Collector.open({
      url: daemon.url,
      spoolDir: join(directory, "spool"),
      backoff: { baseMs: 1, maxMs: 10 },
    });
    const session = await collector.session({ id: "s1" });
    let kept = 0;
    let refusal: unknown;
    while (refusal === undefined) {
      await session.push(eventOf(kept + 1, 4_000)).then(
        () => {
          kept += 1;
        },
        (error: unknown) => {
          refusal = error;
        },
      );
    }
    expect(refusal).toMatchObject({ code: "resource_exhausted", reason: "DISK_FULL" });
    expect(session.nextSeq).toBe(BigInt(kept + 1));
    await rm(ballast);
    expect(await session.push(eventOf(kept + 1, 4_000))).toBe(BigInt(kept + 1));
    await daemon.listen();
    await session.seal();
    const expected = Array.from({ length: kept + 1 }, (_, index) => Buffer.from(eventOf(index + 1, 4_000)));
    expect(daemon.stream("s1").events.map((event) => Buffer.from(event))).toEqual(expected);
  } finally {
    await run("umount", [directory]);
    await rm(directory, { recursive: true });
  }
});

test("a disk over its quota refuses pushes as a full one does", async (context) => {
  if (spawnSync("strace", ["-o", "/dev/null", "true"]).status !== 0) {
    return context.skip("strace is not installed or may not trace");
  }
  const directory = await mkdtemp(join(tmpdir(), "sluice-quota-"));
  try {
    const faults = ["-e", "trace=pwrite64", "-e", "inject=pwrite64:error=EDQUOT:when=20+"];
    const pusher = fileURLToPath(new URL("./pusher.ts", import.meta.url));
    const args = ["-f", "-o", "/dev/null", ...faults, process.execPath, pusher, directory, "http://127.0.0.1:1"];
    const { status, stdout, stderr } = spawnSync("strace", args, { encoding: "utf8" });
    expect(status).toBe(1);
    expect(stderr).toContain("reason: 'DISK_FULL'");
    expect(stderr).toContain("errno: -122");
    expect(stdout).toMatch(/^1 1$/m);
  } finally {
    await rm(directory, { recursive: true });
  }
});
