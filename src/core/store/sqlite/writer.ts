import { isMainThread, workerData } from "node:worker_threads";
import type { Database } from "better-sqlite3";
import { systemClock } from "../../clock.ts";
import { AppError } from "../../errors.ts";
import type { Limits } from "../../limits.ts";
import { Appender } from "./append.ts";
import { ArtifactTable } from "./artifact-table.ts";
import { BackfillTable } from "./backfill-table.ts";
import { BlobTable } from "./blob-table.ts";
import { CampaignTable } from "./campaigns.ts";
import { openDatabase, type Synchronous, translate } from "./database.ts";
import { ExportTable } from "./export-table.ts";
import { JobTable } from "./job-table.ts";
import { KeyTable } from "./keys.ts";
import { checkCurrent, isEmpty, migrateUp } from "./migrate.ts";
import type { Writes } from "./operations.ts";
import { OriginalsTable } from "./originals.ts";
import { seal } from "./seal.ts";
import { SessionCache } from "./session-cache.ts";
import { SessionReader } from "./sessions.ts";
import { Settler } from "./settle.ts";
import { failed, type Outcome, perform, type Request, serve, succeeded } from "./thread.ts";
import { WalBound } from "./wal-bound.ts";

export interface WriterData {
  readonly path: string;
  readonly limits: Limits;
  readonly synchronous: Synchronous;
  /** Make the store when there is none. */
  readonly create: boolean;
}

const { now } = systemClock;

/**
 * The only place that writes. What has gathered is one group and one transaction, so that one
 * fsync acks many batches. When the transaction fails as a whole, each request is tried in one of
 * its own, so that a bad one fails alone.
 */
class Writer {
  readonly #database: Database;
  readonly #cache: SessionCache;
  readonly #appender: Appender;
  readonly #writes: Writes;
  readonly #wal: WalBound;
  #dataVersion: unknown;

  constructor(data: WriterData) {
    this.#database = openDatabase({ path: data.path, synchronous: data.synchronous, readonly: false });
    if (data.create && isEmpty(this.#database)) migrateUp(this.#database, now);
    checkCurrent(this.#database);
    this.#cache = new SessionCache(this.#database, now);
    this.#appender = new Appender(this.#database, this.#cache, data.limits, now);
    this.#writes = this.#operations();
    this.#wal = new WalBound(this.#database);
  }

  #operations(): Writes {
    const appender = this.#appender;
    const reader = new SessionReader(this.#database);
    const keys = new KeyTable(this.#database);
    const blobs = new BlobTable(this.#database);
    const originals = new OriginalsTable(this.#database);
    const jobs = new JobTable(this.#database);
    const settler = new Settler(this.#database, jobs, new ArtifactTable(this.#database));
    const campaigns = new CampaignTable(this.#database);
    const backfills = new BackfillTable(this.#database);
    const exported = new ExportTable(this.#database);
    return {
      openStream: (args) => appender.openStream(args),
      append: (args) => appender.append(args),
      seal: (args) => {
        this.#cache.flush();
        const sealed = seal(this.#database, reader, jobs, args, now());
        this.#cache.forget();
        return sealed;
      },
      recordBlob: (args) => blobs.record(args.project, args.blob, now()),
      createKey: (args) => keys.create(args),
      rotateKey: (args) => keys.rotate(args),
      revokeKey: (args) => keys.revoke(args),
      touchKey: (args) => keys.touch(args),
      enqueueJobs: (args) => jobs.enqueue(args),
      claimJobs: (args) => jobs.claim(args),
      heartbeatJobs: (args) => jobs.heartbeat(args),
      settleJobs: (args) => settler.settle(args),
      rescueJobs: (args) => jobs.rescue(args),
      cancelJobs: (args) => jobs.cancel(args),
      redriveJobs: (args) => jobs.redrive(args),
      runJobsNow: (args) => jobs.runNow(args),
      pruneJobs: (args) => jobs.prune(args),
      setKind: (args) => jobs.setKind(args),
      keepPlan: (args) => campaigns.keepPlan(args),
      createCampaign: (args) => campaigns.create(args),
      changeCampaign: ({ change, nowMs }) => campaigns.change(change, nowMs),
      advanceCampaign: ({ step, nowMs }) =>
        campaigns.advance(step, nowMs, (added) => jobs.enqueue({ jobs: added, nowMs })),
      touchCampaign: ({ id, nowMs }) => campaigns.touch(id, nowMs),
      expireOriginals: (args) => originals.expire(args),
      markPurged: (args) => originals.purged(args),
      recordExport: ({ record, sessions }) => exported.record(record, sessions),
      createBackfill: (args) => backfills.create(args),
      changeBackfill: ({ id, change, nowMs }) => backfills.change(id, change, nowMs),
      beginItems: ({ id, items }) => backfills.begin(id, items),
      endItems: ({ id, items }) => backfills.end(id, items),
      retryItems: (args) => backfills.retry(args),
      ping: () => undefined,
    };
  }

  run(group: readonly Request[]): Outcome[] {
    const outcomes = this.#try(group);
    this.#appender.release();
    this.#wal.keep();
    return outcomes;
  }

  #try(group: readonly Request[]): Outcome[] {
    try {
      return this.#commit(group);
    } catch (error) {
      if (group.length === 1) return [failed(translate(error))];
      return group.flatMap((request) => this.#try([request]));
    }
  }

  #commit(group: readonly Request[]): Outcome[] {
    const database = this.#database;
    database.exec("BEGIN IMMEDIATE");
    try {
      this.#noticeOtherWriters();
      const outcomes = group.map((request) => this.#perform(request));
      this.#cache.flush();
      database.exec("COMMIT");
      this.#cache.trim();
      return outcomes;
    } catch (error) {
      this.#cache.forget();
      if (database.inTransaction) database.exec("ROLLBACK");
      throw error;
    }
  }

  /** A refusal (AppError) changed nothing and is an outcome; anything else spoils the group. */
  #perform(request: Request): Outcome {
    try {
      return succeeded(perform(this.#writes, request));
    } catch (error) {
      if (error instanceof AppError) return failed(error);
      throw error;
    }
  }

  /** data_version moves when another connection has committed: what is cached may be stale. */
  #noticeOtherWriters(): void {
    const version = this.#database.pragma("data_version", { simple: true });
    if (version !== this.#dataVersion) this.#cache.forget();
    this.#dataVersion = version;
  }

  close(): void {
    this.#database.close();
  }
}

if (!isMainThread) {
  const data: WriterData = workerData;
  serve(() => new Writer(data));
}
