import type { Limits } from "../limits.ts";
import type { Problem } from "../store/store.ts";
import { checkEvent } from "./event-check.ts";
import { EMPTY_STATE, type LastPage, laterPage, type SessionState } from "./state.ts";

/** What a run of new events amounts to, before anything is written. */
export interface Prepared {
  /** The events in order; undefined where one is quarantined. */
  readonly events: readonly (Uint8Array | undefined)[];
  readonly problems: readonly Problem[];
  /** To be merged into the session's state. */
  readonly delta: SessionState;
  /** Blobs the valid events name, each once. */
  readonly blobs: readonly string[];
}

/** Checks and folds new events that begin at `firstSeq` of `stream`. Pure. */
export function prepare(stream: string, firstSeq: bigint, events: readonly Uint8Array[], limits: Limits): Prepared {
  const kept: (Uint8Array | undefined)[] = [];
  const problems: Problem[] = [];
  const types: Record<string, number> = {};
  const blobs = new Set<string>();
  let bytes = 0;
  let firstMs: number | undefined;
  let lastMs: number | undefined;
  let page: LastPage | undefined;
  for (const [index, event] of events.entries()) {
    const seq = firstSeq + BigInt(index);
    const result = checkEvent(event, seq, limits);
    bytes += event.length;
    if ("flaw" in result) {
      kept.push(undefined);
      problems.push({ seq, ...result.flaw });
      continue;
    }
    kept.push(event);
    const { timeMs, type, url, title } = result.facts;
    types[type] = (types[type] ?? 0) + 1;
    firstMs = firstMs === undefined ? timeMs : Math.min(firstMs, timeMs);
    lastMs = lastMs === undefined ? timeMs : Math.max(lastMs, timeMs);
    if (url !== "") page = laterPage(page, { timeMs, stream, seq, url, title });
    for (const blob of result.facts.blobs) blobs.add(blob);
  }
  const quarantined = problems.length;
  const delta = {
    ...EMPTY_STATE,
    events: events.length - quarantined,
    quarantined,
    bytes,
    types,
    firstMs,
    lastMs,
    page,
  };
  return { events: kept, problems, delta, blobs: [...blobs] };
}
