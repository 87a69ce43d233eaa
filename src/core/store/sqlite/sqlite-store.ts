import type { Limits } from "../../limits.ts";
import { frameOf } from "../../session/segment.ts";
import type { Artifact, ArtifactHead, ArtifactRecord } from "../artifacts.ts";
import type {
  Backfill,
  BackfillChange,
  BackfillItem,
  EndedItem,
  ItemCount,
  ItemQuery,
  ItemStanding,
  NewBackfill,
  NewItem,
} from "../backfills.ts";
import type {
  Campaign,
  CampaignChange,
  CampaignQuery,
  CampaignStep,
  NewCampaign,
  Selection,
  SelectionPage,
  SelectionQuery,
  SignatureCount,
  StageDuration,
} from "../campaigns.ts";
import type { Exportable, ExportableQuery, ExportRecord } from "../exports.ts";
import type {
  ClaimedJob,
  ClaimRequest,
  Enqueued,
  JobDetail,
  JobFilter,
  JobPage,
  JobQuery,
  JobState,
  KindSettings,
  KindStats,
  Lease,
  LeaseStatus,
  NewJob,
  Rescued,
  RescueOptions,
  Settlement,
} from "../jobs.ts";
import type { BlobName, Expirable, ExpirableQuery, ExpireCommand, Expired } from "../retention.ts";
import type {
  Appended,
  Batch,
  BlobRecord,
  EventQuery,
  KeyRecord,
  NewBlob,
  OpenedStream,
  QuarantinedEvent,
  RecordedAs,
  Seal,
  SealCommand,
  Session,
  SessionInfo,
  SessionPage,
  SessionQuery,
  Store,
  StoredEvent,
  StreamRef,
  Watermark,
} from "../store.ts";
import type { Synchronous } from "./database.ts";
import type { Reads, Writes } from "./operations.ts";
import type { ReaderData } from "./reader.ts";
import { ThreadClient } from "./thread.ts";
import type { WriterData } from "./writer.ts";

export interface SqliteStoreOptions {
  /** The database file. */
  readonly path: string;
  readonly limits: Limits;
  /** Make the store when there is none; without it that is `no_store`. */
  readonly create: boolean;
  /** FULL unless a test shows what FULL is for. */
  readonly synchronous?: Synchronous;
}

/**
 * The Store on SQLite in WAL mode with synchronous=FULL. One thread writes and commits in groups,
 * one reads; the caller's event loop only passes messages. Other processes may use the same file.
 */
export class SqliteStore implements Store {
  readonly #writer: ThreadClient<Writes>;
  readonly #reader: ThreadClient<Reads>;

  private constructor(writer: ThreadClient<Writes>, reader: ThreadClient<Reads>) {
    this.#writer = writer;
    this.#reader = reader;
  }

  /** Fails with `no_store`, or `failed_precondition` SCHEMA_OLD, SCHEMA_NEWER or SCHEMA_DRIFT. */
  static async open(options: SqliteStoreOptions): Promise<SqliteStore> {
    const { path, limits, create, synchronous = "FULL" } = options;
    const reading: ReaderData = { path };
    const reader = new ThreadClient<Reads>(`./reader${EXTENSION}`, reading);
    const writing: WriterData = { path, limits, create, synchronous };
    const writer = new ThreadClient<Writes>(`./writer${EXTENSION}`, writing);
    // Only what is needed to know that the store is sound: the other thread starts with its first call.
    await (create ? writer : reader).start();
    return new SqliteStore(writer, reader);
  }

  openStream(ref: StreamRef, info: SessionInfo | undefined, signal: AbortSignal): Promise<OpenedStream> {
    return this.#writer.call("openStream", { ref, info }, signal);
  }

  append(batch: Batch, signal: AbortSignal): Promise<Appended> {
    const frame = frameOf(batch.events);
    const { ref, epoch, info } = batch;
    return this.#writer.call("append", { ref, epoch, info, firstSeq: Number(batch.firstSeq), frame }, signal, [
      frame.buffer,
    ]);
  }

  seal(command: SealCommand, signal: AbortSignal): Promise<Seal> {
    return this.#writer.call("seal", command, signal);
  }

  readWatermark(ref: StreamRef, signal: AbortSignal): Promise<Watermark | undefined> {
    return this.#reader.call("readWatermark", ref, signal);
  }

  recordBlob(project: string, blob: NewBlob, signal: AbortSignal): Promise<RecordedAs> {
    return this.#writer.call("recordBlob", { project, blob }, signal);
  }

  readBlob(project: string, id: string, signal: AbortSignal): Promise<BlobRecord | undefined> {
    return this.#reader.call("readBlob", { project, id }, signal);
  }

  missingBlobs(
    project: string,
    ids: readonly string[],
    session: string | undefined,
    signal: AbortSignal,
  ): Promise<string[]> {
    return this.#reader.call("missingBlobs", { project, ids, session }, signal);
  }

  listProjects(signal: AbortSignal): Promise<string[]> {
    return this.#reader.call("listProjects", undefined, signal);
  }

  findExpirable(query: ExpirableQuery, signal: AbortSignal): Promise<Expirable[]> {
    return this.#reader.call("findExpirable", query, signal);
  }

  expireOriginals(command: ExpireCommand, signal: AbortSignal): Promise<Expired> {
    return this.#writer.call("expireOriginals", command, signal);
  }

  listUnpurged(limit: number, signal: AbortSignal): Promise<BlobName[]> {
    return this.#reader.call("listUnpurged", limit, signal);
  }

  markPurged(blobs: readonly BlobName[], signal: AbortSignal): Promise<void> {
    return this.#writer.call("markPurged", blobs, signal);
  }

  readSession(project: string, session: string, signal: AbortSignal): Promise<Session | undefined> {
    return this.#reader.call("readSession", { project, session }, signal);
  }

  listSessions(query: SessionQuery, signal: AbortSignal): Promise<SessionPage> {
    return this.#reader.call("listSessions", query, signal);
  }

  readEvents(query: EventQuery, signal: AbortSignal): Promise<StoredEvent[]> {
    return this.#reader.call("readEvents", query, signal);
  }

  readQuarantined(project: string, session: string, limit: number, signal: AbortSignal): Promise<QuarantinedEvent[]> {
    return this.#reader.call("readQuarantined", { project, session, limit }, signal);
  }

  createKey(key: KeyRecord, signal: AbortSignal): Promise<void> {
    return this.#writer.call("createKey", key, signal);
  }

  readKey(id: string, signal: AbortSignal): Promise<KeyRecord | undefined> {
    return this.#reader.call("readKey", id, signal);
  }

  listKeys(project: string | undefined, signal: AbortSignal): Promise<KeyRecord[]> {
    return this.#reader.call("listKeys", project, signal);
  }

  rotateKey(id: string, next: KeyRecord, endsAtMs: number, signal: AbortSignal): Promise<void> {
    return this.#writer.call("rotateKey", { id, next, endsAtMs }, signal);
  }

  revokeKey(id: string, atMs: number, signal: AbortSignal): Promise<KeyRecord> {
    return this.#writer.call("revokeKey", { id, atMs }, signal);
  }

  touchKey(id: string, atMs: number, signal: AbortSignal): Promise<void> {
    return this.#writer.call("touchKey", { id, atMs }, signal);
  }

  enqueue(jobs: readonly NewJob[], nowMs: number, signal: AbortSignal): Promise<Enqueued> {
    return this.#writer.call("enqueueJobs", { jobs, nowMs }, signal);
  }

  claim(request: ClaimRequest, signal: AbortSignal): Promise<ClaimedJob[]> {
    return this.#writer.call("claimJobs", request, signal);
  }

  /** A lease that has expired is still the job's until it is rescued, so the time does not matter here. */
  heartbeat(leases: readonly Lease[], untilMs: number, _nowMs: number, signal: AbortSignal): Promise<LeaseStatus[]> {
    return this.#writer.call("heartbeatJobs", { leases, untilMs }, signal);
  }

  settle(settlements: readonly Settlement[], nowMs: number, signal: AbortSignal): Promise<("settled" | "lost")[]> {
    return this.#writer.call("settleJobs", { settlements, nowMs }, signal);
  }

  rescue(options: RescueOptions, signal: AbortSignal): Promise<Rescued> {
    return this.#writer.call("rescueJobs", options, signal);
  }

  nextDue(kinds: readonly string[], signal: AbortSignal): Promise<number | undefined> {
    return this.#reader.call("nextDue", kinds, signal);
  }

  cancelJobs(filter: JobFilter, nowMs: number, signal: AbortSignal): Promise<number> {
    return this.#changeJobs("cancelJobs", filter, ["scheduled", "available", "running"], nowMs, signal);
  }

  redrive(filter: JobFilter, nowMs: number, signal: AbortSignal): Promise<number> {
    return this.#changeJobs("redriveJobs", filter, ["dead", "cancelled"], nowMs, signal);
  }

  runNow(filter: JobFilter, nowMs: number, signal: AbortSignal): Promise<number> {
    return this.#changeJobs("runJobsNow", filter, ["scheduled"], nowMs, signal);
  }

  /** Looks for the jobs on the reader, however many it has to look through, and changes them in small commits. */
  async #changeJobs(
    change: "cancelJobs" | "redriveJobs" | "runJobsNow",
    filter: JobFilter,
    allowed: readonly JobState[],
    nowMs: number,
    signal: AbortSignal,
  ): Promise<number> {
    const states = allowed.filter((state) => filter.state === undefined || state === filter.state);
    let changed = 0;
    let before: number | undefined;
    for (;;) {
      const found = await this.#reader.call("findJobs", { filter, states, before, limit: MAX_FOUND }, signal);
      for (let from = 0; from < found.length; from += CHANGED_AT_ONCE) {
        const ids = found.slice(from, from + CHANGED_AT_ONCE);
        changed += await this.#writer.call(change, { ids, states, nowMs }, signal);
      }
      if (found.length < MAX_FOUND) return changed;
      before = found.at(-1);
    }
  }

  pruneJobs(endedBeforeMs: number, limit: number, signal: AbortSignal): Promise<number> {
    return this.#writer.call("pruneJobs", { endedBeforeMs, limit }, signal);
  }

  setKind(kind: string, change: KindSettings, signal: AbortSignal): Promise<void> {
    return this.#writer.call("setKind", { kind, change }, signal);
  }

  readJob(id: number, signal: AbortSignal): Promise<JobDetail | undefined> {
    return this.#reader.call("readJob", id, signal);
  }

  listJobs(query: JobQuery, signal: AbortSignal): Promise<JobPage> {
    return this.#reader.call("listJobs", query, signal);
  }

  jobStats(nowMs: number, signal: AbortSignal): Promise<KindStats[]> {
    return this.#reader.call("jobStats", nowMs, signal);
  }

  readHeads(project: string, session: string, signal: AbortSignal): Promise<ArtifactHead[]> {
    return this.#reader.call("readHeads", { project, session }, signal);
  }

  readArtifact(project: string, session: string, key: string, signal: AbortSignal): Promise<Artifact | undefined> {
    return this.#reader.call("readArtifact", { project, session, key }, signal);
  }

  listArtifacts(project: string, session: string, limit: number, signal: AbortSignal): Promise<ArtifactRecord[]> {
    return this.#reader.call("listArtifacts", { project, session, limit }, signal);
  }

  storeId(signal: AbortSignal): Promise<string> {
    return this.#reader.call("storeId", undefined, signal);
  }

  countSessions(selection: Selection, signal: AbortSignal): Promise<SignatureCount[]> {
    return this.#reader.call("countSessions", selection, signal);
  }

  selectSessions(query: SelectionQuery, signal: AbortSignal): Promise<SelectionPage> {
    return this.#reader.call("selectSessions", query, signal);
  }

  stageDurations(signal: AbortSignal): Promise<StageDuration[]> {
    return this.#reader.call("stageDurations", undefined, signal);
  }

  keepPlan(hash: string, json: string, nowMs: number, signal: AbortSignal): Promise<void> {
    return this.#writer.call("keepPlan", { hash, json, nowMs }, signal);
  }

  readPlan(hash: string, signal: AbortSignal): Promise<string | undefined> {
    return this.#reader.call("readPlan", hash, signal);
  }

  createCampaign(campaign: NewCampaign, signal: AbortSignal): Promise<Campaign> {
    return this.#writer.call("createCampaign", campaign, signal);
  }

  readCampaign(id: string, signal: AbortSignal): Promise<Campaign | undefined> {
    return this.#reader.call("readCampaign", id, signal);
  }

  listCampaigns(query: CampaignQuery, signal: AbortSignal): Promise<Campaign[]> {
    return this.#reader.call("listCampaigns", query, signal);
  }

  changeCampaign(change: CampaignChange, nowMs: number, signal: AbortSignal): Promise<Campaign> {
    return this.#writer.call("changeCampaign", { change, nowMs }, signal);
  }

  advanceCampaign(step: CampaignStep, nowMs: number, signal: AbortSignal): Promise<Campaign> {
    return this.#writer.call("advanceCampaign", { step, nowMs }, signal);
  }

  touchCampaign(id: string, nowMs: number, signal: AbortSignal): Promise<void> {
    return this.#writer.call("touchCampaign", { id, nowMs }, signal);
  }

  createBackfill(backfill: NewBackfill, signal: AbortSignal): Promise<Backfill> {
    return this.#writer.call("createBackfill", backfill, signal);
  }

  readBackfill(id: string, signal: AbortSignal): Promise<Backfill | undefined> {
    return this.#reader.call("readBackfill", id, signal);
  }

  listBackfills(limit: number, signal: AbortSignal): Promise<Backfill[]> {
    return this.#reader.call("listBackfills", limit, signal);
  }

  changeBackfill(id: string, change: BackfillChange, nowMs: number, signal: AbortSignal): Promise<Backfill> {
    return this.#writer.call("changeBackfill", { id, change, nowMs }, signal);
  }

  endedPaths(id: string, paths: readonly string[], signal: AbortSignal): Promise<string[]> {
    return this.#reader.call("endedPaths", { id, paths }, signal);
  }

  beginItems(id: string, items: readonly NewItem[], signal: AbortSignal): Promise<ItemStanding[]> {
    return this.#writer.call("beginItems", { id, items }, signal);
  }

  endItems(id: string, items: readonly EndedItem[], signal: AbortSignal): Promise<void> {
    return this.#writer.call("endItems", { id, items }, signal);
  }

  retryItems(id: string, signal: AbortSignal): Promise<number> {
    return this.#writer.call("retryItems", id, signal);
  }

  listItems(query: ItemQuery, signal: AbortSignal): Promise<BackfillItem[]> {
    return this.#reader.call("listItems", query, signal);
  }

  countItems(id: string, signal: AbortSignal): Promise<ItemCount[]> {
    return this.#reader.call("countItems", id, signal);
  }

  listBackfilled(id: string, after: string | undefined, limit: number, signal: AbortSignal): Promise<string[]> {
    return this.#reader.call("listBackfilled", { id, after, limit }, signal);
  }

  listExportable(query: ExportableQuery, signal: AbortSignal): Promise<Exportable[]> {
    return this.#reader.call("listExportable", query, signal);
  }

  recordExport(record: ExportRecord, sessions: readonly string[], signal: AbortSignal): Promise<void> {
    return this.#writer.call("recordExport", { record, sessions }, signal);
  }

  findExports(root: string, signal: AbortSignal): Promise<ExportRecord[]> {
    return this.#reader.call("findExports", root, signal);
  }

  exportsNaming(project: string, session: string, signal: AbortSignal): Promise<ExportRecord[]> {
    return this.#reader.call("exportsNaming", { project, session }, signal);
  }

  ping(signal: AbortSignal): Promise<void> {
    return this.#writer.call("ping", undefined, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]();
    await this.#reader[Symbol.asyncDispose]();
  }
}

/** Ids in memory at a time. */
const MAX_FOUND = 1_000_000;
/** A commit of about 20 ms. */
const CHANGED_AT_ONCE = 2_000;

/** Node runs the sources as they are; a build has the same files with another ending. */
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
