import { createHash } from "node:crypto";
import { AppError } from "../errors.ts";
import type { Session, Store } from "../store/store.ts";
import { canonicalJson } from "./canonical.ts";
import type { Recorded, RecordedBytes } from "./recorded.ts";

/** Events are read in pages of this many bytes. */
const PAGE_BYTES = 8 * 1024 * 1024;
/** A stage holds its session in memory; beyond this it would not fit beside others. */
const MAX_BYTES = 512 * 1024 * 1024;

/**
 * Reads a sealed session whole. Fails with `not_found` SESSION_NOT_FOUND, `failed_precondition`
 * NOT_SEALED or SESSION_TOO_LARGE, and with what reading its events fails with.
 */
export async function readRecorded(
  store: Store,
  project: string,
  session: string,
  signal: AbortSignal,
): Promise<Recorded> {
  const found = await store.readSession(project, session, signal);
  if (found === undefined) {
    throw new AppError("not_found", `Project ${project} has no session ${session} any more.`, {
      reason: "SESSION_NOT_FOUND",
    });
  }
  return { ...describe(found), events: await readEvents(store, found, signal) };
}

function describe(session: Session): Omit<Recorded, "events"> {
  if (session.seal === undefined) {
    throw new AppError("failed_precondition", `Session ${session.id} is not sealed; only sealed ones are processed.`, {
      reason: "NOT_SEALED",
    });
  }
  if (session.state.bytes > MAX_BYTES) {
    throw new AppError(
      "failed_precondition",
      `Session ${session.id} has ${session.state.bytes} bytes of events; the pipeline takes up to ${MAX_BYTES}.`,
      { reason: "SESSION_TOO_LARGE" },
    );
  }
  const { id, info, streams, seal, state } = session;
  return { session: id, info, streams, missingBlobs: seal.missingBlobs, quarantined: state.quarantined };
}

async function readEvents(store: Store, session: Session, signal: AbortSignal): Promise<RecordedBytes[]> {
  const events: RecordedBytes[] = [];
  let after: { readonly stream: string; readonly seq: bigint } | undefined;
  for (;;) {
    const page = await store.readEvents(
      { project: session.project, session: session.id, stream: undefined, fromSeq: 1n, after, maxBytes: PAGE_BYTES },
      signal,
    );
    for (const { stream, seq, event } of page) events.push({ stream, seq: Number(seq), event });
    const last = page.at(-1);
    if (last === undefined) return events;
    after = { stream: last.stream, seq: last.seq };
  }
}

/** The sha256 of all a stage could see of a recording, however its events were batched. */
export function hashOf({ events, info, ...rest }: Recorded): string {
  const streams = rest.streams.map(({ stream, lastSeq }) => [stream, String(lastSeq)]);
  const hash = createHash("sha256").update(canonicalJson({ ...rest, streams, info: info ?? null }));
  for (const { stream, seq, event } of events) hash.update(`\n${stream} ${seq} ${event.length}\n`).update(event);
  return hash.digest("hex");
}
