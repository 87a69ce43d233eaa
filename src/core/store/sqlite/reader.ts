import { isMainThread, workerData } from "node:worker_threads";
import { ArtifactTable } from "./artifact-table.ts";
import { BackfillTable } from "./backfill-table.ts";
import { BlobTable } from "./blob-table.ts";
import { CampaignTable } from "./campaigns.ts";
import { openDatabase, translate } from "./database.ts";
import { ExportTable } from "./export-table.ts";
import { JobReader } from "./job-reader.ts";
import { KeyTable } from "./keys.ts";
import { checkCurrent } from "./migrate.ts";
import type { Reads } from "./operations.ts";
import { OriginalsTable } from "./originals.ts";
import { SelectionReader } from "./selection.ts";
import { SessionReader } from "./sessions.ts";
import { failed, type Outcome, perform, type Request, serve, succeeded } from "./thread.ts";

export interface ReaderData {
  readonly path: string;
}

if (!isMainThread) {
  const data: ReaderData = workerData;
  serve(() => open(data.path));
}

/**
 * Reads on a connection of its own, each in a transaction as short as the read. The query builder
 * takes a quarter of a second to load, so only what needs it waits for it.
 */
function open(path: string): { run(group: readonly Request[]): Promise<Outcome[]>; close(): void } {
  const database = openDatabase({ path, synchronous: "FULL", readonly: true });
  checkCurrent(database);
  const sessions = new SessionReader(database);
  const blobs = new BlobTable(database);
  const originals = new OriginalsTable(database);
  const keys = new KeyTable(database);
  const jobs = new JobReader(database);
  const artifacts = new ArtifactTable(database);
  const campaigns = new CampaignTable(database);
  const selection = new SelectionReader(database);
  const backfills = new BackfillTable(database);
  const exported = new ExportTable(database);
  const reads: Reads = {
    readWatermark: (args) => sessions.watermark(args),
    readBlob: (args) => blobs.read(args.project, args.id),
    missingBlobs: (args) => blobs.missing(args.project, args.ids, args.session),
    listProjects: () => originals.projects(),
    findExpirable: (args) => originals.find(args),
    listUnpurged: (args) => originals.unpurged(args),
    readSession: (args) => sessions.read(args.project, args.session),
    listSessions: async (args) => {
      const { listIds } = await import("./session-list.ts");
      const { ids, nextCursor } = listIds(database, args);
      const found = ids.map((id) => sessions.read(args.project, id)).filter((session) => session !== undefined);
      return { sessions: found, nextCursor };
    },
    readEvents: (args) => sessions.events(args),
    readQuarantined: (args) => sessions.quarantined(args),
    readKey: (args) => keys.read(args),
    listKeys: (args) => keys.list(args),
    nextDue: (args) => jobs.nextDue(args),
    readJob: (args) => jobs.read(args),
    findJobs: (args) => jobs.find(args),
    listJobs: (args) => jobs.list(args),
    jobStats: (args) => jobs.stats(args),
    readHeads: (args) => artifacts.heads(args),
    readArtifact: (args) => artifacts.read(args),
    listArtifacts: (args) => artifacts.list(args),
    storeId: () => campaigns.storeId(),
    countSessions: (args) => selection.count(args),
    selectSessions: (args) => selection.select(args),
    stageDurations: () => selection.durations(),
    readPlan: (args) => campaigns.readPlan(args),
    readCampaign: (args) => campaigns.read(args),
    listCampaigns: (args) => campaigns.list(args),
    readBackfill: (args) => backfills.read(args),
    listBackfills: (args) => backfills.list(args),
    listItems: (args) => backfills.items(args),
    endedPaths: ({ id, paths }) => backfills.endedPaths(id, paths),
    countItems: (args) => backfills.count(args),
    listBackfilled: ({ id, after, limit }) => backfills.sessions(id, after, limit),
    listExportable: (args) => exported.exportable(args),
    findExports: (args) => exported.find(args),
    exportsNaming: (args) => exported.naming(args.project, args.session),
  };
  const answer = async (request: Request): Promise<Outcome> => {
    try {
      return succeeded(await perform(reads, request));
    } catch (error) {
      return failed(translate(error));
    }
  };
  return { run: (group) => Promise.all(group.map(answer)), close: () => database.close() };
}
