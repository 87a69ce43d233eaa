import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { ErrorInfoSchema, RetryInfoSchema } from "../../src/wire/gen/google/rpc/error_details_pb.ts";
import { type UploadRequest, UploadRequestSchema } from "../../src/wire/gen/sluice/opaque/v1/opaque_pb.ts";
import {
  type BlobChunk,
  IngestService,
  type SealSession,
  type StreamRef,
  type UploadResponse,
  UploadResponseSchema,
} from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { opaqueUpload } from "../../src/wire/opaque.ts";

/** What the daemon is told to do wrong, or slowly. */
export interface Mischief {
  creditBytes: number;
  limits: { messageBytes: bigint; eventBytes: bigint; batchEvents: number; blobBytes: bigint } | undefined;
  /** Answers Open with this instead. */
  refuseOpen: (() => ConnectError | undefined) | undefined;
  /** Looks at each frame before it is taken: "drop" breaks every connection, "swallow" ignores it. */
  onFrame: ((request: UploadRequest) => "drop" | "swallow" | ConnectError | undefined) | undefined;
  /** Nothing is acknowledged until this resolves. */
  holdAcks: Promise<void> | undefined;
  /** A blob chunk is refused with this. */
  refuseChunk: ((chunk: BlobChunk) => string | undefined) | undefined;
  /** Never answers Open. */
  deaf: boolean;
}

export interface StoredStream {
  readonly events: Uint8Array[];
  epoch: number;
  duplicates: number;
}

/** A daemon that keeps the Store's contract in memory, to the letter, on a real HTTP/2 server. */
export class StrictDaemon implements AsyncDisposable {
  readonly streams = new Map<string, StoredStream>();
  readonly sessions = new Map<string, { sealed: SealSession | undefined }>();
  readonly blobs = new Map<string, { data: Buffer; stored: boolean }>();
  readonly mischief: Mischief = {
    creditBytes: 8 * 1024 * 1024,
    limits: undefined,
    refuseOpen: undefined,
    onFrame: undefined,
    holdAcks: undefined,
    refuseChunk: undefined,
    deaf: false,
  };
  opens = 0;
  chunks = 0;
  batches = 0;
  /** The most bytes of frames ever unacknowledged, and how often that was above the credit. */
  mostUnacked = 0;
  overCredit = 0;
  /** HTTP/2 streams that are not closed on both sides. */
  openStreams = 0;
  readonly invalid = new Set<bigint>();
  readonly authorizations: (string | null)[] = [];
  #server: Http2Server;
  #connections = new Set<ServerHttp2Session>();
  #port = 0;

  private constructor(server: Http2Server) {
    this.#server = server;
  }

  static async start(port = 0): Promise<StrictDaemon> {
    const daemon = new StrictDaemon(createServer());
    await daemon.listen(port);
    return daemon;
  }

  /** Serves on the port it had. */
  async listen(port = this.#port): Promise<void> {
    this.#server = createServer(connectNodeAdapter({ routes: (router) => this.#routes(router) }));
    this.#server.on("session", (session: ServerHttp2Session) => {
      this.#connections.add(session);
      session.on("error", () => this.#connections.delete(session));
      session.on("close", () => this.#connections.delete(session));
    });
    this.#server.on("stream", (stream) => {
      this.openStreams += 1;
      stream.on("close", () => {
        this.openStreams -= 1;
      });
    });
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
    const address = this.#server.address();
    if (typeof address === "object" && address !== null) this.#port = address.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Breaks every connection as a dying machine would. */
  drop(): void {
    for (const session of this.#connections) session.destroy();
  }

  /** Stops listening and breaks every connection; what is stored stays. */
  async stop(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.drop();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.stop();
  }

  stream(session: string, stream = "main"): StoredStream {
    const key = `${session}/${stream}`;
    let found = this.streams.get(key);
    if (found === undefined) {
      found = { events: [], epoch: 0, duplicates: 0 };
      this.streams.set(key, found);
    }
    return found;
  }

  #session(id: string): { sealed: SealSession | undefined } {
    let found = this.sessions.get(id);
    if (found === undefined) {
      found = { sealed: undefined };
      this.sessions.set(id, found);
    }
    return found;
  }

  #routes(router: ConnectRouter): void {
    router.rpc(opaqueUpload, (requests, context) => {
      this.authorizations.push(context.requestHeader.get("authorization"));
      return this.#upload(requests, context.signal);
    });
    router.rpc(IngestService.method.missingBlobs, ({ blobIds }) => ({
      missing: blobIds
        .filter((id) => this.blobs.get(id)?.stored !== true)
        .map((id) => ({ blobId: id, received: BigInt(this.blobs.get(id)?.data.length ?? 0) })),
    }));
  }

  async *#upload(requests: AsyncIterable<UploadRequest>, signal: AbortSignal): AsyncGenerator<UploadResponse> {
    const iterator = requests[Symbol.asyncIterator]();
    const first = await iterator.next();
    if (first.done === true || first.value.frame.case !== "open") throw fail(Code.InvalidArgument, "EXPECTED_OPEN");
    const ref = first.value.frame.value.stream;
    if (ref === undefined) throw fail(Code.InvalidArgument, "STREAM_REF");
    this.opens += 1;
    if (this.mischief.deaf) {
      await aborted(signal);
      return;
    }
    const refusal = this.mischief.refuseOpen?.();
    if (refusal !== undefined) throw refusal;
    const stored = this.stream(ref.session, ref.stream || "main");
    const epoch = ++stored.epoch;
    yield response({
      case: "opened",
      value: {
        durableSeq: BigInt(stored.events.length),
        creditBytes: BigInt(this.mischief.creditBytes),
        sealed: this.#session(ref.session).sealed !== undefined,
        ...(this.mischief.limits === undefined ? {} : { limits: this.mischief.limits }),
      },
    });
    yield* this.#frames(iterator, ref, stored, epoch, signal);
  }

  /** Reads on while acks are held, as the credit allows the sender to go on. */
  async *#frames(
    iterator: AsyncIterator<UploadRequest>,
    ref: StreamRef,
    stored: StoredStream,
    epoch: number,
    signal: AbortSignal,
  ): AsyncGenerator<UploadResponse> {
    const answers: UploadResponse[] = [];
    let unacked = 0;
    const read = () => {
      const reading = iterator.next();
      // Read ahead of need: when the connection breaks meanwhile, nobody awaits this one.
      reading.catch(() => undefined);
      return reading;
    };
    let next = read();
    for (;;) {
      const held = this.mischief.holdAcks;
      const event = await Promise.race([
        next.then((result) => ({ result })),
        ...(held !== undefined && answers.length > 0 ? [held.then(() => undefined)] : []),
      ]);
      if (event === undefined) {
        if (this.mischief.holdAcks === held) this.mischief.holdAcks = undefined;
        unacked = 0;
        yield* answers.splice(0);
        continue;
      }
      if (event.result.done === true) break;
      const request = event.result.value;
      next = read();
      unacked += toBinary(UploadRequestSchema, request).length;
      if (request.frame.case !== "seal") this.#noteUnacked(unacked);
      const order = this.mischief.onFrame?.(request);
      if (order === "drop") {
        this.drop();
        await aborted(signal);
        return;
      }
      if (order === "swallow") continue;
      if (order !== undefined) throw order;
      if (stored.epoch !== epoch) throw fail(Code.Aborted, "FENCED");
      answers.push(this.#take(request, ref, stored));
      if (this.mischief.holdAcks === undefined) {
        unacked = 0;
        yield* answers.splice(0);
      }
    }
    yield* answers;
  }

  #noteUnacked(unacked: number): void {
    this.mostUnacked = Math.max(this.mostUnacked, unacked);
    if (unacked > this.mischief.creditBytes) this.overCredit += 1;
  }

  #take(request: UploadRequest, ref: StreamRef, stored: StoredStream): UploadResponse {
    const { frame } = request;
    switch (frame.case) {
      case "events":
        this.batches += 1;
        this.append(ref.session, stored, frame.value.firstSeq, frame.value.events);
        return this.#ack(stored, {
          quarantined: frame.value.events
            .map((_, index) => frame.value.firstSeq + BigInt(index))
            .filter((seq) => this.invalid.has(seq))
            .map((seq) => ({ seq, path: "type", reason: "required" })),
        });
      case "blobChunk":
        this.chunks += 1;
        return this.#ack(stored, { blobs: [this.#write(frame.value)] });
      case "seal":
        return response({ case: "sealed", value: this.#seal(ref.session, frame.value) });
      default:
        throw fail(Code.InvalidArgument, "FRAME");
    }
  }

  #ack(stored: StoredStream, more: { quarantined?: object[]; blobs?: object[] }): UploadResponse {
    return response({
      case: "ack",
      value: {
        durableSeq: BigInt(stored.events.length),
        creditBytes: BigInt(this.mischief.creditBytes),
        ...more,
      },
    });
  }

  append(session: string, stored: StoredStream, firstSeq: bigint, events: readonly Uint8Array[]): void {
    const first = Number(firstSeq);
    if (first > stored.events.length + 1) {
      throw fail(Code.OutOfRange, "OUT_OF_RANGE", { expected_seq: String(stored.events.length + 1) });
    }
    events.forEach((event, index) => {
      const known = stored.events[first - 1 + index];
      if (known !== undefined && Buffer.compare(known, event) !== 0) {
        throw fail(Code.AlreadyExists, "CONFLICT", { seq: String(first + index) });
      }
    });
    if (this.#session(session).sealed !== undefined && first - 1 + events.length > stored.events.length) {
      throw fail(Code.FailedPrecondition, "SEALED");
    }
    events.forEach((event, index) => {
      if (first - 1 + index < stored.events.length) stored.duplicates += 1;
      else stored.events.push(event.slice());
    });
  }

  #write(chunk: BlobChunk): { blobId: string; received: bigint; stored?: boolean; error?: string } {
    const { blobId } = chunk;
    if (chunk.size < 1n || chunk.data.length === 0) return { blobId, received: 0n, error: "BAD_CHUNK" };
    const blob = this.blobs.get(blobId) ?? { data: Buffer.alloc(0), stored: false };
    this.blobs.set(blobId, blob);
    const received = () => BigInt(blob.data.length);
    if (blob.stored) return { blobId, received: received(), stored: true };
    const refusal = this.mischief.refuseChunk?.(chunk);
    if (refusal !== undefined) return { blobId, received: received(), error: refusal };
    if (chunk.offset !== received()) return { blobId, received: received(), error: "BLOB_OFFSET" };
    blob.data = Buffer.concat([blob.data, chunk.data]);
    if (received() < chunk.size) return { blobId, received: received() };
    if (createHash("sha256").update(blob.data).digest("hex") !== blobId) {
      blob.data = Buffer.alloc(0);
      return { blobId, received: 0n, error: "BLOB_MISMATCH" };
    }
    blob.stored = true;
    return { blobId, received: received(), stored: true };
  }

  #seal(id: string, seal: SealSession): { version: bigint; sealedAtMs: bigint } {
    const session = this.#session(id);
    const ends = seal.streams.map(({ stream, lastSeq }) => `${stream}=${lastSeq}`).sort();
    const here = [...this.streams]
      .filter(([key]) => key.startsWith(`${id}/`))
      .map(([key, { events }]) => `${key.slice(id.length + 1)}=${events.length}`)
      .sort();
    if (ends.join() !== here.join()) throw fail(Code.FailedPrecondition, "STREAMS_DIFFER", { streams: here.join() });
    session.sealed ??= seal;
    return { version: 1n, sealedAtMs: 1n };
  }
}

/** An error as the daemon makes it. */
export function fail(
  code: Code,
  reason: string,
  metadata: Record<string, string> = {},
  retryAfterMs?: number,
): ConnectError {
  const info = { desc: ErrorInfoSchema, value: { domain: "sluice", reason, metadata } };
  if (retryAfterMs === undefined) return new ConnectError(reason, code, undefined, [info]);
  const retryDelay = { seconds: BigInt(Math.floor(retryAfterMs / 1000)), nanos: (retryAfterMs % 1000) * 1_000_000 };
  return new ConnectError(reason, code, undefined, [info, { desc: RetryInfoSchema, value: { retryDelay } }]);
}

function response(frame: MessageInitShape<typeof UploadResponseSchema>["frame"]): UploadResponse {
  return create(UploadResponseSchema, frame === undefined ? {} : { frame });
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
