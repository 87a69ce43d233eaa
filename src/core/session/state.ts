/**
 * What a session's events add up to. A commutative monoid: `merge` in any grouping and any order
 * gives the same state, so the fold does not depend on how events were batched or which stream
 * came first.
 */
export interface SessionState {
  readonly events: number;
  readonly quarantined: number;
  /** Bytes of events, quarantined ones included, before packing. */
  readonly bytes: number;
  /** Events by type name; custom ones count as `custom`. */
  readonly types: Readonly<Record<string, number>>;
  /** The earliest and latest event time, epoch milliseconds; undefined without events. */
  readonly firstMs: number | undefined;
  readonly lastMs: number | undefined;
  /** The page of the latest event that names one, by (time, stream, seq). */
  readonly page: LastPage | undefined;
}

export interface LastPage {
  readonly timeMs: number;
  readonly stream: string;
  readonly seq: bigint;
  readonly url: string;
  readonly title: string;
}

export const EMPTY_STATE: SessionState = {
  events: 0,
  quarantined: 0,
  bytes: 0,
  types: {},
  firstMs: undefined,
  lastMs: undefined,
  page: undefined,
};

export function merge(a: SessionState, b: SessionState): SessionState {
  const types: Record<string, number> = { ...a.types };
  for (const [type, count] of Object.entries(b.types)) types[type] = (types[type] ?? 0) + count;
  return {
    events: a.events + b.events,
    quarantined: a.quarantined + b.quarantined,
    bytes: a.bytes + b.bytes,
    types,
    firstMs: pick(Math.min, a.firstMs, b.firstMs),
    lastMs: pick(Math.max, a.lastMs, b.lastMs),
    page: laterPage(a.page, b.page),
  };
}

export function laterPage(a: LastPage | undefined, b: LastPage | undefined): LastPage | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return comparePages(a, b) >= 0 ? a : b;
}

function comparePages(a: LastPage, b: LastPage): number {
  if (a.timeMs !== b.timeMs) return a.timeMs - b.timeMs;
  if (a.stream !== b.stream) return a.stream < b.stream ? -1 : 1;
  return a.seq < b.seq ? -1 : a.seq > b.seq ? 1 : 0;
}

function pick(
  choose: (a: number, b: number) => number,
  a: number | undefined,
  b: number | undefined,
): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : choose(a, b);
}
