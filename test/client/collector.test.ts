import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Collector, type CollectorOptions } from "../../src/client/collector.ts";
import type { SessionStatus } from "../../src/client/session-context.ts";
import { EventType } from "../../src/wire/gen/sluice/v1/event_pb.ts";
import { ManualClock } from "./manual-clock.ts";
import { eventOf, eventsOf, seeded } from "./recordings.ts";
import { fail, StrictDaemon } from "./strict-daemon.ts";

let spoolDir = "";
beforeEach(async () => {
  spoolDir = await mkdtemp(join(tmpdir(), "sluice-collector-"));
});
afterEach(async () => {
  await rm(spoolDir, { recursive: true, force: true });
});

const fast = { backoff: { baseMs: 1, maxMs: 5 } };
/** Nobody listens there. */
const NOWHERE = "http://127.0.0.1:1";

function open(daemon: StrictDaemon | string, options: Partial<CollectorOptions> = {}): Promise<Collector> {
  return Collector.open({ url: typeof daemon === "string" ? daemon : daemon.url, spoolDir, ...fast, ...options });
}

function stored(daemon: StrictDaemon, session: string): Buffer[] {
  return daemon.stream(session).events.map((event) => Buffer.from(event));
}

async function sessionDirectories(): Promise<string[]> {
  return (await readdir(spoolDir)).filter((name) => /^[0-9a-f]{40}/.test(name));
}

test("what is pushed arrives in order, is sealed, and leaves the spool empty", async () => {
  await using daemon = await StrictDaemon.start();
  await using collector = await open(daemon);
  const session = await collector.session({ id: "s1", info: { task: "buy a lamp" } });
  const picture = randomBytes(50_000);
  const blobId = await session.putBlob(picture, "image/webp");
  expect(blobId).toBe(createHash("sha256").update(picture).digest("hex"));
  const events = eventsOf(100);
  const seqs = await Promise.all(events.map((event) => session.push(event)));
  expect(seqs).toEqual(events.map((_, index) => BigInt(index + 1)));
  expect((await session.seal()).version).toBe(1n);
  expect(stored(daemon, "s1")).toEqual(events.map((event) => Buffer.from(event)));
  expect(daemon.blobs.get(blobId)).toEqual({ data: picture, stored: true });
  await expect.poll(() => collector.status().sessions).toEqual([]);
  expect(collector.status().spoolBytes).toBe(0);
  expect(await sessionDirectories()).toEqual([]);
});

test("an event given as a message is encoded once and arrives", async () => {
  await using daemon = await StrictDaemon.start();
  await using collector = await open(daemon);
  const session = await collector.session({ id: "s1" });
  expect(await session.push({ timeMs: 5n, type: EventType.CLICK })).toBe(1n);
  await session.flush();
  expect(daemon.stream("s1").events).toHaveLength(1);
  expect(session.durableSeq).toBe(1n);
});

test("while the daemon is away events are kept, and another process goes on with them by itself", async () => {
  await using daemon = await StrictDaemon.start();
  const events = eventsOf(500, 400);
  const picture = randomBytes(10_000);
  {
    await using collector = await open(NOWHERE);
    const session = await collector.session({ id: "s1" });
    for (const event of events) await session.push(event);
    await session.putBlob(picture, "image/png");
    void session.seal().catch(() => undefined);
    await expect.poll(sealWished).toBe(true);
  }
  await using _collector = await open(daemon);
  await expect.poll(() => daemon.sessions.get("s1")?.sealed).toBeDefined();
  expect(stored(daemon, "s1")).toEqual(events.map((event) => Buffer.from(event)));
  expect([...daemon.blobs.values()]).toEqual([{ data: picture, stored: true }]);
  await expect.poll(sessionDirectories).toEqual([]);
});

test("a session continues in another process at the next seq", async () => {
  await using daemon = await StrictDaemon.start();
  const events = eventsOf(30);
  {
    await using collector = await open(daemon);
    const session = await collector.session({ id: "s1" });
    for (const event of events.slice(0, 20)) await session.push(event);
    await session.flush();
  }
  await using collector = await open(daemon);
  const session = await collector.session({ id: "s1" });
  expect(session.nextSeq).toBe(21n);
  for (const event of events.slice(20)) await session.push(event);
  await session.seal();
  expect(stored(daemon, "s1")).toEqual(events.map((event) => Buffer.from(event)));
});

test("a full spool refuses a push after maxBlockMs, takes no seq, and takes events again when there is room", async () => {
  await using daemon = await StrictDaemon.start();
  const clock = new ManualClock();
  await daemon.stop();
  await using collector = await open(daemon, { maxSpoolBytes: 64 * 1024, clock, random: () => 0.5 });
  const session = await collector.session({ id: "s1" });
  const events = eventsOf(100, 2_000);
  let kept = 0;
  let refused: unknown;
  for (const event of events) {
    const pushed = session.push(event, { maxBlockMs: 777 });
    const late = clock.sleeping((ms) => ms === 777).then(() => "full" as const);
    if ((await Promise.race([pushed.catch(() => undefined), late])) === "full") {
      clock.advance(777);
      refused = await pushed.catch((error: unknown) => error);
      break;
    }
    kept += 1;
  }
  expect(refused).toMatchObject({ code: "resource_exhausted", reason: "SPOOL_FULL" });
  expect(kept).toBeGreaterThan(20);
  expect(session.nextSeq).toBe(BigInt(kept + 1));
  expect(collector.status().spoolBytes).toBeLessThanOrEqual(64 * 1024);
  const blob = session.putBlob(randomBytes(60_000), "image/png", { maxBlockMs: 500 });
  await clock.sleeping((ms) => ms === 500);
  clock.advance(500);
  await expect(blob).rejects.toMatchObject({ reason: "SPOOL_FULL" });

  await daemon.listen();
  const waiting = session.push(events[kept] ?? eventOf(1), { maxBlockMs: 60_000 });
  clock.advance(1_000);
  const durableLater = () => {
    clock.advance(100);
    return session.durableSeq;
  };
  await expect.poll(durableLater).toBeGreaterThanOrEqual(BigInt(kept));
  expect(await waiting).toBe(BigInt(kept + 1));
});

test("through many broken connections and restarts nothing pushed is lost or doubled", async () => {
  await using daemon = await StrictDaemon.start();
  const random = seeded(11);
  daemon.mischief.creditBytes = 100_000;
  let drops = 0;
  daemon.mischief.onFrame = () => {
    if (random() > 0.15) return undefined;
    drops += 1;
    return "drop";
  };
  const events = eventsOf(2_000, 300);
  let at = 0;
  for (let restart = 0; restart < 5; restart += 1) {
    await using collector = await open(daemon, { maxSpoolBytes: 1 << 20 });
    const session = await collector.session({ id: "s1" });
    expect(session.nextSeq).toBe(BigInt(at + 1));
    for (const end = at + 400; at < end; at += 20) {
      await Promise.all(events.slice(at, at + 20).map((event) => session.push(event, { maxBlockMs: 60_000 })));
    }
    if (restart === 4) await session.seal();
  }
  expect(drops).toBeGreaterThan(5);
  expect(daemon.overCredit).toBe(0);
  expect(daemon.stream("s1").events).toHaveLength(2_000);
  expect(Buffer.concat(stored(daemon, "s1")).equals(Buffer.concat(events))).toBe(true);
});

test("a second process on the same spool is refused by name", async () => {
  await using _first = await open(NOWHERE);
  const second = open(NOWHERE);
  await expect(second).rejects.toMatchObject({ code: "locked", reason: "SPOOL_LOCKED" });
  await expect(second).rejects.toThrow(String(process.pid));
});

test("a fenced session stops, says so, and leaves the stream to the other", async () => {
  await using daemon = await StrictDaemon.start();
  daemon.mischief.onFrame = () => {
    daemon.stream("s1").epoch += 1;
    return undefined;
  };
  await using collector = await open(daemon);
  const session = await collector.session({ id: "s1" });
  await session.push(eventOf(1));
  await expect(session.flush()).rejects.toMatchObject({ reason: "FENCED" });
  expect(collector.status().sessions).toMatchObject([{ phase: "stopped", error: { reason: "FENCED" } }]);
  await expect(session.push(eventOf(2))).rejects.toMatchObject({ reason: "FENCED" });
  expect(daemon.opens).toBe(1);
});

test("a spool that lost its events does not write over the daemon's", async () => {
  await using daemon = await StrictDaemon.start();
  daemon.stream("s1").events.push(...eventsOf(5));
  await using collector = await open(daemon);
  const session = await collector.session({ id: "s1" });
  await session.push(eventOf(77));
  await expect(session.flush()).rejects.toMatchObject({ code: "conflict", reason: "WATERMARK_AHEAD" });
  expect(stored(daemon, "s1")).toEqual(eventsOf(5).map((event) => Buffer.from(event)));
});

test("a daemon whose store went back in time is not fed a stream with a hole", async () => {
  await using daemon = await StrictDaemon.start();
  await using collector = await open(daemon, { maxSpoolBytes: 64 * 1024 });
  const session = await collector.session({ id: "s1" });
  for (const event of eventsOf(50, 2_000)) await session.push(event, { maxBlockMs: 10_000 });
  await session.flush();
  daemon.stream("s1").events.length = 3;
  daemon.drop();
  await session.push(eventOf(51));
  await expect(session.flush()).rejects.toMatchObject({ code: "data_loss", reason: "WATERMARK_BEHIND" });
});

test("a refused key is tried again slowly, and events are kept meanwhile", async () => {
  await using daemon = await StrictDaemon.start();
  const clock = new ManualClock();
  let refused = true;
  daemon.mischief.refuseOpen = () => (refused ? fail(Code.Unauthenticated, "KEY_REVOKED") : undefined);
  const states: SessionStatus[] = [];
  await using collector = await open(daemon, { clock, random: () => 0.5, onState: (status) => states.push(status) });
  const session = await collector.session({ id: "s1" });
  await session.push(eventOf(1));
  await clock.sleeping((ms) => ms === 30_000);
  expect(states.at(-1)).toMatchObject({ phase: "waiting", error: { code: "unauthenticated" } });
  expect(states.at(-1)?.retryAtMs).toBe(clock.now() + 30_000);
  await session.push(eventOf(2));
  refused = false;
  clock.advance(30_000);
  await session.flush();
  expect(daemon.stream("s1").events).toHaveLength(2);
});

test("sealing that the daemon refuses can be done again after what was missing is there", async () => {
  await using daemon = await StrictDaemon.start();
  let missing = true;
  daemon.mischief.onFrame = (request) =>
    request.frame.case === "seal" && missing
      ? fail(Code.FailedPrecondition, "MISSING_BLOBS", { blobs: "x", count: "1" })
      : undefined;
  await using collector = await open(daemon);
  const session = await collector.session({ id: "s1" });
  await session.push(eventOf(1));
  await expect(session.seal()).rejects.toMatchObject({ reason: "MISSING_BLOBS", metadata: { count: "1" } });
  await expect(session.push(eventOf(2))).rejects.toMatchObject({ reason: "SEALED" });
  missing = false;
  await session.putBlob(randomBytes(100), "image/png");
  expect((await session.seal({ allowMissingBlobs: true })).version).toBe(1n);
});

test("a stream can end without sealing, in a later process too, and another stream seals the session", async () => {
  await using daemon = await StrictDaemon.start();
  {
    await using collector = await open(NOWHERE);
    const left = await collector.session({ id: "s1", stream: "left" });
    for (const event of eventsOf(3)) await left.push(event);
    const ended = expect(left.end()).rejects.toMatchObject({ reason: "CLOSED" });
    await expect.poll(sealWished).toBe(true);
    await expect(left.push(eventOf(4))).rejects.toMatchObject({ reason: "SEALED" });
    await collector.close();
    await ended;
  }
  await using collector = await open(daemon);
  await expect.poll(sessionDirectories).toEqual([]);
  const main = await collector.session({ id: "s1" });
  await main.push(eventOf(1));
  expect((await main.seal({ streams: [{ stream: "left", lastSeq: 3n }] })).version).toBe(1n);
  expect(daemon.stream("s1", "left").events).toHaveLength(3);
});

test("an event over the daemon's limit is refused and takes no seq", async () => {
  await using daemon = await StrictDaemon.start();
  daemon.mischief.limits = { messageBytes: 50_000n, eventBytes: 10_000n, batchEvents: 10, blobBytes: 1_000n };
  await using collector = await open(daemon);
  const session = await collector.session({ id: "s1" });
  await session.push(eventOf(1));
  await session.flush();
  await expect(session.push(eventOf(2, 20_000))).rejects.toMatchObject({ code: "invalid_argument", reason: "INVALID" });
  await expect(session.putBlob(randomBytes(1_001), "image/png")).rejects.toMatchObject({ reason: "INVALID" });
  expect(await session.push(eventOf(2))).toBe(2n);
});

test("an idle connection is left after a while and made again for the next event", async () => {
  await using daemon = await StrictDaemon.start();
  const clock = new ManualClock();
  await using collector = await open(daemon, { clock, lingerMs: 5_000 });
  const session = await collector.session({ id: "s1" });
  await session.push(eventOf(1));
  await session.flush();
  const phaseLater = () => {
    clock.advance(5_000);
    return collector.status().sessions[0]?.phase;
  };
  await expect.poll(phaseLater).toBe("idle");
  await session.push(eventOf(2));
  await session.flush();
  expect(daemon.opens).toBe(2);
});

test("ids that differ only in case or hold any allowed character have spools of their own", async () => {
  await using daemon = await StrictDaemon.start();
  await using collector = await open(daemon);
  for (const id of ["Aa", "aA", "a.b:c-d_e", "x".repeat(128)]) {
    const session = await collector.session({ id });
    await session.push(eventOf(1));
    await session.seal();
    expect(daemon.stream(id).events).toHaveLength(1);
  }
  for (const id of ["", "../x", ".a", "a/b", "x".repeat(129), "a b"]) {
    await expect(collector.session({ id })).rejects.toMatchObject({ reason: "SESSION_ID" });
  }
});

test("one damaged session is named and does not keep the others from being sent", async () => {
  await using daemon = await StrictDaemon.start();
  {
    await using collector = await open(NOWHERE);
    for (const id of ["s1", "s2"]) await (await collector.session({ id })).push(eventOf(1));
  }
  const [damaged = ""] = await sessionDirectories();
  await writeFile(join(spoolDir, damaged, "meta.json"), "{");
  await using collector = await open(daemon);
  expect(collector.status().damaged).toMatchObject([{ reason: "SPOOL_CORRUPT" }]);
  await expect.poll(() => daemon.stream("s1").events.length + daemon.stream("s2").events.length).toBe(1);
});

async function sealWished(): Promise<boolean> {
  const [directory = ""] = await sessionDirectories();
  return (await readdir(join(spoolDir, directory))).includes("ending.json");
}
