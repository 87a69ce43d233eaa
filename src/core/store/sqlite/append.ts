import { createHash } from "node:crypto";
import type { Database, Statement } from "better-sqlite3";
import { AppError } from "../../errors.ts";
import { giveBack } from "../../give-back.ts";
import type { Limits } from "../../limits.ts";
import { prepare } from "../../session/batch.ts";
import { eventsOf, type Frame, frameOf, pack, unpack } from "../../session/segment.ts";
import { merge } from "../../session/state.ts";
import type { Appended, OpenedStream, Problem, SessionInfo, StreamRef } from "../store.ts";
import type { SessionCache, StreamEntry } from "./session-cache.ts";

export interface AppendArgs {
  readonly ref: StreamRef;
  readonly epoch: number | undefined;
  readonly firstSeq: number;
  readonly frame: Frame;
  readonly info: SessionInfo | undefined;
}

/**
 * The durable path, inside the writer's transaction. Each call checks everything before it changes
 * anything, so that a refusal leaves no trace; `flush` then writes each touched session and stream
 * once for the whole group.
 */
export class Appender {
  readonly #cache: SessionCache;
  readonly #limits: Limits;
  readonly #now: () => number;
  readonly #spent = new Set<Uint8Array>();
  readonly #insertSegment: Statement;
  readonly #insertQuarantined: Statement;
  readonly #insertBlobRef: Statement;
  readonly #segmentsBetween: Statement<[number, number, number, number], SegmentRow>;
  readonly #quarantinedBetween: Statement<[number, number, number], QuarantineRow>;

  constructor(database: Database, cache: SessionCache, limits: Limits, now: () => number) {
    this.#cache = cache;
    this.#limits = limits;
    this.#now = now;
    this.#insertSegment = database.prepare(
      `INSERT INTO segments (stream_key, first_seq, last_seq, encoding, raw_bytes, sha256, payload)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#insertQuarantined = database.prepare(
      "INSERT INTO quarantine (stream_key, seq, path, reason, event, at) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#insertBlobRef = database.prepare("INSERT OR IGNORE INTO session_blobs (session_key, blob_id) VALUES (?, ?)");
    this.#segmentsBetween = database.prepare(
      `SELECT first_seq, last_seq, encoding, raw_bytes, payload FROM segments
       WHERE stream_key = ? AND first_seq <= ? AND first_seq >= coalesce(
         (SELECT max(first_seq) FROM segments WHERE stream_key = ? AND first_seq <= ?), 0)
       ORDER BY first_seq`,
    );
    this.#quarantinedBetween = database.prepare(
      "SELECT seq, path, reason, event FROM quarantine WHERE stream_key = ? AND seq BETWEEN ? AND ? ORDER BY seq",
    );
  }

  openStream(args: { readonly ref: StreamRef; readonly info: SessionInfo | undefined }): OpenedStream {
    const found = this.#cache.find(args.ref);
    const stream = found ?? this.#cache.create(args.ref, this.#limits);
    this.#cache.setInfo(stream.session, args.info);
    this.#cache.bumpEpoch(stream);
    return { durableSeq: BigInt(stream.durableSeq), epoch: stream.epoch, sealed: stream.session.sealed };
  }

  append(args: AppendArgs): Appended {
    try {
      return this.#append(args);
    } finally {
      this.#spent.add(args.frame);
    }
  }

  /** Gives the frames of a group back, and what they were packed into. */
  release(): void {
    for (const bytes of this.#spent) giveBack(bytes);
    this.#spent.clear();
  }

  #append(args: AppendArgs): Appended {
    const events = wholeEvents(args.frame);
    if (events.length > this.#limits.batchEvents) {
      throw exhausted(
        "BATCH_TOO_LARGE",
        `The batch has ${events.length} events; the limit is ${this.#limits.batchEvents}.`,
      );
    }
    const found = this.#cache.find(args.ref);
    const durable = found?.durableSeq ?? 0;
    if (args.epoch !== undefined && args.epoch !== found?.epoch) throw fenced(args.ref);
    if (args.firstSeq < 1 || args.firstSeq > durable + 1) throw outOfRange(args.firstSeq, durable);

    const resent = Math.min(events.length, durable + 1 - args.firstSeq);
    const known =
      found === undefined || resent <= 0 ? [] : this.#compare(found, args.firstSeq, events.slice(0, resent));
    const fresh = resent <= 0 ? events : events.slice(resent);
    if (fresh.length === 0) {
      return { durableSeq: BigInt(durable), stored: 0, duplicate: events.length, quarantined: 0, problems: known };
    }
    // A stream that begins here may do so in a session that other streams have filled.
    const session = found?.session ?? this.#cache.session(args.ref.project, args.ref.session);
    if (session?.sealed) throw sealed(args.ref);

    const prepared = prepare(args.ref.stream, BigInt(durable + 1), fresh, this.#limits);
    const bytes = (session?.state.bytes ?? 0) + prepared.delta.bytes;
    if (bytes > this.#limits.sessionBytes) {
      throw exhausted(
        "SESSION_TOO_LARGE",
        `The session would have ${bytes} bytes of events; the limit is ${this.#limits.sessionBytes}.`,
      );
    }
    const stream = found ?? this.#cache.create(args.ref, this.#limits);
    this.#cache.setInfo(stream.session, args.info);
    const asSent = resent <= 0 && prepared.problems.length === 0;
    this.#write(stream, asSent ? args.frame : frameOf(prepared.events), fresh, prepared.problems);
    for (const blob of prepared.blobs) this.#insertBlobRef.run(stream.session.key, Buffer.from(blob, "hex"));
    this.#cache.advance(stream, fresh.length, merge(stream.session.state, prepared.delta));
    return {
      durableSeq: BigInt(stream.durableSeq),
      stored: fresh.length - prepared.problems.length,
      duplicate: Math.max(resent, 0),
      quarantined: prepared.problems.length,
      problems: [...known, ...prepared.problems],
    };
  }

  #write(stream: StreamEntry, frame: Frame, fresh: readonly Uint8Array[], problems: readonly Problem[]): void {
    const first = stream.durableSeq + 1;
    const { encoding, payload } = pack(frame);
    this.#spent.add(payload);
    const sha256 = createHash("sha256").update(payload).digest();
    this.#insertSegment.run(
      stream.key,
      first,
      stream.durableSeq + fresh.length,
      encoding,
      frame.length,
      sha256,
      payload,
    );
    for (const problem of problems) {
      const seq = Number(problem.seq);
      this.#insertQuarantined.run(stream.key, seq, problem.path, problem.reason, fresh[seq - first], this.#now());
    }
  }

  /** Compares resent events with what is stored; returns the problems of those that are quarantined. */
  #compare(stream: StreamEntry, firstSeq: number, resent: readonly Uint8Array[]): Problem[] {
    const lastSeq = firstSeq + resent.length - 1;
    const expect = (seq: number, stored: Uint8Array | undefined): void => {
      const sent = resent[seq - firstSeq];
      if (sent !== undefined && stored !== undefined && Buffer.compare(sent, stored) !== 0) throw conflict(seq);
    };
    for (const row of this.#segmentsBetween.all(stream.key, lastSeq, stream.key, firstSeq)) {
      const events = eventsOf(unpack(row.encoding, row.payload, row.raw_bytes));
      for (const [index, event] of events.entries()) expect(row.first_seq + index, event);
    }
    return this.#quarantinedBetween.all(stream.key, firstSeq, lastSeq).map((row) => {
      expect(row.seq, row.event);
      return { seq: BigInt(row.seq), path: row.path, reason: row.reason };
    });
  }
}

interface SegmentRow {
  readonly first_seq: number;
  readonly last_seq: number;
  readonly encoding: number;
  readonly raw_bytes: number;
  readonly payload: Buffer;
}

interface QuarantineRow {
  readonly seq: number;
  readonly path: string;
  readonly reason: string;
  readonly event: Buffer;
}

function wholeEvents(frame: Frame): Uint8Array[] {
  return eventsOf(frame).filter((event) => event !== undefined);
}

function exhausted(reason: string, message: string): AppError {
  return new AppError("resource_exhausted", message, { reason });
}

function fenced(ref: StreamRef): AppError {
  return new AppError("aborted", `A newer connection has taken over stream ${ref.stream} of session ${ref.session}.`, {
    reason: "FENCED",
  });
}

function outOfRange(firstSeq: number, durable: number): AppError {
  return new AppError("out_of_range", `The batch begins at ${firstSeq}; the next sequence number is ${durable + 1}.`, {
    reason: "OUT_OF_RANGE",
    metadata: { expected_seq: String(durable + 1) },
  });
}

function conflict(seq: number): AppError {
  return new AppError("conflict", `Another event is already stored at sequence number ${seq}; nothing was changed.`, {
    reason: "CONFLICT",
    metadata: { seq: String(seq) },
  });
}

function sealed(ref: StreamRef): AppError {
  return new AppError("failed_precondition", `Session ${ref.session} is sealed and takes no more events.`, {
    reason: "SEALED",
  });
}
