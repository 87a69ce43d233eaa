import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { QuarantinedEvent } from "../wire/gen/sluice/v1/ingest_pb.ts";
import { type ClientClock, systemClock } from "./clock.ts";
import { CollectorSession } from "./collector-session.ts";
import { diskError } from "./durable-file.ts";
import { ClientError } from "./errors.ts";
import type { ResumeOptions } from "./resume.ts";
import type { SessionContext, SessionStatus } from "./session-context.ts";
import { closed, DONE, directoryOf, SessionSpool, type SessionSpoolOptions, UNFINISHED } from "./session-spool.ts";
import { Slots } from "./slots.ts";
import type { SessionInfoInit } from "./source.ts";
import { SpoolBudget } from "./spool-budget.ts";
import { lockSpool } from "./spool-lock.ts";
import { createLink, type LinkOptions } from "./transport.ts";

export interface CollectorOptions extends LinkOptions, ResumeOptions {
  /** Where unsent events wait; made if absent; one collector at a time. */
  readonly spoolDir: string;
  /** Of events and blobs of all sessions together; 256 MiB by default. */
  readonly maxSpoolBytes?: number;
  /** Left out: the key's own. */
  readonly project?: string;
  /** How long a connection with nothing to send stays; 10 s by default. */
  readonly lingerMs?: number;
  /** A session's state changed. Must not throw. */
  readonly onState?: (status: SessionStatus) => void;
  /** The daemon kept these events aside as invalid. Told again when they were sent again. Must not throw. */
  readonly onQuarantined?: (session: string, stream: string, events: readonly QuarantinedEvent[]) => void;
}

export interface SessionRequest {
  /** 1 to 128 characters of [A-Za-z0-9._:-], beginning with a letter or digit. */
  readonly id: string;
  /** "main" by default. */
  readonly stream?: string;
  /** Kept when the session is begun; ignored for one that is in the spool. */
  readonly info?: SessionInfoInit;
}

export interface CollectorStatus {
  readonly spoolBytes: number;
  readonly maxSpoolBytes: number;
  readonly sessions: readonly SessionStatus[];
  /** Directories of the spool that could not be opened; they are left as they are. */
  readonly damaged: readonly ClientError[];
}

const MAX_SPOOL_BYTES = 256 * 1024 * 1024;
const SEGMENT_BYTES = 4 * 1024 * 1024;
const SMALLEST_SEGMENT_BYTES = 4096;
const LINGER_MS = 10_000;
/** Sessions of earlier processes that are sent at a time. */
const RECOVERED_AT_ONCE = 8;
const ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
const SPOOL_DIRECTORY = /^[0-9a-f]{40}$/;

/**
 * What a program that records sessions embeds. Events and blobs go to a bounded spool on disk and
 * from there to the daemon; the daemon may be away, and this process may die at any moment, without
 * losing or doubling what was pushed.
 */
export class Collector implements AsyncDisposable {
  readonly #project: string;
  readonly #spoolDir: string;
  readonly #context: SessionContext;
  readonly #spoolOptions: SessionSpoolOptions;
  readonly #resources: AsyncDisposableStack;
  readonly #closing = new AbortController();
  readonly #sessions = new Map<string, Promise<CollectorSession>>();
  readonly #opened = new Map<string, CollectorSession>();
  readonly #running = new Set<Promise<void>>();
  readonly #damaged: ClientError[] = [];

  private constructor(options: CollectorOptions, context: SessionContext, resources: AsyncDisposableStack) {
    this.#project = options.project ?? "";
    this.#spoolDir = options.spoolDir;
    this.#context = context;
    this.#resources = resources;
    const { budget, clock } = context;
    const segmentBytes = Math.max(SMALLEST_SEGMENT_BYTES, Math.min(SEGMENT_BYTES, Math.floor(budget.maxBytes / 16)));
    this.#spoolOptions = { budget, clock, segmentBytes };
  }

  /**
   * Locks the spool and goes on with every session an earlier process left in it. The daemon need
   * not be there. Fails with `locked` SPOOL_LOCKED, naming the process that has it, or with
   * `invalid_argument` BAD_URL.
   */
  static async open(options: CollectorOptions): Promise<Collector> {
    await using resources = new AsyncDisposableStack();
    const link = resources.use(createLink(options));
    resources.use(await lockSpool(options.spoolDir));
    const collector = new Collector(options, contextOf(options, link), resources.move());
    try {
      await collector.#recover();
      return collector;
    } catch (error) {
      await collector.close();
      throw error;
    }
  }

  /**
   * Begins a session, or takes up what is in the spool of it. Asking again for the same session and
   * stream gives the same object. Fails with `invalid_argument` SESSION_ID.
   */
  async session({ id, stream = "main", info = {} }: SessionRequest): Promise<CollectorSession> {
    if (this.#closing.signal.aborted) throw closed();
    checkId(id);
    checkId(stream);
    const name = { project: this.#project, session: id, stream };
    const directory = directoryOf(name);
    const known = this.#sessions.get(directory);
    if (known !== undefined) return (await known).hold();
    return await this.#register(directory, async () => {
      const begun = await SessionSpool.create(this.#spoolDir, name, info, this.#spoolOptions);
      return new CollectorSession(begun, this.#context).hold();
    });
  }

  status(): CollectorStatus {
    return {
      spoolBytes: this.#context.budget.usedBytes,
      maxSpoolBytes: this.#context.budget.maxBytes,
      sessions: [...this.#opened.values()].map(({ status }) => status),
      damaged: this.#damaged,
    };
  }

  /** Stops sending and taking; what is unsent stays in the spool for the next to open it. */
  async close(): Promise<void> {
    this.#closing.abort(closed());
    await Promise.allSettled(this.#sessions.values());
    await Promise.all(this.#running);
    await this.#resources.disposeAsync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #recover(): Promise<void> {
    for (const name of await readdir(this.#spoolDir)) {
      const path = join(this.#spoolDir, name);
      if (name.endsWith(UNFINISHED) || name.endsWith(DONE)) await rm(path, { recursive: true, force: true });
      else if (SPOOL_DIRECTORY.test(name) && (await stat(path)).isDirectory()) await this.#takeUp(name, path);
    }
  }

  /** One damaged session does not keep the others from being sent. */
  async #takeUp(directory: string, path: string): Promise<void> {
    try {
      await this.#register(directory, async () => {
        return new CollectorSession(await SessionSpool.open(path, this.#spoolOptions), this.#context);
      });
    } catch (error) {
      this.#damaged.push(diskError(error, `${path} could not be opened`));
    }
  }

  async #register(directory: string, open: () => Promise<CollectorSession>): Promise<CollectorSession> {
    const opening = open();
    this.#sessions.set(directory, opening);
    try {
      const session = await opening;
      this.#opened.set(directory, session);
      const running = session.run(this.#closing.signal).then(() => {
        this.#running.delete(running);
        if (this.#closing.signal.aborted) return;
        this.#sessions.delete(directory);
        this.#opened.delete(directory);
      });
      this.#running.add(running);
      return session;
    } catch (error) {
      this.#sessions.delete(directory);
      throw error;
    }
  }
}

function contextOf(options: CollectorOptions, link: SessionContext["link"]): SessionContext {
  const clock: ClientClock = options.clock ?? systemClock;
  const random = options.random ?? Math.random;
  return {
    link,
    budget: new SpoolBudget(options.maxSpoolBytes ?? MAX_SPOOL_BYTES),
    clock,
    random,
    resume: options,
    slots: new Slots(RECOVERED_AT_ONCE),
    lingerMs: options.lingerMs ?? LINGER_MS,
    limits: undefined,
    onState: (status) => options.onState?.(status),
    onQuarantined: (session, stream, events) => options.onQuarantined?.(session, stream, events),
  };
}

function checkId(id: string): void {
  if (ID.test(id)) return;
  throw new ClientError(
    "invalid_argument",
    "An id has 1 to 128 characters of A-Z, a-z, 0-9 and ._:- and begins with a letter or digit.",
    { reason: "SESSION_ID" },
  );
}
