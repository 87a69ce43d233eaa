import { createHash, randomBytes } from "node:crypto";
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { mkdir, open, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { frameOf, pack } from "../../src/core/session/segment.ts";
import { batchOf, benchEvents, blobOf, type Kind } from "./material.ts";

// The limits, as bare loops: what a program could do that did nothing but this.

/** Packs, compresses and group-commits batches with better-sqlite3 at FULL. Events a second. */
export function packLimit(dir: string, kind: Kind, batches: number, batch: number): number {
  const material = benchEvents(kind);
  const database = new Database(join(dir, "limit.db"));
  for (const pragma of ["page_size = 8192", "journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 512"]) {
    database.pragma(pragma);
  }
  database.exec("CREATE TABLE segments (key INTEGER PRIMARY KEY, stream INTEGER, first INTEGER, payload BLOB)");
  database.exec("CREATE UNIQUE INDEX by_seq ON segments (stream, first)");
  const insert = database.prepare("INSERT INTO segments (stream, first, payload) VALUES (?, ?, ?)");
  const begun = performance.now();
  for (let number = 0; number < batches; ) {
    database.exec("BEGIN IMMEDIATE");
    for (let member = 0; member < GROUP && number < batches; member++, number++) {
      const { payload } = pack(frameOf(batchOf(material, number * 37, batch)));
      insert.run(number % GROUP, Math.floor(number / GROUP) * batch, payload);
    }
    database.exec("COMMIT");
  }
  const seconds = (performance.now() - begun) / 1000;
  database.close();
  return (batches * batch) / seconds;
}

const GROUP = 16;

/** sha256, write and fsync of 1 MiB blobs, eight in flight. Megabytes a second. */
export async function blobLimit(dir: string, count: number): Promise<number> {
  const seed = randomBytes(1 << 20);
  const files = join(dir, "limit-blobs");
  await mkdir(files, { recursive: true });
  let next = 0;
  const begun = performance.now();
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (next < count) {
        const { data } = blobOf(seed, next++);
        const id = createHash("sha256").update(data).digest("hex");
        const file = await open(join(files, id), "w");
        await file.write(data);
        await file.datasync();
        await file.close();
      }
    }),
  );
  const seconds = (performance.now() - begun) / 1000;
  await rm(files, { recursive: true });
  return (count * (1 << 20)) / 1e6 / seconds;
}

/**
 * Milliseconds a write of 64 KiB with fdatasync takes, the median of 200. About what a commit writes:
 * a batch of 50 real events, 235 KB, adds 39 kB to the log, and one commit in ten has more than one.
 */
export function fsyncMs(dir: string): number {
  const file = openSync(join(dir, "fsync"), "w");
  const block = randomBytes(64 * 1024);
  const times = Array.from({ length: 200 }, () => {
    const begun = performance.now();
    writeSync(file, block);
    fdatasyncSync(file);
    return performance.now() - begun;
  });
  closeSync(file);
  return times.sort((a, b) => a - b)[100] ?? 0;
}

/** Makes a store that holds `events` events of full segments, without the daemon. */
export function fillStore(path: string, events: number, batch: number): void {
  const material = benchEvents("real");
  const database = new Database(path);
  database.pragma("synchronous = OFF");
  const samples = Array.from({ length: 64 }, (_, index) => {
    const frame = frameOf(batchOf(material, index * 37, batch));
    const { encoding, payload } = pack(frame);
    return { encoding, payload, raw: frame.length, sha256: createHash("sha256").update(payload).digest() };
  });
  database.exec("INSERT OR IGNORE INTO projects (id, created_at, open_sessions) VALUES ('default', 1, 0)");
  const session = database.prepare(
    "INSERT INTO sessions (project, id, created_at, updated_at, events) VALUES ('default', ?, ?, 1, ?)",
  );
  const stream = database.prepare("INSERT INTO streams (session_key, id, durable_seq) VALUES (?, 'main', ?)");
  const segment = database.prepare(
    "INSERT INTO segments (stream_key, first_seq, last_seq, encoding, raw_bytes, sha256, payload) VALUES (?, ?, ?, ?, ?, ?, ?)",
  );
  const perSession = 100;
  const sessions = Math.ceil(events / (batch * perSession));
  for (let number = 0; number < sessions; number++) {
    database.exec("BEGIN");
    const sessionKey = session.run(`filled-${number}`, number + 1, batch * perSession).lastInsertRowid;
    const streamKey = stream.run(sessionKey, batch * perSession).lastInsertRowid;
    for (let index = 0; index < perSession; index++) {
      const sample = samples[(number + index) % samples.length];
      if (sample === undefined) continue;
      const first = index * batch + 1;
      segment.run(streamKey, first, first + batch - 1, sample.encoding, sample.raw, sample.sha256, sample.payload);
    }
    database.exec("COMMIT");
  }
  database.prepare("UPDATE projects SET open_sessions = (SELECT count(*) FROM sessions)").run();
  database.pragma("wal_checkpoint(TRUNCATE)");
  database.close();
  // Else the first checkpoint of what is measured would wait for gigabytes of this.
  const file = openSync(path, "r+");
  fdatasyncSync(file);
  closeSync(file);
}

export async function fresh(path: string): Promise<string> {
  await rm(path, { recursive: true, force: true });
  await mkdir(dirname(join(path, "x")), { recursive: true });
  return path;
}
