import type { Clock } from "../clock.ts";
import { AppError } from "../errors.ts";
import { openNamed } from "../import/importer.ts";
import type { Ingest } from "../session/ingest.ts";
import type { Backfill, EndedItem } from "../store/backfills.ts";
import type { Store } from "../store/store.ts";
import { type BroughtIn, bringIn } from "./bring-in.ts";
import { companionKind, contentOf, type Unit, unitsAt } from "./units.ts";

export interface BackfillOptions {
  readonly store: Store;
  readonly ingest: Ingest;
  readonly clock: Clock;
  /** Told of each unit that ended now. */
  readonly onItem: (path: string) => void;
}

/** Units that are looked up, and begun, in one commit. */
const GROUP = 32;
/** Of a group, that are read and stored at once, and ended in one commit. */
const AT_ONCE = 4;

/**
 * Brings in everything at a backfill's sources, and seals it. Killed anywhere, the same call goes
 * on: what ended is passed over, what was begun is brought in again, which changes nothing that is
 * there. A unit that can't be brought in is noted with its reason, and the others go on; only what
 * keeps all from being stored (a full disk, a store that is gone) ends the run.
 *
 * Four units of each of `concurrency` groups are brought in at once, so that their commits are shared;
 * what is read of each is bounded by the largest event and screenshot.
 */
export async function runBackfill(backfill: Backfill, options: BackfillOptions, signal: AbortSignal): Promise<void> {
  const { concurrency } = backfill.settings;
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const groups = inGroups(paced(unitsAt(backfill.sources, both), backfill, options.clock, both));
  const iterator = groups[Symbol.asyncIterator]();
  // One generator serves all lanes: it queues what they ask for at once.
  const lane = async (): Promise<void> => {
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
      await bringGroup(next.value, backfill, options, both);
    }
  };
  const lanes = Array.from({ length: concurrency }, async () => {
    try {
      await lane();
    } catch (error) {
      stop.abort(error);
      throw error;
    }
  });
  const ended = await Promise.allSettled(lanes);
  signal.throwIfAborted();
  const failed = ended.find((each) => each.status === "rejected");
  if (failed !== undefined) throw AppError.from(stop.signal.aborted ? stop.signal.reason : failed.reason);
  await sealAll(backfill, options, signal);
}

async function* inGroups(units: AsyncIterable<Unit>): AsyncIterable<readonly Unit[]> {
  let group: Unit[] = [];
  for await (const unit of units) {
    group.push(unit);
    if (group.length < GROUP) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** No faster than the backfill's rate, which may be changed while it runs. */
async function* paced(
  units: AsyncIterable<Unit>,
  { settings: { rate } }: Backfill,
  clock: Clock,
  signal: AbortSignal,
): AsyncIterable<Unit> {
  const begun = clock.now();
  let count = 0;
  for await (const unit of units) {
    if (rate !== undefined) {
      const due = begun + (count / rate) * 1000;
      if (due > clock.now()) await clock.sleep(due - clock.now(), signal);
    }
    count += 1;
    yield unit;
  }
}

async function bringGroup(
  group: readonly Unit[],
  backfill: Backfill,
  { store, ingest, onItem }: BackfillOptions,
  signal: AbortSignal,
): Promise<void> {
  const over = await store.endedPaths(
    backfill.id,
    group.map(({ path }) => path),
    signal,
  );
  const units = group.filter(({ path }) => !over.includes(path));
  if (units.length === 0) return;
  const ended: EndedItem[] = [];
  const read: { readonly unit: Unit; readonly digest: string; readonly bytes: number }[] = [];
  for (const unit of units) {
    try {
      read.push({ unit, ...(await contentOf(unit, signal)) });
    } catch (error) {
      ended.push(refused(unit, 0, failureOf(error, signal)));
      read.push({ unit, digest: UNREADABLE, bytes: 0 });
    }
  }
  const standings = await store.beginItems(
    backfill.id,
    read.map(({ unit, digest, bytes }) => ({ path: unit.path, digest, bytes })),
    signal,
  );
  const unreadable = new Set(ended.map(({ path }) => path));
  const left = read.flatMap((each, at) => {
    const standing = standings[at];
    if (standing === "duplicate") onItem(each.unit.path);
    const open = standing === "fresh" || standing === "begun";
    return open && !unreadable.has(each.unit.path) ? [{ ...each, begun: standing === "begun" }] : [];
  });
  if (ended.length > 0) await store.endItems(backfill.id, ended, signal);
  for (let from = 0; from < left.length; from += AT_ONCE) {
    const brought = await Promise.allSettled(
      left
        .slice(from, from + AT_ONCE)
        .map(({ unit, bytes, begun }) => bringUnit(unit, bytes, begun, backfill, ingest, signal)),
    );
    const failed = brought.find((each) => each.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    const items = brought.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    await store.endItems(backfill.id, items, signal);
    ended.push(...items);
  }
  for (const { path } of ended) onItem(path);
}

/** In place of the hash of what can't be read. */
const UNREADABLE = "0".repeat(64);

async function bringUnit(
  unit: Unit,
  bytes: number,
  begun: boolean,
  { project, settings }: Backfill,
  ingest: Ingest,
  signal: AbortSignal,
): Promise<EndedItem> {
  try {
    const companion = unit.kind === "file" ? await companionKind(unit.path, signal) : undefined;
    if (companion === "image") return item(unit, "passed_over", bytes, { reason: "IMAGE", format: "image" });
    if (companion === "pickle") throw pickle(unit.path);
    if (settings.format !== undefined && (await openNamed(unit.path, signal)).format !== settings.format) {
      return item(unit, "passed_over", bytes, { reason: "OTHER_FORMAT" });
    }
    const brought = await bringIn(unit.path, { ingest, project, labels: settings.labels }, signal);
    // What was begun before may have been stored by whoever was killed before it could say so.
    const outcome = brought.fresh > 0 || begun || brought.events === 0 ? "imported" : "duplicate";
    return item(unit, outcome, bytes, { brought, reason: outcome === "duplicate" ? "SAME_EVENTS" : "" });
  } catch (error) {
    return refused(unit, bytes, failureOf(error, signal));
  }
}

interface More {
  readonly format?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly brought?: BroughtIn;
}

function item({ path }: Unit, outcome: EndedItem["outcome"], bytes: number, more: More): EndedItem {
  const { format = "", reason = "", message = "", brought } = more;
  const { sessions = [], events = 0, quarantined = 0, blobs = 0 } = brought ?? {};
  return {
    path,
    outcome,
    format: brought?.format ?? format,
    sessions,
    events,
    quarantined,
    blobs,
    bytes,
    reason,
    message,
  };
}

function refused(unit: Unit, bytes: number, { reason, message }: AppError): EndedItem {
  return item(unit, "refused", bytes, { reason, message });
}

/** What concerns this item alone; anything else is thrown on, and ends the run. */
function failureOf(error: unknown, signal: AbortSignal): AppError {
  signal.throwIfAborted();
  const failure = AppError.from(error);
  if (ITS_OWN.has(failure.code)) return failure;
  throw failure;
}

const ITS_OWN: ReadonlySet<string> = new Set([
  "invalid_argument",
  "not_found",
  "conflict",
  "out_of_range",
  "failed_precondition",
  "permission_denied",
  "data_loss",
]);

function pickle(path: string): AppError {
  return new AppError(
    "invalid_argument",
    `${path} is a Python pickle, which is a program: loading it runs what it says. Write the recording as JSON.`,
    { reason: "PICKLE_REFUSED", metadata: { path } },
  );
}

/** Every session that was brought in, now that all of its streams are there. */
async function sealAll(
  { id, project }: Backfill,
  { store, ingest }: BackfillOptions,
  signal: AbortSignal,
): Promise<void> {
  let after: string | undefined;
  for (;;) {
    const sessions = await store.listBackfilled(id, after, SEALED_AT_ONCE, signal);
    await Promise.all(sessions.map((session) => sealOne(project, session, store, ingest, signal)));
    after = sessions.at(-1);
    if (sessions.length < SEALED_AT_ONCE) return;
  }
}

const SEALED_AT_ONCE = 64;

async function sealOne(
  project: string,
  session: string,
  store: Store,
  ingest: Ingest,
  signal: AbortSignal,
): Promise<void> {
  const found = await store.readSession(project, session, signal);
  if (found === undefined || found.seal !== undefined) return;
  await ingest.seal(
    { project, session, streams: found.streams, allowMissingBlobs: true, expectedVersion: undefined },
    signal,
  );
}
