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
  JobPage,
  JobQuery,
  KindSettings,
  KindStats,
  Lease,
  LeaseStatus,
  NewJob,
  Rescued,
  RescueOptions,
} from "../jobs.ts";
import type { BlobName, Expirable, ExpirableQuery, ExpireCommand, Expired } from "../retention.ts";
import type {
  Appended,
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
  StoredEvent,
  StreamRef,
  Watermark,
} from "../store.ts";
import type { AppendArgs } from "./append.ts";
import type { JobSearch } from "./job-find.ts";
import type { JobChange } from "./job-table.ts";
import type { SettleArgs } from "./settle.ts";

/** What the writer thread does, each in one transaction. */
export interface Writes {
  openStream(args: { readonly ref: StreamRef; readonly info: SessionInfo | undefined }): OpenedStream;
  append(args: AppendArgs): Appended;
  seal(args: SealCommand): Seal;
  recordBlob(args: { readonly project: string; readonly blob: NewBlob }): RecordedAs;
  createKey(args: KeyRecord): void;
  rotateKey(args: { readonly id: string; readonly next: KeyRecord; readonly endsAtMs: number }): void;
  revokeKey(args: { readonly id: string; readonly atMs: number }): KeyRecord;
  touchKey(args: { readonly id: string; readonly atMs: number }): void;
  enqueueJobs(args: { readonly jobs: readonly NewJob[]; readonly nowMs: number }): Enqueued;
  claimJobs(args: ClaimRequest): ClaimedJob[];
  heartbeatJobs(args: { readonly leases: readonly Lease[]; readonly untilMs: number }): LeaseStatus[];
  settleJobs(args: SettleArgs): ("settled" | "lost")[];
  rescueJobs(args: RescueOptions): Rescued;
  cancelJobs(args: JobChange): number;
  redriveJobs(args: JobChange): number;
  runJobsNow(args: JobChange): number;
  pruneJobs(args: { readonly endedBeforeMs: number; readonly limit: number }): number;
  setKind(args: { readonly kind: string; readonly change: KindSettings }): void;
  keepPlan(args: { readonly hash: string; readonly json: string; readonly nowMs: number }): void;
  createCampaign(args: NewCampaign): Campaign;
  changeCampaign(args: { readonly change: CampaignChange; readonly nowMs: number }): Campaign;
  advanceCampaign(args: { readonly step: CampaignStep; readonly nowMs: number }): Campaign;
  touchCampaign(args: { readonly id: string; readonly nowMs: number }): void;
  expireOriginals(args: ExpireCommand): Expired;
  markPurged(args: readonly BlobName[]): void;
  recordExport(args: { readonly record: ExportRecord; readonly sessions: readonly string[] }): void;
  createBackfill(args: NewBackfill): Backfill;
  changeBackfill(args: { readonly id: string; readonly change: BackfillChange; readonly nowMs: number }): Backfill;
  beginItems(args: { readonly id: string; readonly items: readonly NewItem[] }): ItemStanding[];
  endItems(args: { readonly id: string; readonly items: readonly EndedItem[] }): void;
  retryItems(args: string): number;
  ping(args: undefined): void;
}

/** What the reader thread does, on a connection of its own. A promise is awaited there. */
export interface Reads {
  readWatermark(args: StreamRef): Watermark | undefined;
  readBlob(args: { readonly project: string; readonly id: string }): BlobRecord | undefined;
  missingBlobs(args: {
    readonly project: string;
    readonly ids: readonly string[];
    readonly session: string | undefined;
  }): string[];
  listProjects(args: undefined): string[];
  findExpirable(args: ExpirableQuery): Expirable[];
  listUnpurged(args: number): BlobName[];
  readSession(args: { readonly project: string; readonly session: string }): Session | undefined;
  listSessions(args: SessionQuery): Promise<SessionPage>;
  readEvents(args: EventQuery): StoredEvent[];
  readQuarantined(args: {
    readonly project: string;
    readonly session: string;
    readonly limit: number;
  }): QuarantinedEvent[];
  readKey(args: string): KeyRecord | undefined;
  listKeys(args: string | undefined): KeyRecord[];
  nextDue(args: readonly string[]): number | undefined;
  readJob(args: number): JobDetail | undefined;
  findJobs(args: JobSearch): number[];
  listJobs(args: JobQuery): JobPage;
  jobStats(args: number): KindStats[];
  readHeads(args: { readonly project: string; readonly session: string }): ArtifactHead[];
  readArtifact(args: {
    readonly project: string;
    readonly session: string;
    readonly key: string;
  }): Artifact | undefined;
  listArtifacts(args: { readonly project: string; readonly session: string; readonly limit: number }): ArtifactRecord[];
  storeId(args: undefined): string;
  countSessions(args: Selection): SignatureCount[];
  selectSessions(args: SelectionQuery): SelectionPage;
  stageDurations(args: undefined): StageDuration[];
  readPlan(args: string): string | undefined;
  readCampaign(args: string): Campaign | undefined;
  listCampaigns(args: CampaignQuery): Campaign[];
  readBackfill(args: string): Backfill | undefined;
  listBackfills(args: number): Backfill[];
  listItems(args: ItemQuery): BackfillItem[];
  endedPaths(args: { readonly id: string; readonly paths: readonly string[] }): string[];
  countItems(args: string): ItemCount[];
  listBackfilled(args: { readonly id: string; readonly after: string | undefined; readonly limit: number }): string[];
  listExportable(args: ExportableQuery): Exportable[];
  findExports(args: string): ExportRecord[];
  exportsNaming(args: { readonly project: string; readonly session: string }): ExportRecord[];
}
