import type { Database } from "better-sqlite3";
import { and, asc, desc, eq, exists, gte, lt, or, type SQL } from "drizzle-orm";
import { type BetterSQLite3Database, drizzle } from "drizzle-orm/better-sqlite3";
import { AppError } from "../../errors.ts";
import { eventsOf, unpack } from "../../session/segment.ts";
import type {
  EventQuery,
  QuarantinedEvent,
  Session,
  SessionPage,
  SessionQuery,
  StoredEvent,
  StreamEnd,
  StreamRef,
  Watermark,
} from "../store.ts";
import { infoOf, type SessionRow, sealOf, stateOf } from "./rows.ts";
import { quarantine, sessionLabels, sessions, streams } from "./schema.ts";

/** Reads sessions and their events. Every query is answered from an index and is bounded. */
export class SessionReader {
  readonly #database: Database;
  readonly #orm: BetterSQLite3Database;

  constructor(database: Database) {
    this.#database = database;
    this.#orm = drizzle({ client: database });
  }

  watermark(ref: StreamRef): Watermark | undefined {
    const row = this.#orm
      .select({ durableSeq: streams.durableSeq, status: sessions.status })
      .from(streams)
      .innerJoin(sessions, eq(sessions.key, streams.sessionKey))
      .where(and(eq(sessions.project, ref.project), eq(sessions.id, ref.session), eq(streams.id, ref.stream)))
      .get();
    return row && { durableSeq: BigInt(row.durableSeq), sealed: row.status === "sealed" };
  }

  read(project: string, id: string): Session | undefined {
    const row = this.#row(project, id);
    return row && this.#session(row);
  }

  list(query: SessionQuery): SessionPage {
    const keys = this.#orm
      .select({ id: sessions.id, createdAt: sessions.createdAt })
      .from(sessions)
      .where(and(...this.#conditions(query)))
      .orderBy(desc(sessions.createdAt), desc(sessions.id))
      .limit(query.limit + 1)
      .all();
    const page = keys.slice(0, query.limit);
    const last = page.at(-1);
    return {
      sessions: page.map(({ id }) => this.read(query.project, id)).filter((session) => session !== undefined),
      nextCursor: keys.length > query.limit && last !== undefined ? printCursor(last.createdAt, last.id) : undefined,
    };
  }

  #conditions(query: SessionQuery): (SQL | undefined)[] {
    const after = query.cursor === undefined ? undefined : parseCursor(query.cursor);
    return [
      eq(sessions.project, query.project),
      query.status && eq(sessions.status, query.status),
      query.sinceMs === undefined ? undefined : gte(sessions.createdAt, query.sinceMs),
      query.untilMs === undefined ? undefined : lt(sessions.createdAt, query.untilMs),
      query.collector === undefined ? undefined : eq(sessions.collector, query.collector),
      after &&
        or(
          lt(sessions.createdAt, after.createdAt),
          and(eq(sessions.createdAt, after.createdAt), lt(sessions.id, after.id)),
        ),
      ...query.labels.map(({ name, value }) =>
        exists(
          this.#orm
            .select({ key: sessionLabels.sessionKey })
            .from(sessionLabels)
            .where(
              and(
                eq(sessionLabels.sessionKey, sessions.key),
                eq(sessionLabels.name, name),
                eq(sessionLabels.value, value),
              ),
            ),
        ),
      ),
    ];
  }

  events(query: EventQuery): StoredEvent[] {
    const session = this.#row(query.project, query.session);
    if (session === undefined) return [];
    const found: StoredEvent[] = [];
    let bytes = 0;
    for (const stream of this.#streamsFrom(session.key, query)) {
      const after = query.after?.stream === stream.id ? query.after.seq : 0n;
      const from = Number(after >= query.fromSeq ? after + 1n : query.fromSeq);
      for (const row of this.#segmentsFrom(stream.key, from)) {
        const events = eventsOf(unpack(row.encoding, row.payload, row.raw_bytes));
        for (const [index, event] of events.entries()) {
          const seq = row.first_seq + index;
          if (seq < from || event === undefined) continue;
          found.push({ stream: stream.id, seq: BigInt(seq), event });
          bytes += event.length;
          if (bytes >= query.maxBytes) return found;
        }
      }
    }
    return found;
  }

  #streamsFrom(session: number, query: EventQuery) {
    return this.#orm
      .select({ key: streams.key, id: streams.id })
      .from(streams)
      .where(
        and(
          eq(streams.sessionKey, session),
          query.stream === undefined ? undefined : eq(streams.id, query.stream),
          query.after === undefined ? undefined : gte(streams.id, query.after.stream),
        ),
      )
      .orderBy(asc(streams.id))
      .all();
  }

  #segmentsFrom(stream: number, from: number): IterableIterator<SegmentRow> {
    return this.#database
      .prepare<[number, number, number], SegmentRow>(
        `SELECT first_seq, encoding, raw_bytes, payload FROM segments
         WHERE stream_key = ? AND first_seq >= coalesce(
           (SELECT max(first_seq) FROM segments WHERE stream_key = ? AND first_seq <= ?), 0)
         ORDER BY first_seq`,
      )
      .iterate(stream, stream, from);
  }

  quarantined(args: {
    readonly project: string;
    readonly session: string;
    readonly limit: number;
  }): QuarantinedEvent[] {
    return this.#orm
      .select({
        stream: streams.id,
        seq: quarantine.seq,
        path: quarantine.path,
        reason: quarantine.reason,
        event: quarantine.event,
        atMs: quarantine.at,
      })
      .from(quarantine)
      .innerJoin(streams, eq(streams.key, quarantine.streamKey))
      .innerJoin(sessions, eq(sessions.key, streams.sessionKey))
      .where(and(eq(sessions.project, args.project), eq(sessions.id, args.session)))
      .orderBy(asc(streams.id), asc(quarantine.seq))
      .limit(args.limit)
      .all()
      .map((row) => ({ ...row, seq: BigInt(row.seq) }));
  }

  ends(session: number): StreamEnd[] {
    return this.#orm
      .select({ stream: streams.id, lastSeq: streams.durableSeq })
      .from(streams)
      .where(eq(streams.sessionKey, session))
      .orderBy(asc(streams.id))
      .all()
      .map((row) => ({ stream: row.stream, lastSeq: BigInt(row.lastSeq) }));
  }

  #row(project: string, id: string): SessionRow | undefined {
    return this.#database
      .prepare<[string, string], SessionRow>("SELECT * FROM sessions WHERE project = ? AND id = ?")
      .get(project, id);
  }

  #session(row: SessionRow): Session {
    const blobs = this.#database
      .prepare<[string, number], { all: number; stored: number }>(
        `SELECT count(*) AS "all", count(blobs.id) AS stored FROM session_blobs
         LEFT JOIN blobs ON blobs.project = ? AND blobs.id = session_blobs.blob_id WHERE session_key = ?`,
      )
      .get(row.project, row.key);
    return {
      project: row.project,
      id: row.id,
      info: infoOf(row),
      version: BigInt(row.version),
      createdAtMs: row.created_at,
      updatedAtMs: row.updated_at,
      seal: sealOf(row),
      streams: this.ends(row.key),
      state: stateOf(row),
      blobs: blobs?.all ?? 0,
      missingBlobs: (blobs?.all ?? 0) - (blobs?.stored ?? 0),
    };
  }
}

interface SegmentRow {
  readonly first_seq: number;
  readonly encoding: number;
  readonly raw_bytes: number;
  readonly payload: Buffer;
}

function printCursor(createdAt: number, id: string): string {
  return Buffer.from(JSON.stringify([createdAt, id])).toString("base64url");
}

function parseCursor(cursor: string): { createdAt: number; id: string } {
  try {
    const [createdAt, id]: unknown[] = JSON.parse(Buffer.from(cursor, "base64url").toString());
    if (typeof createdAt === "number" && typeof id === "string") return { createdAt, id };
  } catch {
    // Falls through to the one error there is for a token that is not ours.
  }
  throw new AppError("invalid_argument", "The page token is not one that a list call returned.", {
    reason: "BAD_PAGE_TOKEN",
  });
}
