import type { Database } from "better-sqlite3";
import { eventsOf, unpack } from "../../session/segment.ts";
import type { EventQuery, QuarantinedEvent, Session, StoredEvent, StreamEnd, StreamRef, Watermark } from "../store.ts";
import { infoOf, type SessionRow, sealOf, stateOf } from "./rows.ts";

/** Reads sessions and their events. Every query is answered from an index and is bounded. */
export class SessionReader {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  watermark(ref: StreamRef): Watermark | undefined {
    const row = this.#database
      .prepare<[string, string, string], { durable_seq: number; status: string }>(
        `SELECT durable_seq, status FROM streams JOIN sessions ON sessions.key = session_key
         WHERE project = ? AND sessions.id = ? AND streams.id = ?`,
      )
      .get(ref.project, ref.session, ref.stream);
    return row && { durableSeq: BigInt(row.durable_seq), sealed: row.status === "sealed" };
  }

  read(project: string, id: string): Session | undefined {
    const row = this.#row(project, id);
    return row && this.#session(row);
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

  #streamsFrom(session: number, query: EventQuery): { key: number; id: string }[] {
    return this.#database
      .prepare<[number, string, string | null], { key: number; id: string }>(
        "SELECT key, id FROM streams WHERE session_key = ? AND id >= ? AND id = coalesce(?, id) ORDER BY id",
      )
      .all(session, query.after?.stream ?? "", query.stream ?? null);
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
    return this.#database
      .prepare<[string, string, number], QuarantineRow>(
        `SELECT streams.id AS stream, seq, path, reason, event, at FROM sessions
         JOIN streams ON streams.session_key = sessions.key JOIN quarantine ON stream_key = streams.key
         WHERE project = ? AND sessions.id = ? ORDER BY streams.id, seq LIMIT ?`,
      )
      .all(args.project, args.session, args.limit)
      .map(({ seq, at, ...row }) => ({ ...row, seq: BigInt(seq), atMs: at }));
  }

  ends(session: number): StreamEnd[] {
    return this.#database
      .prepare<[number], { id: string; durable_seq: number }>(
        "SELECT id, durable_seq FROM streams WHERE session_key = ? ORDER BY id",
      )
      .all(session)
      .map((row) => ({ stream: row.id, lastSeq: BigInt(row.durable_seq) }));
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

interface QuarantineRow {
  readonly stream: string;
  readonly seq: number;
  readonly path: string;
  readonly reason: string;
  readonly event: Buffer;
  readonly at: number;
}
