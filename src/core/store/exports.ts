import type { Selection } from "./campaigns.ts";

/** What may be exported, and what was. Times are epoch milliseconds. */
export interface ExportStore {
  /**
   * The sessions that match among all of the project's, open ones too, by id: an order that depends
   * on nothing but the sessions. At most `limit` after `after`.
   */
  listExportable(query: ExportableQuery, signal: AbortSignal): Promise<Exportable[]>;
  /**
   * Notes that an export names these sessions too, and the export itself the first time. Idempotent
   * by (root, path): called for a part of its sessions after another, before it is published.
   */
  recordExport(record: ExportRecord, sessions: readonly string[], signal: AbortSignal): Promise<void>;
  /** Every export with this root, oldest first. */
  findExports(root: string, signal: AbortSignal): Promise<ExportRecord[]>;
  /** Every export that names the session, oldest first. */
  exportsNaming(project: string, session: string, signal: AbortSignal): Promise<ExportRecord[]>;
}

export interface ExportableQuery {
  readonly selection: Selection;
  readonly after: string | undefined;
  readonly limit: number;
}

export interface Exportable {
  readonly session: string;
  readonly sealed: boolean;
  /** The definitions it is fresh under (see pipeline/freshness.ts signatureOf). */
  readonly signature: string;
  readonly score: number | undefined;
}

export interface ExportRecord {
  /** sha256 in hexadecimal. */
  readonly root: string;
  readonly project: string;
  readonly format: string;
  /** Where it was written. */
  readonly path: string;
  readonly examples: number;
  readonly createdAtMs: number;
}
