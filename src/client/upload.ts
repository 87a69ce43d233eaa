import { setImmediate as nextTurn } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import type { UploadRequestSchema } from "../wire/gen/sluice/opaque/v1/opaque_pb.ts";
import { type Ack, IngestService, type Opened, type UploadResponse } from "../wire/gen/sluice/v1/ingest_pb.ts";
import { opaqueUpload } from "../wire/opaque.ts";
import { BlobLane } from "./blob-lane.ts";
import type { ClientClock } from "./clock.ts";
import { ClientError } from "./errors.ts";
import { EventLane } from "./event-lane.ts";
import { Silence } from "./silence.ts";
import type { SealIntent, UploadObserver, UploadSource } from "./source.ts";
import { ended, type Phase, silent, unexpected } from "./upload-phase.ts";
import { Wake } from "./wake.ts";
import { Window } from "./window.ts";

export interface UploadOptions {
  readonly clock: ClientClock;
  readonly random: () => number;
  /** Until the daemon has answered Open. */
  readonly connectTimeoutMs: number;
  /** Without a word from the daemon while something waits for one. */
  readonly idleTimeoutMs: number;
  /** The largest frame, unless an event alone is larger. */
  readonly frameBytes: number;
}

/**
 * One connection: Open, then events and blobs within the daemon's credit, then Seal if the source
 * asks for it. Resolves when the source has ended and all of it is on the daemon's disk. Fails with
 * a ClientError, IDLE if the daemon went silent; whatever was acknowledged stays so.
 */
export async function uploadOnce(
  transport: Transport,
  source: UploadSource,
  observer: UploadObserver,
  options: UploadOptions,
  signal: AbortSignal,
): Promise<void> {
  await new Upload(transport, source, observer, options).run(signal);
}

type Frame = MessageInitShape<typeof UploadRequestSchema>;

const BATCH_EVENTS = 200;
const UNARY_TIMEOUT_MS = 30_000;
/** For the daemon to end a call in which all is said. */
const ENDING_TIMEOUT_MS = 2_000;
/** What the daemon's defaults are, for one that does not tell. */
const DEFAULT_MESSAGE_BYTES = 4 * 1024 * 1024;
const DEFAULT_BLOB_BYTES = 256 * 1024 * 1024;
/** With less room than this (or a quarter of the credit), a blob waits for more. */
/** Batches of events in a row while a blob waits. */
const EVENTS_PER_BLOB = 8;
const SMALLEST_CHUNK = 16 * 1024;

class Upload {
  readonly #transport: Transport;
  readonly #source: UploadSource;
  readonly #observer: UploadObserver;
  readonly #options: UploadOptions;
  readonly #wake = new Wake();
  readonly #window = new Window();
  readonly #silence: Silence;
  readonly #call = new AbortController();
  readonly #tasks: Promise<void>[] = [];
  #eventRun = 0;
  #phase: Phase = "opening";
  #failure: ClientError | undefined;
  #events: EventLane | undefined;
  #blobs: BlobLane | undefined;
  #durableSeq = 0n;
  #frameBytes = 0;

  constructor(transport: Transport, source: UploadSource, observer: UploadObserver, options: UploadOptions) {
    this.#transport = transport;
    this.#source = source;
    this.#observer = observer;
    this.#options = options;
    this.#silence = new Silence(options.clock, () => this.#patience());
  }

  async run(signal: AbortSignal): Promise<void> {
    const cancel = () => this.#fail(new ClientError("cancelled", "The upload was cancelled.", { reason: "CANCELLED" }));
    if (signal.aborted) cancel();
    signal.addEventListener("abort", cancel, { once: true });
    this.#spawn(this.#watch());
    try {
      await this.#receive();
    } catch (error) {
      this.#fail(error);
    } finally {
      signal.removeEventListener("abort", cancel);
      this.#stop();
      await Promise.all(this.#tasks);
    }
    // When all is stored and sealed, it does not matter how the connection ends.
    if (this.#failure !== undefined && this.#phase !== "ending") throw this.#failure;
  }

  async #receive(): Promise<void> {
    const response = await this.#transport.stream(opaqueUpload, this.#call.signal, undefined, undefined, this.#send());
    for await (const message of response.message) {
      this.#silence.broken();
      this.#take(message);
      this.#wake.ring();
    }
    if (this.#phase !== "ending") throw ended();
  }

  #take(message: UploadResponse): void {
    const { frame } = message;
    switch (frame.case) {
      case "opened":
        this.#begin(frame.value);
        break;
      case "ack":
        this.#acknowledge(frame.value);
        break;
      case "sealed":
        if (this.#phase !== "sealing") throw unexpected("Sealed");
        this.#end();
        this.#observer.sealed(frame.value);
        break;
      case undefined:
        // A frame of a newer daemon; what matters to this client it says in the ones above.
        break;
    }
  }

  #begin(opened: Opened): void {
    if (this.#phase !== "opening") throw unexpected("Opened");
    const { limits } = opened;
    this.#observer.opened({ durableSeq: opened.durableSeq, sealed: opened.sealed, limits });
    this.#durableSeq = opened.durableSeq;
    this.#window.credit = Number(opened.creditBytes);
    const messageBytes = Number(limits?.messageBytes ?? 0) || DEFAULT_MESSAGE_BYTES;
    this.#frameBytes = Math.min(this.#options.frameBytes, messageBytes);
    const events = new EventLane(
      opened.durableSeq + 1n,
      {
        events: Math.min(BATCH_EVENTS, limits?.batchEvents || BATCH_EVENTS),
        bytes: this.#frameBytes,
        messageBytes,
      },
      this.#wake,
    );
    const { clock, random } = this.#options;
    const blobs = new BlobLane(
      { clock, random, blobBytes: Number(limits?.blobBytes ?? 0) || DEFAULT_BLOB_BYTES },
      this.#window,
      this.#wake,
      this.#observer,
      (ids, signal) => this.#findMissing(ids, signal),
      (error) => this.#fail(error),
    );
    this.#events = events;
    this.#blobs = blobs;
    this.#phase = "sending";
    this.#spawn(events.fill(this.#source.events(opened.durableSeq + 1n, this.#call.signal), this.#call.signal));
    this.#spawn(blobs.fill(this.#source.blobs(this.#call.signal), this.#call.signal));
  }

  #acknowledge(ack: Ack): void {
    if (this.#phase === "opening") throw unexpected("Ack");
    this.#window.credit = Number(ack.creditBytes);
    if (ack.durableSeq > this.#durableSeq) this.#durableSeq = ack.durableSeq;
    this.#window.ackEvents(this.#durableSeq);
    if (ack.quarantined.length > 0) this.#observer.quarantined(ack.quarantined);
    this.#observer.acked(this.#durableSeq);
    for (const status of ack.blobs) this.#blobs?.moved(status, this.#call.signal);
  }

  /** The request stream; pulled when HTTP/2 has taken the frame before. */
  async *#send(): AsyncGenerator<Frame> {
    const { ref, info } = this.#source;
    yield {
      frame: {
        case: "open",
        value: {
          stream: { project: ref.project ?? "", session: ref.session, stream: ref.stream ?? "" },
          ...(info === undefined ? {} : { session: info }),
        },
      },
    };
    for (;;) {
      const rung = this.#wake.rung;
      if (this.#call.signal.aborted || this.#phase === "ending") return;
      const frame = this.#nextFrame();
      if (frame !== undefined) {
        yield frame;
        continue;
      }
      if (this.#call.signal.aborted || this.#finished()) return;
      await rung;
      // Lets the source go on to the end of what it has at hand, so that batches are not of one event.
      await nextTurn();
    }
  }

  #nextFrame(): Frame | undefined {
    if (this.#phase !== "sending") return undefined;
    if (!this.#wantsEvents()) return this.#blobFrame() ?? this.#sealFrame();
    // A source that always has a full batch must not keep blobs from ever being sent.
    const blob = this.#eventRun < EVENTS_PER_BLOB ? undefined : this.#blobFrame();
    this.#eventRun = blob === undefined ? this.#eventRun + 1 : 0;
    return blob ?? this.#eventFrame();
  }

  /** There is a full batch, or a smaller one while nothing is under way or no more will come. */
  #wantsEvents(): boolean {
    const lane = this.#events;
    if (lane === undefined || lane.empty) return false;
    return lane.full || lane.ended || this.#window.eventBytes === 0;
  }

  /** As many events as there is room for. While the first has no room, no blob may take it. */
  #eventFrame(): Frame | undefined {
    const lane = this.#events;
    const room = this.#window.room;
    if (lane === undefined || !this.#window.fits(lane.peekBytes(room))) return undefined;
    const batch = lane.take(room);
    this.#startWaiting();
    this.#window.chargeEvents(batch.lastSeq, batch.bytes);
    this.#observer.sent(batch.events.length, batch.bytes);
    return { frame: { case: "events", value: { firstSeq: batch.firstSeq, events: [...batch.events] } } };
  }

  /** Blobs take at most half of the credit while there may be events, so that events never wait long. */
  #blobFrame(): Frame | undefined {
    const lane = this.#blobs;
    if (lane === undefined || !lane.waiting || this.#window.credit === 0) return undefined;
    const share = this.#events?.done ? this.#window.credit : this.#window.credit / 2;
    const room = Math.floor(Math.min(this.#frameBytes, this.#window.room, share - this.#window.blobBytes));
    if (room < Math.min(SMALLEST_CHUNK, this.#window.credit / 4) && this.#window.unacked > 0) return undefined;
    const chunk = lane.take(room);
    if (chunk === undefined) return undefined;
    this.#startWaiting();
    this.#window.chargeBlob(chunk.blob.id, chunk.offset + chunk.data.length, chunk.bytes);
    const { id, size, mediaType } = chunk.blob;
    const value = { blobId: id, size: BigInt(size), offset: BigInt(chunk.offset), data: chunk.data, mediaType };
    return { frame: { case: "blobChunk", value } };
  }

  #sealFrame(): Frame | undefined {
    if (!this.#allStored()) return undefined;
    if (this.#blobs?.refused !== undefined) {
      this.#fail(this.#blobs.refused);
      return undefined;
    }
    const intent = this.#source.seal(this.#lastSeq);
    if (intent === undefined) return undefined;
    this.#phase = "sealing";
    this.#silence.restart();
    return { frame: { case: "seal", value: this.#sealOf(intent) } };
  }

  #sealOf(intent: SealIntent) {
    const own = { stream: this.#source.ref.stream ?? "main", lastSeq: this.#lastSeq };
    const others = (intent.streams ?? []).filter((end) => end.stream !== own.stream);
    return { streams: [own, ...others], allowMissingBlobs: intent.allowMissingBlobs ?? false };
  }

  #finished(): boolean {
    if (this.#phase === "sending" && this.#allStored()) this.#end();
    return this.#phase === "ending";
  }

  #end(): void {
    this.#phase = "ending";
    this.#silence.restart();
  }

  #allStored(): boolean {
    if (this.#events === undefined || this.#blobs === undefined) return false;
    return this.#events.done && this.#blobs.done && this.#window.unacked === 0 && this.#durableSeq >= this.#lastSeq;
  }

  get #lastSeq(): bigint {
    return (this.#events?.nextSeq ?? 1n) - 1n;
  }

  async #findMissing(ids: readonly string[], signal: AbortSignal) {
    const { ref } = this.#source;
    const response = await this.#transport.unary(
      IngestService.method.missingBlobs,
      signal,
      UNARY_TIMEOUT_MS,
      undefined,
      { project: ref.project ?? "", session: ref.session, blobIds: [...ids] },
    );
    return response.message.missing;
  }

  /** The wait for the daemon's next word begins with the first frame it has to answer. */
  #startWaiting(): void {
    if (this.#window.unacked === 0) this.#silence.restart();
  }

  async #watch(): Promise<void> {
    const ms = await this.#silence.lasted(this.#call.signal);
    if (ms !== undefined) this.#fail(silent(this.#phase, ms));
  }

  /** How long the daemon may be silent; undefined while it owes nothing. */
  #patience(): number | undefined {
    const { connectTimeoutMs, idleTimeoutMs } = this.#options;
    if (this.#phase === "opening") return connectTimeoutMs;
    if (this.#phase === "ending") return Math.min(idleTimeoutMs, ENDING_TIMEOUT_MS);
    const blocked = this.#window.credit === 0 && (this.#wantsEvents() || this.#blobs?.waiting === true);
    return this.#phase === "sealing" || this.#window.unacked > 0 || blocked ? idleTimeoutMs : undefined;
  }

  #spawn(task: Promise<void>): void {
    this.#tasks.push(task.catch((error: unknown) => this.#fail(error)));
  }

  /** The first failure is the one that counts. */
  #fail(error: unknown): void {
    if (this.#call.signal.aborted) return;
    this.#failure ??= ClientError.from(error);
    this.#stop();
  }

  #stop(): void {
    this.#call.abort(new ConnectError("the client ended the upload", Code.Canceled));
    this.#blobs?.close();
    this.#wake.ring();
  }
}
