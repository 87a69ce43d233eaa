import { createHash } from "node:crypto";
import { readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { create, fromJson, type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { SessionInfoSchema } from "../wire/gen/sluice/v1/ingest_pb.ts";
import type { ClientClock } from "./clock.ts";
import { diskError, errorCode, makeDirectory, syncDirectory, writeDurably } from "./durable-file.ts";
import { ClientError } from "./errors.ts";
import { PushQueue, spoolFull } from "./push-queue.ts";
import type { SealIntent, SessionInfoInit } from "./source.ts";
import { blobIdOf, checkMediaType, SpoolBlobs } from "./spool-blobs.ts";
import type { SpoolBudget } from "./spool-budget.ts";
import { SpoolLog } from "./spool-log.ts";

/** That no event comes any more, and what is to become of the session when all is stored. */
export type Ending = { readonly kind: "seal"; readonly intent: SealIntent } | { readonly kind: "leave open" };

/** What a directory in the spool belongs to. */
export interface SpoolName {
  readonly project: string;
  readonly session: string;
  readonly stream: string;
}

export interface SessionSpoolOptions {
  readonly budget: SpoolBudget;
  readonly clock: ClientClock;
  readonly segmentBytes: number;
}

/** The end of the name of a directory that is being made, and of one that is done with. */
export const UNFINISHED = ".new";
export const DONE = ".done";

/** A fully acknowledged segment is given back from this size on, so that a quiet session keeps little. */
const WORTH_TRIMMING = 64 * 1024;

/**
 * One stream of one session on disk: meta.json says whose, segment files hold the events, blobs/
 * the blobs, and ending.json that it is complete.
 */
export class SessionSpool implements AsyncDisposable {
  readonly name: SpoolName;
  readonly info: SessionInfoInit;
  readonly blobs: SpoolBlobs;
  readonly log: SpoolLog;
  readonly #directory: string;
  readonly #options: SessionSpoolOptions;
  readonly #queue: PushQueue;
  #ending: Ending | undefined;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(directory: string, meta: Meta, parts: Parts, options: SessionSpoolOptions) {
    this.#directory = directory;
    this.name = meta.name;
    this.info = meta.info;
    this.log = parts.log;
    this.blobs = parts.blobs;
    this.#ending = parts.ending;
    this.#options = options;
    this.#queue = new PushQueue(this.log, options.budget, options.clock, (change) => this.#exclusively(change));
  }

  /** Begins a spool for a session that has none here. */
  static async create(
    root: string,
    name: SpoolName,
    info: SessionInfoInit,
    options: SessionSpoolOptions,
  ): Promise<SessionSpool> {
    const directory = join(root, directoryOf(name));
    const unfinished = `${directory}${UNFINISHED}`;
    try {
      await makeDirectory(unfinished);
      const meta = { version: 1, ...name, info: toJson(SessionInfoSchema, create(SessionInfoSchema, info)) };
      await writeDurably(join(unfinished, "meta.json"), Buffer.from(JSON.stringify(meta)));
      await rename(unfinished, directory);
      await syncDirectory(root);
    } catch (error) {
      throw diskError(error, `session ${name.session} could not be begun`);
    }
    return await SessionSpool.open(directory, options);
  }

  /** Takes up what an earlier process left. Fails with `data_loss` SPOOL_CORRUPT. */
  static async open(directory: string, options: SessionSpoolOptions): Promise<SessionSpool> {
    const meta = parseMeta(await readJson(join(directory, "meta.json")), directory);
    const ending = parseEnding(await readJson(join(directory, "ending.json")));
    const blobs = await SpoolBlobs.open(join(directory, "blobs"));
    const log = await SpoolLog.open(directory, options.segmentBytes);
    options.budget.adopt(log.bytes + blobs.bytes);
    return new SessionSpool(directory, meta, { log, blobs, ending }, options);
  }

  get lastSeq(): bigint {
    return this.log.nextSeq - 1n;
  }

  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** See PushQueue.push. */
  async push(event: Uint8Array, maxBlockMs: number): Promise<bigint> {
    return await this.#queue.push(event, maxBlockMs);
  }

  /** Resolves with the blob's id when it is on disk. Fails with `resource_exhausted` SPOOL_FULL after `maxBlockMs`. */
  async putBlob(bytes: Uint8Array, mediaType: string, maxBlockMs: number, signal: AbortSignal): Promise<string> {
    checkMediaType(mediaType);
    const id = blobIdOf(bytes);
    if (this.blobs.has(id)) return id;
    await this.#takeRoom(bytes.length, maxBlockMs, signal);
    return await this.#exclusively(async () => {
      try {
        const known = this.blobs.has(id);
        if (!known) await this.blobs.put(id, bytes, mediaType);
        else this.#options.budget.give(bytes.length);
        return id;
      } catch (error) {
        this.#options.budget.give(bytes.length);
        throw error;
      }
    });
  }

  async removeBlob(id: string): Promise<void> {
    const freed = await this.#exclusively(() => this.blobs.remove(id));
    this.#options.budget.give(freed);
  }

  /** Keeps the end behind what was pushed before, so that a later process goes on with it. */
  async end(ending: Ending): Promise<void> {
    await this.#queue.drained();
    const json = Buffer.from(JSON.stringify(ending, (_, value) => (typeof value === "bigint" ? String(value) : value)));
    await this.#exclusively(() => writeDurably(join(this.#directory, "ending.json"), json));
    this.#ending = ending;
  }

  /** Gives back what the daemon has. */
  async trim(durableSeq: bigint): Promise<void> {
    const freed = await this.#exclusively(async () => {
      const worth = this.#options.budget.pressed ? 1 : Math.min(WORTH_TRIMMING, this.#options.segmentBytes / 4);
      if (durableSeq >= this.lastSeq && this.log.activeBytes >= worth) await this.log.rotate();
      return await this.log.trim(durableSeq);
    });
    this.#options.budget.give(freed);
  }

  /** The daemon has it all: nothing of it stays. */
  async remove(): Promise<void> {
    await this[Symbol.asyncDispose]();
    const done = `${this.#directory}${DONE}`;
    await rename(this.#directory, done);
    await syncDirectory(dirname(done));
    await rm(done, { recursive: true, force: true });
    this.#options.budget.give(this.log.bytes + this.blobs.bytes);
  }

  /** Refuses what is not being written, waits for what is, and leaves the rest on disk. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.close(closed());
    await this.#exclusively(async () => await this.log[Symbol.asyncDispose]());
  }

  async #takeRoom(bytes: number, maxBlockMs: number, signal: AbortSignal): Promise<void> {
    const { budget, clock } = this.#options;
    if (bytes > budget.maxBytes) throw tooLargeForSpool(bytes, budget);
    const late = new AbortController();
    const until = AbortSignal.any([signal, late.signal]);
    let expired = false;
    const timer = clock.sleep(maxBlockMs, until).then(
      () => {
        expired = true;
      },
      () => undefined,
    );
    try {
      for (let room = budget.roomMade; !budget.take(bytes); room = budget.roomMade) {
        if (signal.aborted) throw closed();
        if (expired) throw spoolFull(budget);
        await budget.whilePressed(Promise.race([room, timer]));
      }
    } finally {
      late.abort();
    }
  }

  /** One change of the log or the directory at a time. */
  async #exclusively<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#last.then(change);
    this.#last = result.catch(() => undefined);
    return await result;
  }
}

interface Meta {
  readonly name: SpoolName;
  readonly info: SessionInfoInit;
}

interface Parts {
  readonly log: SpoolLog;
  readonly blobs: SpoolBlobs;
  readonly ending: Ending | undefined;
}

/** A name any file system takes, whatever the ids are, on one that ignores case too. */
export function directoryOf({ project, session, stream }: SpoolName): string {
  return createHash("sha256")
    .update(JSON.stringify([project, session, stream]))
    .digest("hex")
    .slice(0, 40);
}

async function readJson(path: string): Promise<JsonValue | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    if (error instanceof SyntaxError) throw corrupt(path);
    throw diskError(error, `${path} could not be read`);
  }
}

function parseMeta(json: JsonValue | undefined, directory: string): Meta {
  const path = join(directory, "meta.json");
  if (!isObject(json)) throw corrupt(path);
  const { version, project, session, stream, info } = json;
  if (version !== 1) throw corrupt(path);
  if (typeof project !== "string" || typeof session !== "string" || typeof stream !== "string" || !isObject(info)) {
    throw corrupt(path);
  }
  return { name: { project, session, stream }, info: fromJson(SessionInfoSchema, info, { ignoreUnknownFields: true }) };
}

function parseEnding(json: JsonValue | undefined): Ending | undefined {
  if (!isObject(json)) return undefined;
  const { kind, intent } = json;
  if (kind !== "seal" || !isObject(intent)) return { kind: "leave open" };
  const { allowMissingBlobs, streams } = intent;
  const ends = Array.isArray(streams) ? streams.filter(isObject) : [];
  return {
    kind,
    intent: {
      allowMissingBlobs: allowMissingBlobs === true,
      streams: ends.map(({ stream, lastSeq }) => ({ stream: String(stream), lastSeq: BigInt(String(lastSeq)) })),
    },
  };
}

function isObject(json: JsonValue | undefined): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function corrupt(path: string): ClientError {
  return new ClientError("data_loss", `${path} is damaged. Move its directory away to go on without it.`, {
    reason: "SPOOL_CORRUPT",
    metadata: { path },
  });
}

export function tooLargeForSpool(bytes: number, budget: SpoolBudget): ClientError {
  return new ClientError("invalid_argument", `${bytes} bytes do not fit a spool of ${budget.maxBytes}.`, {
    reason: "SPOOL_TOO_SMALL",
  });
}

export function closed(): ClientError {
  return new ClientError("cancelled", "The collector was closed.", { reason: "CLOSED" });
}
