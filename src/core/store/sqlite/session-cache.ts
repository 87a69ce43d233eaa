import type { Database, Statement } from "better-sqlite3";
import { AppError } from "../../errors.ts";
import type { Limits } from "../../limits.ts";
import { EMPTY_STATE, type SessionState } from "../../session/state.ts";
import type { SessionInfo, StreamRef } from "../store.ts";
import { printPage, type SessionRow, stateOf } from "./rows.ts";

/** A session the writer has in hand. Only the cache changes it. */
export interface SessionEntry {
  readonly key: number;
  readonly sealed: boolean;
  hasInfo: boolean;
  state: SessionState;
}

/** A stream the writer has in hand. Only the cache changes it. */
export interface StreamEntry {
  readonly key: number;
  readonly session: SessionEntry;
  durableSeq: number;
  epoch: number;
}

/**
 * The sessions and streams the writer works on, so that a batch reads no row. Changes stay in
 * memory until `flush`, which writes each touched row once, in the group's transaction. What
 * another process commits, and a rollback, make it forget everything. Holds at most MAX_STREAMS.
 */
export class SessionCache {
  readonly #streams = new Map<string, StreamEntry>();
  readonly #sessions = new Map<string, SessionEntry>();
  readonly #dirtyStreams = new Set<StreamEntry>();
  readonly #dirtySessions = new Set<SessionEntry>();
  readonly #now: () => number;
  readonly #sql: ReturnType<typeof statements>;

  constructor(database: Database, now: () => number) {
    this.#now = now;
    this.#sql = statements(database);
  }

  find(ref: StreamRef): StreamEntry | undefined {
    const name = streamName(ref);
    const cached = this.#streams.get(name);
    if (cached !== undefined) return cached;
    const session = this.session(ref.project, ref.session);
    const row = session && this.#sql.stream.get(session.key, ref.stream);
    if (session === undefined || row === undefined) return undefined;
    return this.#keep(name, { key: row.key, session, durableSeq: row.durable_seq, epoch: row.epoch });
  }

  /** Creates the stream, and its project and session if they are absent. Checks the limits on both first. */
  create(ref: StreamRef, limits: Limits): StreamEntry {
    const session = this.session(ref.project, ref.session) ?? this.#createSession(ref, limits);
    if (session.sealed) {
      throw new AppError("failed_precondition", `Session ${ref.session} is sealed and takes no new stream.`, {
        reason: "SEALED",
      });
    }
    const streams = this.#sql.countStreams.get(session.key)?.count ?? 0;
    if (streams >= limits.streamsPerSession) {
      throw new AppError("resource_exhausted", `Session ${ref.session} has ${streams} streams, which is the limit.`, {
        reason: "TOO_MANY_STREAMS",
      });
    }
    const key = Number(this.#sql.insertStream.run(session.key, ref.stream).lastInsertRowid);
    this.#dirtySessions.add(session);
    return this.#keep(streamName(ref), { key, session, durableSeq: 0, epoch: 0 });
  }

  #createSession(ref: StreamRef, limits: Limits): SessionEntry {
    const now = this.#now();
    this.#sql.insertProject.run(ref.project, now);
    const open = this.#sql.openSessions.get(ref.project)?.open_sessions ?? 0;
    if (open >= limits.openSessionsPerProject) {
      throw new AppError(
        "resource_exhausted",
        `The project has ${open} open sessions, which is the limit. Seal those that are complete.`,
        { reason: "TOO_MANY_OPEN_SESSIONS", retryAfterMs: 60_000 },
      );
    }
    const key = Number(this.#sql.insertSession.run(ref.project, ref.session, now, now).lastInsertRowid);
    this.#sql.opened.run(1, ref.project);
    const session: SessionEntry = { key, sealed: false, hasInfo: false, state: EMPTY_STATE };
    this.#sessions.set(sessionName(ref.project, ref.session), session);
    return session;
  }

  /** A session in hand or in the store; undefined when there is none. */
  session(project: string, id: string): SessionEntry | undefined {
    const name = sessionName(project, id);
    const cached = this.#sessions.get(name);
    if (cached !== undefined) return cached;
    const row = this.#sql.session.get(project, id);
    if (row === undefined) return undefined;
    const session: SessionEntry = {
      key: row.key,
      sealed: row.status === "sealed",
      hasInfo: row.info !== null,
      state: stateOf(row),
    };
    this.#sessions.set(name, session);
    return session;
  }

  setInfo(entry: SessionEntry, info: SessionInfo | undefined): void {
    if (info === undefined || entry.hasInfo) return;
    this.#sql.setInfo.run(info.collector, JSON.stringify(info), entry.key);
    for (const { name, value } of info.labels) this.#sql.insertLabel.run(entry.key, name, value);
    entry.hasInfo = true;
    this.#dirtySessions.add(entry);
  }

  bumpEpoch(stream: StreamEntry): void {
    stream.epoch += 1;
    this.#dirtyStreams.add(stream);
  }

  advance(stream: StreamEntry, events: number, state: SessionState): void {
    stream.durableSeq += events;
    stream.session.state = state;
    this.#dirtyStreams.add(stream);
    this.#dirtySessions.add(stream.session);
  }

  /** Writes what has changed. To be called before the group commits. */
  flush(): void {
    const now = this.#now();
    for (const stream of this.#dirtyStreams) this.#sql.updateStream.run(stream.durableSeq, stream.epoch, stream.key);
    for (const { key, state } of this.#dirtySessions) {
      this.#sql.updateSession.run(
        now,
        state.events,
        state.quarantined,
        state.bytes,
        JSON.stringify(state.types),
        state.firstMs ?? null,
        state.lastMs ?? null,
        printPage(state.page),
        key,
      );
    }
    this.#dirtyStreams.clear();
    this.#dirtySessions.clear();
  }

  /** Keeps within the bound. Only after a commit: what is dropped is read again. */
  trim(): void {
    if (this.#streams.size > MAX_STREAMS || this.#sessions.size > MAX_STREAMS) this.forget();
  }

  forget(): void {
    this.#streams.clear();
    this.#sessions.clear();
    this.#dirtyStreams.clear();
    this.#dirtySessions.clear();
  }

  #keep(name: string, stream: StreamEntry): StreamEntry {
    this.#streams.set(name, stream);
    return stream;
  }
}

const MAX_STREAMS = 10_000;

function sessionName(project: string, id: string): string {
  return `${project}/${id}`;
}

function streamName(ref: StreamRef): string {
  return `${ref.project}/${ref.session}/${ref.stream}`;
}

function statements(database: Database) {
  const prepare = <Params extends unknown[], Row = unknown>(sql: string): Statement<Params, Row> =>
    database.prepare(sql);
  return {
    session: prepare<[string, string], SessionRow>("SELECT * FROM sessions WHERE project = ? AND id = ?"),
    stream: prepare<[number, string], { key: number; durable_seq: number; epoch: number }>(
      "SELECT key, durable_seq, epoch FROM streams WHERE session_key = ? AND id = ?",
    ),
    countStreams: prepare<[number], { count: number }>("SELECT count(*) AS count FROM streams WHERE session_key = ?"),
    openSessions: prepare<[string], { open_sessions: number }>("SELECT open_sessions FROM projects WHERE id = ?"),
    insertProject: prepare<[string, number]>("INSERT OR IGNORE INTO projects (id, created_at) VALUES (?, ?)"),
    opened: prepare<[number, string]>("UPDATE projects SET open_sessions = open_sessions + ? WHERE id = ?"),
    insertSession: prepare<[string, string, number, number]>(
      "INSERT INTO sessions (project, id, created_at, updated_at) VALUES (?, ?, ?, ?)",
    ),
    insertStream: prepare<[number, string]>("INSERT INTO streams (session_key, id) VALUES (?, ?)"),
    setInfo: prepare<[string, string, number]>("UPDATE sessions SET collector = ?, info = ? WHERE key = ?"),
    insertLabel: prepare<[number, string, string]>(
      "INSERT OR IGNORE INTO session_labels (session_key, name, value) VALUES (?, ?, ?)",
    ),
    updateStream: prepare<[number, number, number]>("UPDATE streams SET durable_seq = ?, epoch = ? WHERE key = ?"),
    updateSession: prepare<(number | string | null)[]>(
      `UPDATE sessions SET version = version + 1, updated_at = ?, events = ?, quarantined = ?, bytes = ?, types = ?,
       first_ms = ?, last_ms = ?, page = ? WHERE key = ?`,
    ),
  };
}
