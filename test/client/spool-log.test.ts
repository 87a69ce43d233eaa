import { mkdtemp, open, readdir, readFile, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SpoolLog } from "../../src/client/spool-log.ts";
import { eventsOf } from "./recordings.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sluice-spool-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function readAll(log: SpoolLog, fromSeq = 1n): Promise<{ seq: bigint; event: Buffer }[]> {
  const read: { seq: bigint; event: Buffer }[] = [];
  for await (const { seq, event } of log.read(fromSeq, async () => false))
    read.push({ seq, event: Buffer.from(event) });
  return read;
}

function numbered(events: readonly Uint8Array[], firstSeq = 1n) {
  return events.map((event, index) => ({ seq: firstSeq + BigInt(index), event: Buffer.from(event) }));
}

async function segmentsOf(path: string): Promise<string[]> {
  return (await readdir(path)).filter((name) => name.endsWith(".seg")).sort();
}

test("what was appended is read back from any seq, across segments and after reopening", async () => {
  const events = eventsOf(200, 300);
  {
    await using log = await SpoolLog.open(directory, 10_000);
    for (let at = 0; at < 200; at += 20) expect(await log.append(events.slice(at, at + 20))).toBe(BigInt(at + 1));
    expect(await readAll(log)).toEqual(numbered(events));
  }
  expect((await segmentsOf(directory)).length).toBeGreaterThan(3);
  await using log = await SpoolLog.open(directory, 10_000);
  expect(log.nextSeq).toBe(201n);
  for (const from of [1n, 57n, 200n])
    expect(await readAll(log, from)).toEqual(numbered(events).slice(Number(from) - 1));
  expect(await readAll(log, 201n)).toEqual([]);
});

test("an event larger than what is read at a time is read back whole", async () => {
  const events = [...eventsOf(3), ...eventsOf(1, 700_000), ...eventsOf(3)];
  await using log = await SpoolLog.open(directory, 4_096);
  await log.append(events);
  expect(await readAll(log)).toEqual(numbered(events));
});

test("a torn end is cut at the last whole record, wherever it is torn", async () => {
  const events = eventsOf(12, 50);
  {
    await using log = await SpoolLog.open(directory, 1 << 20);
    await log.append(events);
  }
  const [name = ""] = await segmentsOf(directory);
  const whole = await readFile(join(directory, name));
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: whole.length }), fc.uint8Array({ maxLength: 40 }), async (cut, junk) => {
      const left = cut > 8 && cut < whole.length ? junk : Buffer.alloc(0);
      await writeFile(join(directory, name), Buffer.concat([whole.subarray(0, cut), left]));
      await using log = await SpoolLog.open(directory, 1 << 20);
      const kept = await readAll(log);
      expect(kept).toEqual(numbered(events).slice(0, kept.length));
      expect(log.nextSeq).toBe(BigInt(kept.length + 1));
      const ends = recordEnds(events);
      expect(kept.length).toBeGreaterThanOrEqual(ends.filter((end) => end <= cut).length);
      expect(await log.append(eventsOf(1))).toBe(BigInt(kept.length + 1));
    }),
    { numRuns: 60 },
  );
});

test("what a crash left after a torn record does not come back when the record is written again", async () => {
  const events = eventsOf(5, 100);
  {
    await using log = await SpoolLog.open(directory, 1 << 20);
    await log.append(events);
  }
  const [name = ""] = await segmentsOf(directory);
  {
    await using file = await open(join(directory, name), "r+");
    await file.write(Buffer.from([0xff]), 0, 1, (recordEnds(events)[2] ?? 0) - 1);
  }
  {
    await using log = await SpoolLog.open(directory, 1 << 20);
    expect(log.nextSeq).toBe(3n);
    await log.append(events.slice(2, 3));
  }
  await using log = await SpoolLog.open(directory, 1 << 20);
  expect(await readAll(log)).toEqual(numbered(events).slice(0, 3));
});

test("zeroes a crash left at the end are no events", async () => {
  {
    await using log = await SpoolLog.open(directory, 1 << 20);
    await log.append(eventsOf(3));
  }
  const [name = ""] = await segmentsOf(directory);
  const path = join(directory, name);
  const { size } = await stat(path);
  await truncate(path, size + 5_000);
  await using log = await SpoolLog.open(directory, 1 << 20);
  expect(log.nextSeq).toBe(4n);
  expect(log.cutBytes).toBe(5_000);
});

test("trimming removes only segments that are wholly acknowledged, and the seq goes on after reopening", async () => {
  const events = eventsOf(100, 300);
  {
    await using log = await SpoolLog.open(directory, 4_096);
    for (let at = 0; at < 100; at += 5) await log.append(events.slice(at, at + 5));
    const before = log.bytes;
    const freed = await log.trim(50n);
    expect(log.bytes).toBe(before - freed);
    expect(log.firstSeq).toBeLessThanOrEqual(51n);
    expect(log.firstSeq).toBeGreaterThan(30n);
    expect(await readAll(log, 51n)).toEqual(numbered(events).slice(50));
    await log.rotate();
    await log.trim(100n);
    expect(log.bytes).toBe(0);
  }
  await using log = await SpoolLog.open(directory, 4_096);
  expect(log.nextSeq).toBe(101n);
  expect(await segmentsOf(directory)).toHaveLength(1);
});

test("an append the disk refuses keeps nothing, and the next that it takes gets the same seq", async () => {
  const events = eventsOf(30, 300);
  const away = `${directory}-away`;
  {
    await using log = await SpoolLog.open(directory, 4_096);
    await log.append(events.slice(0, 20));
    await rename(directory, away);
    // A segment is full, and there is no directory to begin another in.
    await expect(log.append(events.slice(20))).rejects.toMatchObject({ reason: "SPOOL_IO" });
    await expect(log.append(events.slice(20))).rejects.toMatchObject({ reason: "SPOOL_IO" });
    expect(log.nextSeq).toBe(21n);
    await rename(away, directory);
    expect(await log.append(events.slice(20))).toBe(21n);
    expect(await readAll(log)).toEqual(numbered(events));
  }
  await using log = await SpoolLog.open(directory, 4_096);
  expect(await readAll(log)).toEqual(numbered(events));
});

test("what a failed append left in a segment is void once the next segment is there", async () => {
  const events = eventsOf(10, 300);
  {
    await using log = await SpoolLog.open(directory, 1 << 20);
    await log.append(events.slice(0, 5));
    await log.append(eventsOf(5, 111));
  }
  // As if the second append had failed and been written, and the log gone on in a segment of its own.
  const aside = await mkdtemp(join(tmpdir(), "sluice-spool-"));
  {
    await using log = await SpoolLog.open(aside, 1 << 20);
    await log.append(events.slice(0, 5));
    await log.rotate();
    await log.append(events.slice(5));
  }
  const second = "00000000000000000006.seg";
  await rename(join(aside, second), join(directory, second));
  await rm(aside, { recursive: true });
  await using log = await SpoolLog.open(directory, 1 << 20);
  expect(await readAll(log)).toEqual(numbered(events));
});

test("a damaged record before the end is reported, not skipped", async () => {
  const events = eventsOf(60, 300);
  await using log = await SpoolLog.open(directory, 4_096);
  for (let at = 0; at < 60; at += 10) await log.append(events.slice(at, at + 10));
  const [first = ""] = await segmentsOf(directory);
  {
    await using file = await open(join(directory, first), "r+");
    await file.write(Buffer.from([0xff]), 0, 1, 60);
  }
  await expect(readAll(log)).rejects.toMatchObject({ code: "data_loss", reason: "SPOOL_CORRUPT" });
});

test("a reader that waits at the end sees what is appended later, in other segments too", async () => {
  const events = eventsOf(50, 300);
  await using log = await SpoolLog.open(directory, 4_096);
  let at = 0;
  const seen: bigint[] = [];
  const more = async () => {
    if (at >= events.length) return false;
    await log.append(events.slice(at, at + 7));
    at += 7;
    return true;
  };
  for await (const { seq } of log.read(1n, more)) seen.push(seq);
  expect(seen).toEqual(events.map((_, index) => BigInt(index + 1)));
});

function recordEnds(events: readonly Uint8Array[]): number[] {
  let end = 8;
  return events.map((event) => {
    end += 8 + event.length;
    return end;
  });
}
