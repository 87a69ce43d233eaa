import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Collector } from "../../src/client/index.ts";
import { eventOf, seeded } from "./recordings.ts";
import { StrictDaemon } from "./strict-daemon.ts";

const PUSHER = fileURLToPath(new URL("./pusher.ts", import.meta.url));
const NOWHERE = "http://127.0.0.1:1";
let spoolDir = "";
beforeEach(async () => {
  spoolDir = await mkdtemp(join(tmpdir(), "sluice-kill-"));
});
afterEach(async () => {
  await rm(spoolDir, { recursive: true, force: true });
});

/** Runs a pusher until so many of its pushes have resolved, kills it -9, and gives the highest seq. */
async function pushAndKill(url: string, pushes: number): Promise<bigint> {
  const child = spawn(process.execPath, [PUSHER, spoolDir, url], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  let highest = 0n;
  let resolved = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const [given = "", asked = ""] = line.split(" ");
    expect(given).toBe(asked);
    if (BigInt(given) > highest) highest = BigInt(given);
    resolved += 1;
    if (resolved === pushes) child.kill("SIGKILL");
  }
  expect((await exited)[1]).toBe("SIGKILL");
  return highest;
}

test("killed -9 again and again while it pushes, a collector keeps every resolved push once", {
  timeout: 60_000,
}, async () => {
  await using daemon = await StrictDaemon.start();
  const random = seeded(3);
  let highest = 0n;
  for (let kill = 0; kill < 6; kill += 1) {
    // Now with the daemon there, now without.
    const now = await pushAndKill(kill % 2 === 0 ? daemon.url : NOWHERE, 20 + Math.floor(random() * 300));
    expect(now).toBeGreaterThan(highest);
    highest = now;
  }
  await using collector = await Collector.open({ url: daemon.url, spoolDir });
  const session = await collector.session({ id: "s1" });
  const last = session.nextSeq - 1n;
  expect(last).toBeGreaterThanOrEqual(highest);
  await session.seal();
  const { events } = daemon.stream("s1");
  expect(BigInt(events.length)).toBe(last);
  for (const [index, event] of events.entries()) {
    const seq = index + 1;
    expect(Buffer.compare(event, eventOf(seq, 20 + (seq % 7) * 400)), `event ${seq}`).toBe(0);
  }
});

test("a killed collector's spool is not locked any more", { timeout: 20_000 }, async () => {
  await pushAndKill(NOWHERE, 5);
  await using collector = await Collector.open({ url: NOWHERE, spoolDir });
  expect(collector.status().sessions).toMatchObject([{ session: "s1" }]);
});

test("the spool of a living process is locked for another", { timeout: 20_000 }, async () => {
  await using _collector = await Collector.open({ url: NOWHERE, spoolDir });
  const child = spawn(process.execPath, [PUSHER, spoolDir, NOWHERE], { stdio: ["ignore", "ignore", "pipe"] });
  const stderr: string[] = [];
  child.stderr.setEncoding("utf8").on("data", (text: string) => stderr.push(text));
  const [code] = await once(child, "close");
  expect(code).not.toBe(0);
  expect(stderr.join("")).toContain("SPOOL_LOCKED");
  expect(stderr.join("")).toContain(`"pid":${process.pid}`);
});
