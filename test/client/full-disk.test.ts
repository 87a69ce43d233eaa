import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
