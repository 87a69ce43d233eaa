import type { LastPage, SessionState } from "../../session/state.ts";
import type { Seal, SessionInfo } from "../store.ts";

/** A row of `sessions` as the driver gives it. */
export interface SessionRow {
  readonly key: number;
  readonly project: string;
  readonly id: string;
  readonly status: "open" | "sealed";
  readonly version: number;
  readonly created_at: number;
  readonly updated_at: number;
  readonly info: string | null;
  readonly events: number;
  readonly quarantined: number;
  readonly bytes: number;
  readonly types: string;
  readonly first_ms: number | null;
  readonly last_ms: number | null;
  readonly page: string | null;
  readonly sealed_at: number | null;
  readonly sealed_missing: string | null;
}

export function stateOf(row: SessionRow): SessionState {
  return {
    events: row.events,
    quarantined: row.quarantined,
    bytes: row.bytes,
    types: parse<Record<string, number>>(row.types),
    firstMs: row.first_ms ?? undefined,
    lastMs: row.last_ms ?? undefined,
    page: row.page === null ? undefined : parsePage(row.page),
  };
}

export function infoOf(row: SessionRow): SessionInfo | undefined {
  return row.info === null ? undefined : parse<SessionInfo>(row.info);
}

export function sealOf(row: SessionRow): Seal | undefined {
  if (row.sealed_at === null || row.sealed_missing === null) return undefined;
  return {
    version: BigInt(row.version),
    sealedAtMs: row.sealed_at,
    missingBlobs: parse<string[]>(row.sealed_missing),
  };
}

export function printPage(page: LastPage | undefined): string | null {
  return page === undefined ? null : JSON.stringify({ ...page, seq: Number(page.seq) });
}

function parsePage(text: string): LastPage {
  const page = parse<Omit<LastPage, "seq"> & { seq: number }>(text);
  return { ...page, seq: BigInt(page.seq) };
}

/** Columns that this adapter wrote itself: their shape is known. */
function parse<T>(text: string): T {
  return JSON.parse(text);
}
