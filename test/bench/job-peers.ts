import { rm } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { Queue, Worker } from "bullmq";
import { Logger, run, runMigrations } from "graphile-worker";
import { Redis } from "ioredis";
import pg from "pg";
import { better, defineQueue, defineWorker } from "plainjob";

// Other job queues with the settings their own documents call fastest. All enqueue before the clock
// starts, and have nothing left when it stops. No-op jobs a second.

const REDIS = new URL(process.env.BENCH_REDIS ?? "redis://127.0.0.1:6379/13");
const POSTGRES = process.env.BENCH_POSTGRES ?? "postgres://postgres@127.0.0.1:5432/postgres";

/**
 * In this process with better-sqlite3, as its README has it. It sets synchronous=NORMAL itself: what
 * it calls done is not on disk. One worker runs one job at a time; two processes on one file wait for
 * one another.
 */
export async function plainjobPerSecond(dir: string, jobs: number): Promise<number> {
  const path = join(dir, "plainjob.db");
  const quiet = { ...console, debug: () => undefined, info: () => undefined };
  const queue = defineQueue({ connection: better(new Database(path)), logger: quiet });
  queue.addMany("noop", numbers(jobs));
  const ended = countdown(jobs);
  const worker = defineWorker("noop", () => undefined, { queue, logger: quiet, onCompleted: ended.one });
  const begun = performance.now();
  const running = worker.start();
  await ended.all;
  const seconds = (performance.now() - begun) / 1000;
  await worker.stop();
  await running;
  queue.close();
  await rm(path);
  return jobs / seconds;
}

/**
 * On Redis as that is set up, which by default does not write to disk before it answers. A worker of
 * 100 jobs at a time was faster than 500, two of 200 and four of 100.
 */
export async function bullmqPerSecond(_dir: string, jobs: number): Promise<number> {
  const name = `sluice-bench-${process.pid}-${process.hrtime.bigint()}`;
  const { hostname: host, port, pathname } = REDIS;
  const server = { host, port: Number(port || 6379), db: Number(pathname.slice(1)), maxRetriesPerRequest: null };
  // One that is not there is not waited for.
  const client = new Redis({ ...server, lazyConnect: true, retryStrategy: () => null });
  client.on("error", () => undefined);
  await client.connect().catch((cause: unknown) => {
    throw new Error(`there is no Redis at ${REDIS.host}`, { cause });
  });
  const queue = new Queue(name, { connection: client, defaultJobOptions: { removeOnComplete: true } });
  const all = numbers(jobs).map((data) => ({ name: "noop", data }));
  while (all.length > 0) await queue.addBulk(all.splice(0, 1_000));
  const ended = countdown(jobs);
  const begun = performance.now();
  const worker = new Worker(name, async () => undefined, { connection: server, concurrency: 100 });
  worker.on("completed", ended.one);
  await ended.all;
  const seconds = (performance.now() - begun) / 1000;
  await worker.close();
  await queue.obliterate({ force: true });
  await queue.close();
  client.disconnect();
  return jobs / seconds;
}

/** On Postgres with the batching and concurrency of worker.graphile.org/docs/performance. */
export async function graphilePerSecond(_dir: string, jobs: number): Promise<number> {
  const name = `sluice_bench_${process.pid}`;
  const server = new pg.Client({ connectionString: POSTGRES });
  await server.connect();
  try {
    await server.query(`CREATE DATABASE ${name}`);
    const url = new URL(POSTGRES);
    url.pathname = `/${name}`;
    return await graphileIn(url.href, jobs);
  } finally {
    await server.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await server.end();
  }
}

async function graphileIn(connectionString: string, jobs: number): Promise<number> {
  const pool = new pg.Pool({ connectionString, max: 25 });
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  const logger = new Logger(() => () => undefined);
  const worker = {
    concurrentJobs: 24,
    maxPoolSize: 25,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  };
  await runMigrations({ pgPool: pool, logger });
  await pool.query(
    `SELECT graphile_worker.add_jobs((SELECT array_agg(json_populate_record(NULL::graphile_worker.job_spec,
       json_build_object('identifier', 'noop', 'payload', json_build_object('n', n)))) FROM generate_series(1, $1) n))`,
    [jobs],
  );
  await pool.query("VACUUM ANALYZE");
  const left = async (): Promise<number> =>
    (await pool.query<{ left: number }>("SELECT count(*)::int AS left FROM graphile_worker.jobs")).rows[0]?.left ?? 0;
  const ended = countdown(jobs);
  const begun = performance.now();
  const runner = await run({ pgPool: pool, logger, taskList: { noop: () => ended.one() }, preset: { worker } });
  await ended.all;
  // It completes in batches of its own: a moment after the last has run.
  while ((await left()) > 0);
  const seconds = (performance.now() - begun) / 1000;
  await runner.stop();
  await pool.end();
  return jobs / seconds;
}

function numbers(count: number): { readonly n: number }[] {
  return Array.from({ length: count }, (_, n) => ({ n }));
}

function countdown(count: number): { readonly one: () => void; readonly all: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let left = count;
  const one = (): void => {
    left -= 1;
    if (left === 0) resolve();
  };
  return { one, all: promise };
}
