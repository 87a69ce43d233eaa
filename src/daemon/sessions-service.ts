import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { resolveProject } from "../core/auth.ts";
import type { BlobStore } from "../core/blobs/blobs.ts";
import { findOriginal } from "../core/blobs/originals.ts";
import { type Clock, withDeadline } from "../core/clock.ts";
import { AppError } from "../core/errors.ts";
import { checkBlobId, checkId } from "../core/session/ingest.ts";
import type { EventQuery, Session, Store, StoredEvent } from "../core/store/store.ts";
import type {
  ReadBlobRequest,
  ReadEventsRequest,
  SessionsService,
  TailRequest,
} from "../wire/gen/sluice/v1/sessions_pb.ts";
import { SessionStatus } from "../wire/gen/sluice/v1/sessions_pb.ts";
import { callOf, principalOf } from "./call.ts";
import { sessionOf } from "./messages.ts";

export interface SessionsServiceOptions {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly callDeadlineMs: number;
  readonly shutdown: AbortSignal;
}

type PlainMethods = Pick<ServiceImpl<typeof SessionsService>, "getSession" | "listSessions">;

export interface EventPage {
  readonly events: StoredEvent[];
  readonly sealed: boolean;
}

/** sluice.v1.SessionsService over the stores. */
export class SessionsHandlers implements PlainMethods {
  readonly #options: SessionsServiceOptions;

  constructor(options: SessionsServiceOptions) {
    this.#options = options;
  }

  getSession: PlainMethods["getSession"] = async ({ project, session }, context) => {
    return { session: sessionOf(await this.#session(project, session, context)) };
  };

  listSessions: PlainMethods["listSessions"] = async (request, context) => {
    if (request.pageSize > MAX_PAGE) {
      throw new AppError("invalid_argument", `page_size is at most ${MAX_PAGE}.`, { reason: "BAD_PAGE_SIZE" });
    }
    const page = await this.#options.store.listSessions(
      {
        project: resolveProject(principalOf(context), request.project),
        limit: request.pageSize === 0 ? DEFAULT_PAGE : request.pageSize,
        cursor: request.pageToken === "" ? undefined : request.pageToken,
        status: STATUSES.get(request.status),
        sinceMs: request.sinceMs === 0n ? undefined : Number(request.sinceMs),
        untilMs: request.untilMs === 0n ? undefined : Number(request.untilMs),
        labels: request.labels,
        collector: request.collector === "" ? undefined : request.collector,
      },
      this.#deadline(context),
    );
    return { sessions: page.sessions.map(sessionOf), nextPageToken: page.nextCursor ?? "" };
  };

  async *readEvents(request: ReadEventsRequest, context: HandlerContext): AsyncGenerator<EventPage> {
    const session = await this.#session(request.project, request.session, context);
    const stream = request.stream === "" ? undefined : request.stream;
    const fromSeq = request.fromSeq === 0n ? 1n : request.fromSeq;
    let after: EventQuery["after"];
    for (;;) {
      const events = await this.#events({ ...placeOf(session), stream, fromSeq, after, maxBytes: PAGE_BYTES }, context);
      const last = events.at(-1);
      if (last === undefined) return;
      after = { stream: last.stream, seq: last.seq };
      yield* this.#answering(context, { events, sealed: session.seal !== undefined });
    }
  }

  /** Looks at the store a few times a second: it sees what other processes store, and misses nothing. */
  async *tail(request: TailRequest, context: HandlerContext): AsyncGenerator<EventPage> {
    let session = await this.#session(request.project, request.session, context);
    const stop = AbortSignal.any([context.signal, principalOf(context).signal, this.#options.shutdown]);
    const told = new Map<string, bigint>();
    if (request.onlyNew) for (const end of session.streams) told.set(end.stream, end.lastSeq);
    for (;;) {
      for (const { stream, lastSeq } of session.streams) {
        while ((told.get(stream) ?? 0n) < lastSeq) {
          const fromSeq = (told.get(stream) ?? 0n) + 1n;
          const query = { ...placeOf(session), stream, fromSeq, after: undefined, maxBytes: PAGE_BYTES };
          const events = await this.#events(query, context);
          told.set(stream, events.at(-1)?.seq ?? lastSeq);
          if (events.length > 0) yield* this.#answering(context, { events, sealed: false });
        }
      }
      if (session.seal !== undefined) {
        yield { events: [], sealed: true };
        return;
      }
      await this.#options.clock.sleep(TAIL_EVERY_MS, stop);
      session = await this.#session(request.project, request.session, context);
    }
  }

  async *readBlob({ project, blobId }: ReadBlobRequest, context: HandlerContext) {
    const { store, blobs } = this.#options;
    const own = resolveProject(principalOf(context), project);
    checkBlobId(blobId);
    const record = await findOriginal(store, own, blobId, this.#deadline(context));
    let first = true;
    for await (const data of blobs.read(own, blobId, context.signal)) {
      yield* this.#answering(
        context,
        first ? { data, size: BigInt(record.size), mediaType: record.mediaType } : { data, size: 0n, mediaType: "" },
      );
      first = false;
    }
  }

  async #session(project: string, id: string, context: HandlerContext): Promise<Session> {
    const own = resolveProject(principalOf(context), project);
    checkId("session", id);
    const session = await this.#options.store.readSession(own, id, this.#deadline(context));
    if (session === undefined) throw notFound(`There is no session ${id}.`, "SESSION_NOT_FOUND");
    return session;
  }

  async #events(query: EventQuery, context: HandlerContext): Promise<StoredEvent[]> {
    return await this.#options.store.readEvents(query, this.#deadline(context));
  }

  /** Notes while the answer waits for the peer, which must not be for ever. */
  *#answering<T>(context: HandlerContext, message: T): Generator<T> {
    const { watch } = callOf(context);
    watch.answeringSince = performance.now();
    yield message;
    watch.answeringSince = undefined;
    watch.lastAt = performance.now();
  }

  #deadline(context: HandlerContext): AbortSignal {
    return withDeadline(context.signal, this.#options.callDeadlineMs);
  }
}

const DEFAULT_PAGE = 50;
const MAX_PAGE = 1_000;
const PAGE_BYTES = 256 * 1024;
const TAIL_EVERY_MS = 250;

const STATUSES: ReadonlyMap<SessionStatus, "open" | "sealed"> = new Map([
  [SessionStatus.OPEN, "open"],
  [SessionStatus.SEALED, "sealed"],
]);

function placeOf({ project, id }: Session): { readonly project: string; readonly session: string } {
  return { project, session: id };
}

function notFound(message: string, reason: string): AppError {
  return new AppError("not_found", message, { reason });
}
