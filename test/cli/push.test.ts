import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { BIN, finished, Workplace } from "./sluice.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });
const CODESIGHT = fileURLToPath(new URL("../../../shared/data/codesight", import.meta.url));
let place: Workplace;
beforeEach(async () => {
  place = await Workplace.open();
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

/** The real daemon on a free port, with the place's default store. */
async function startDaemon(env: Record<string, string> = {}) {
  const { PATH = "" } = process.env;
  const args = [join(dirname(BIN), "sluiced.js"), "--listen", "127.0.0.1:0"];
  const child = spawn(process.execPath, args, {
    cwd: place.dir,
    env: { PATH, ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const exited = once(child, "exit");
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const lines: string[] = [];
  createInterface(child.stderr).on("line", (line) => {
    lines.push(line);
    const url = /"url":"([^"]+)"/.exec(line)?.[1];
    if (url !== undefined) resolve(url);
  });
  child.once("exit", () => reject(new Error(`the daemon ended: ${lines.join("\n")}`)));
  const url = await promise;
  return {
    url,
    lines,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await exited;
    },
  };
}

/** Each session's own, so that no session brings another's blob. */
function imageOf(session: string): { readonly bytes: Buffer; readonly id: string } {
  const bytes = Buffer.from(`a screenshot of ${session}`);
  return { bytes, id: createHash("sha256").update(bytes).digest("hex") };
}

interface Capture {
  readonly id: string;
  readonly stream?: string;
  readonly events?: number;
  readonly image?: boolean;
  readonly padding?: number;
}

/** A native capture whose first event names a screenshot. */
async function capture(
  folder: string,
  { id, stream, events = 3, image = true, padding = 0 }: Capture,
): Promise<string> {
  const dir = join(place.dir, folder);
  const shot = imageOf(id);
  await mkdir(join(dir, "blobs"), { recursive: true });
  await writeFile(
    join(dir, "session.json"),
    JSON.stringify({ id, ...(stream && { stream }), info: { task: `task ${id}` } }),
  );
  const lines = Array.from({ length: events }, (_, at) =>
    JSON.stringify({
      timeMs: String(1000 * (at + 1)),
      type: "EVENT_TYPE_CLICK",
      rawJson: JSON.stringify({ at, padding: "x".repeat(padding) }),
      ...(at === 0 && { screenshots: [{ blobId: shot.id }] }),
    }),
  );
  await writeFile(join(dir, "events.ndjson"), `${lines.join("\n")}\n`);
  if (image) await writeFile(join(dir, "blobs", `${shot.id}.png`), shot.bytes);
  return dir;
}

describe("push", () => {
  test("sends captures whole and seals them; again, it sends nothing and says so", async () => {
    await capture("captures/a", { id: "a" });
    await capture("captures/b", { id: "b", events: 5 });
    await using daemon = await startDaemon();
    const first = await place.sluice(["push", "captures", "--to", daemon.url, "--json"]);
    expect(first.code, first.stderr).toBe(0);
    expect(first.records().at(-1)).toMatchObject({
      type: "summary",
      sessions: 2,
      failed: 0,
      unfinished: 0,
      sealed: 2,
      events_stored: 8,
      events_known: 0,
      events_quarantined: 0,
    });
    const again = await place.sluice(["push", "captures", "--to", daemon.url, "--json"]);
    expect(again.code).toBe(0);
    expect(again.records().at(-1)).toMatchObject({ events_stored: 0, events_known: 8, blobs_sent: 0, blobs_known: 2 });
    const out = await place.sluice(["sessions", "blob", imageOf("a").id, "--out", "-"]);
    expect(out.stdout).toBe("a screenshot of a");
  });

  test("sends what the system before it exported, every interaction of it", async (context) => {
    if (!existsSync(CODESIGHT)) return context.skip("no recordings at ../shared/data/codesight");
    await using daemon = await startDaemon();
    const push = ["push", CODESIGHT, "--to", daemon.url, "--json"];
    const first = await place.sluice(push);
    expect(first.code, first.stderr).toBe(0);
    const counts = { sessions: 4, failed: 0, sealed: 4, events_stored: 299, events_known: 0, events_quarantined: 0 };
    expect(first.records().at(-1)).toMatchObject(counts);
    const again = await place.sluice(push);
    expect(again.records().at(-1)).toMatchObject({ ...counts, events_stored: 0, events_known: 299 });
    const shown = await place.sluice(["sessions", "show", "session_1753894420339_mkfvw24za"]);
    expect(shown.stdout).toMatch(/^status +sealed/m);
    expect(shown.stdout).toMatch(/^main +90$/m);
  });

  test("a session of several streams is sealed once, with all of them; --no-seal leaves it open", async () => {
    await capture("captures/a", { id: "s", stream: "left" });
    await capture("captures/b", { id: "s", stream: "right", events: 4 });
    await using daemon = await startDaemon();
    expect((await place.sluice(["push", "captures", "--to", daemon.url, "--no-seal"])).code).toBe(0);
    expect((await place.sluice(["sessions", "show", "s"])).stdout).toMatch(/^status +open$/m);
    expect((await place.sluice(["push", "captures", "--to", daemon.url])).code).toBe(0);
    const shown = await place.sluice(["sessions", "show", "s"]);
    expect(shown.stdout).toMatch(/^status +sealed/m);
    expect(shown.stdout).toMatch(/^left +3$/m);
    expect(shown.stdout).toMatch(/^right +4$/m);
  });

  test("two captures of the same stream are refused before anything is sent", async () => {
    await capture("a", { id: "s" });
    await capture("b", { id: "s" });
    const { code, stderr } = await place.sluice(["push", "a", "b"]);
    expect(code).toBe(2);
    expect(stderr).toContain("both stream main of session s");
  });

  test("what fails is named with why, the rest goes on, and the exit code is 3", async () => {
    await capture("good", { id: "good" });
    await capture("missing", { id: "missing", image: false });
    const broken = await capture("broken", { id: "broken" });
    await appendFile(join(broken, "events.ndjson"), '{"timeMs": "x"}\n');
    await using daemon = await startDaemon();
    const ran = await place.sluice(["push", "good", "missing", "broken", "nowhere", "--to", daemon.url, "--json"]);
    expect(ran.code).toBe(3);
    const failures = ran.records().filter(({ type }) => type === "failure");
    expect(failures).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ path: "nowhere", code: "not_found" }),
        expect.objectContaining({ session: "missing", reason: "MISSING_BLOBS" }),
        expect.objectContaining({ session: "broken", reason: "BAD_CAPTURE" }),
      ]),
    );
    expect(failures).toHaveLength(3);
    expect(ran.records().at(-1)).toMatchObject({ sessions: 1, failed: 3, sealed: 1 });
    const allowed = await place.sluice(["push", "missing", "--to", daemon.url, "--allow-missing-blobs"]);
    expect(allowed.code).toBe(0);
    expect((await place.sluice(["sessions", "show", "missing"])).stdout).toContain(imageOf("missing").id);
  });

  test("an event that is set aside is named, and the exit code is 3", async () => {
    const dir = await capture("s", { id: "s" });
    await appendFile(join(dir, "events.ndjson"), '{"type": "EVENT_TYPE_CLICK"}\n');
    await using daemon = await startDaemon();
    const { code, stdout, stderr } = await place.sluice(["push", "s", "--to", daemon.url]);
    expect(code).toBe(3);
    expect(stdout).toContain("s/main  3 events stored, 1 quarantined");
    expect(stderr).toContain("quarantined s/main 4: time_ms must be");
  });

  test("--verify compares what is stored already; a capture that was changed is told with the line, and nothing is stored", async () => {
    const dir = await capture("s", { id: "s", events: 1_000 });
    await using daemon = await startDaemon();
    const push = ["push", "s", "--to", daemon.url, "--json"];
    expect((await place.sluice([...push, "--verify"])).records().at(-1)).toMatchObject({
      events_stored: 1_000,
      events_compared: 0,
    });
    const same = await place.sluice([...push, "--verify"]);
    expect(same.code, same.stderr).toBe(0);
    expect(same.records().at(-1)).toMatchObject({ events_stored: 0, events_known: 1_000, events_compared: 1_000 });
    expect(same.stderr).toContain("1000 stored before and compared");
    expect((await place.sluice(push)).records().at(-1)).toMatchObject({ events_known: 1_000, events_compared: 0 });

    const path = join(dir, "events.ndjson");
    const lines = (await readFile(path, "utf8")).split("\n");
    const changed = lines.with(776, lines[776]?.replace("CLICK", "SCROLL") ?? "");
    await writeFile(path, [...changed.slice(0, -1), lines[0], ""].join("\n"));
    const refused = await place.sluice([...push, "--verify"]);
    expect(refused.code).toBe(1);
    expect(refused.records()).toMatchObject([
      { type: "failure", session: "s", code: "conflict", reason: "CONFLICT", metadata: { seq: "777" } },
      { type: "summary", failed: 1, sessions: 0, events_stored: 0 },
    ]);
    expect(refused.stderr).toContain("failed s: s/events.ndjson:777: another event is stored as event 777 of s/main");
    expect((await place.sluice(["sessions", "show", "s"])).stdout).toMatch(/^main +1000$/m);
  });

  test("--verify of a changed capture does not keep the others from being sent: the exit code is 3", async () => {
    const dir = await capture("captures/a", { id: "a" });
    await capture("captures/b", { id: "b" });
    // Less than is sent at once by itself.
    await using daemon = await startDaemon({ SLUICE_LIMITS_BATCH_EVENTS: "2" });
    expect((await place.sluice(["push", "captures/a", "--no-seal", "--to", daemon.url])).code).toBe(0);
    const path = join(dir, "events.ndjson");
    await writeFile(path, (await readFile(path, "utf8")).replace('"timeMs":"2000"', '"timeMs":"2001"'));
    const ran = await place.sluice(["push", "captures", "--verify", "--to", daemon.url]);
    expect(ran.code).toBe(3);
    expect(ran.stdout).toContain("b/main  3 events stored");
    expect(ran.stderr).toContain("captures/a/events.ndjson:2: another event is stored as event 2 of a/main");
  });

  test("a key is taken from a file, stdin or the environment; a wrong one exits 12 and is not repeated", async () => {
    await capture("s", { id: "s" });
    const { stdout: key } = await place.sluice([
      "keys",
      "create",
      "--name",
      "ci",
      "--scope",
      "ingest",
      "--project",
      "shop",
    ]);
    await writeFile(join(place.dir, "ci.key"), key);
    await using daemon = await startDaemon({ SLUICE_AUTH_ANONYMOUS_LOOPBACK: "false" });
    const push = ["push", "s", "--to", daemon.url];
    expect((await place.sluice([...push, "--key-file", "ci.key"])).code).toBe(0);
    expect((await place.sluice([...push, "--key-file", "-"], { stdin: key })).code).toBe(0);
    expect((await place.sluice(push, { env: { SLUICE_KEY: key } })).code).toBe(0);
    expect((await place.sluice(["sessions", "list", "--project", "shop"])).stdout).toMatch(/^s +sealed/m);
    const none = await place.sluice(push);
    expect(none.code).toBe(12);
    const wrong = `${key.trim().slice(0, -3)}xyz`;
    const refused = await place.sluice([...push, "--json"], { env: { SLUICE_KEY: wrong } });
    expect(refused.code).toBe(12);
    expect(refused.stdout + refused.stderr).not.toContain(wrong.slice(17));
    expect((await place.sluice([...push, "--project", "other", "--key-file", "ci.key"])).code).toBe(12);
    const mangled = await place.sluice(push, { env: { SLUICE_KEY: "sk-something" } });
    expect(mangled.code).toBe(2);
    expect(mangled.stderr).toContain("a key begins with slk_");
  });

  test.each(["push", "push --verify"])(
    "a daemon that is away is tried for a while, then %s ends and says what is left",
    async (command) => {
      await capture("captures/a", { id: "a" });
      await capture("captures/b", { id: "b" });
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      const address = server.address();
      const port = typeof address === "object" ? address?.port : 0;
      await new Promise((resolve) => server.close(resolve));
      const args = [
        ...command.split(" "),
        "captures",
        "--to",
        `http://127.0.0.1:${port}`,
        "--concurrency",
        "1",
        "--give-up-after",
        "1ms",
        "--json",
      ];
      const { code, records } = await place.sluice(args);
      expect(code).toBe(1);
      expect(records().at(-1)).toMatchObject({ type: "summary", sessions: 0, failed: 1, unfinished: 1 });
    },
  );

  test("SIGINT keeps what was acknowledged, says how to go on and exits 130; the same command finishes", async () => {
    await capture("s", { id: "s", events: 20_000, padding: 2000 });
    await using daemon = await startDaemon();
    const push = ["push", "s", "--to", daemon.url, "--json"];
    const child = place.spawn(push);
    const ran = finished(child);
    await using app = await place.app();
    const durable = async () => {
      const ref = { project: "default", session: "s", stream: "main" };
      return (await app.store.readWatermark(ref, AbortSignal.timeout(60_000)))?.durableSeq ?? 0n;
    };
    await expect.poll(durable, { timeout: 60_000, interval: 5 }).toBeGreaterThan(0n);
    child.kill("SIGINT");
    const { code, stderr, records } = await ran;
    const kept = await durable();
    expect(code, stderr).toBe(130);
    expect(stderr).toContain("The same command goes on from there.");
    expect(records().at(-1)).toMatchObject({ type: "error", code: "cancelled", reason: "INTERRUPTED" });
    const again = await place.sluice(push);
    expect(again.code, again.stderr).toBe(0);
    const summary = again.records().at(-1);
    expect(Number(summary?.["events_known"]) + Number(summary?.["events_stored"])).toBe(20_000);
    expect(Number(summary?.["events_known"])).toBeGreaterThanOrEqual(Number(kept));
  });
});
