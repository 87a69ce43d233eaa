import type { Sealed } from "../wire/gen/sluice/v1/ingest_pb.ts";
import { checkBlob, type EventInit, encodeEvent } from "./admission.ts";
import { ClientError } from "./errors.ts";
import { watermarkAhead } from "./recording.ts";
import { type ResumeObserver, uploadResuming } from "./resume.ts";
import type { SessionContext, SessionPhase, SessionStatus } from "./session-context.ts";
import { closed, type Ending, type SessionSpool } from "./session-spool.ts";
import { stopsPushing, stopsUntilChanged, watermarkBehind } from "./session-stops.ts";
import type { SealIntent, SourceBlob, UploadObserver, UploadOpened, UploadSource } from "./source.ts";
import { unlessAborted, Wake } from "./wake.ts";

const MAX_BLOCK_MS = 1000;
/** For what only a person can mend, such as a key: the mean wait between two attempts. */
const SLOW_RETRY_MS = 30_000;

/** One stream of one session: what is pushed goes to the spool, and from there to the daemon. */
export class CollectorSession {
  readonly id: string;
  readonly stream: string;
  readonly #spool: SessionSpool;
  readonly #context: SessionContext;
  readonly #changed = new Wake();
  readonly #closing = new AbortController();
  /** Blobs given to the connection, and those of them the daemon has and the spool still too. */
  readonly #given = new Set<string>();
  readonly #stored = new Set<string>();
  #phase: SessionPhase = "idle";
  #error: ClientError | undefined;
  #retryAtMs: number | undefined;
  #durableSeq: bigint;
  #quarantined = 0;
  #complete: boolean;
  #outcome: Outcome | undefined;
  /** Somebody in this process may push. */
  #held = false;
  /** The connection is ending because there was nothing to send for a while. */
  #leaving = false;
  #tidying: Promise<void> = Promise.resolve();

  constructor(spool: SessionSpool, context: SessionContext) {
    this.id = spool.name.session;
    this.stream = spool.name.stream;
    this.#spool = spool;
    this.#context = context;
    this.#durableSeq = spool.log.firstSeq - 1n;
    this.#complete = spool.ending !== undefined;
  }

  /** The seq the next event gets. */
  get nextSeq(): bigint {
    return this.#spool.log.nextSeq;
  }

  /** The last seq known to be on the daemon's disk. */
  get durableSeq(): bigint {
    return this.#durableSeq;
  }

  get status(): SessionStatus {
    return {
      session: this.id,
      stream: this.stream,
      phase: this.#phase,
      nextSeq: this.nextSeq,
      durableSeq: this.#durableSeq,
      blobs: this.#spool.blobs.all.length,
      quarantined: this.#quarantined,
      cutBytes: this.#spool.log.cutBytes,
      error: this.#error,
      retryAtMs: this.#retryAtMs,
    };
  }

  /**
   * Resolves with the event's seq when it is in the spool, on disk. Waits at most `maxBlockMs`
   * (1000) for room or for the disk to be done with earlier ones, then fails with
   * `resource_exhausted` SPOOL_FULL or SPOOL_SLOW. An event that fails takes no seq. Events keep the
   * order of the calls. Encoded bytes must not be changed before it resolves.
   */
  async push(event: EventInit | Uint8Array, { maxBlockMs = MAX_BLOCK_MS } = {}): Promise<bigint> {
    this.#checkOpen();
    const bytes = encodeEvent(event, this.#context);
    const seq = await this.#spool.push(bytes, maxBlockMs);
    this.#nudge();
    return seq;
  }

  /**
   * Resolves with the blob's id, for an event's screenshot, when its bytes are in the spool. Waits
   * for room as `push` does.
   */
  async putBlob(bytes: Uint8Array, mediaType: string, { maxBlockMs = MAX_BLOCK_MS } = {}): Promise<string> {
    this.#checkAlive();
    checkBlob(bytes, this.#context.limits);
    const id = await this.#spool.putBlob(bytes, mediaType, maxBlockMs, this.#closing.signal);
    this.#nudge();
    return id;
  }

  /**
   * Says that the session is complete, on disk, and resolves when the daemon has sealed it. No event
   * can be pushed from here on. Fails with MISSING_BLOBS or STREAMS_DIFFER if the daemon refuses
   * (then it may be called again, after more blobs or with other options), with what stopped the
   * session, or when the signal aborts; the wish stays and is carried out when it can be.
   */
  async seal(intent: SealIntent = {}, signal?: AbortSignal): Promise<Sealed> {
    const outcome = await this.#finish({ kind: "seal", intent }, signal);
    if (outcome.kind === "sealed") return outcome.sealed;
    throw new ClientError("failed_precondition", `Stream ${this.stream} of session ${this.id} was ended unsealed.`, {
      reason: "ENDED",
    });
  }

  /**
   * Says that this stream is complete, on disk, and resolves when all of it is on the daemon's disk
   * and the spool has forgotten it. The session stays open: the collector of another stream seals it.
   */
  async end(signal?: AbortSignal): Promise<void> {
    await this.#finish({ kind: "leave open" }, signal);
  }

  /** Resolves when all that is in the spool now is on the daemon's disk. Fails with what stopped the session. */
  async flush(signal?: AbortSignal): Promise<void> {
    const lastSeq = this.#spool.lastSeq;
    const blobs = this.#spool.blobs.all.map(({ id }) => id);
    const stored = () => this.#durableSeq >= lastSeq && blobs.every((id) => !this.#spool.blobs.has(id));
    await this.#until(() => this.#outcome !== undefined || stored(), signal);
  }

  /** Somebody holds the session: its connection may stay for what is pushed next. */
  hold(): this {
    this.#held = true;
    return this;
  }

  /** Sends until the stream has ended or the signal aborts. Never rejects: see `status`. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#outcome === undefined) {
      const changed = this.#changed.rung;
      if (this.#phase === "stopped" || !this.#hasWork) {
        await unlessAborted(changed, signal).catch(() => undefined);
      } else {
        await this.#send(signal).catch((error: unknown) => this.#failed(ClientError.from(error), signal));
      }
    }
    await this.#close();
  }

  async #send(signal: AbortSignal): Promise<void> {
    using _slot = this.#held ? undefined : await this.#context.slots.take(signal);
    this.#leaving = false;
    this.#given.clear();
    await uploadResuming(this.#context.link, this.#source(), this.#observer(), this.#context.resume, signal);
    await this.#tidying;
    if (this.#spool.ending?.kind === "leave open" && !this.#hasUnsent) this.#outcome = { kind: "ended" };
    if (this.#outcome === undefined) this.#enter("idle");
  }

  async #finish(ending: Ending, signal: AbortSignal | undefined): Promise<Outcome> {
    if (this.#outcome !== undefined) return this.#outcome;
    this.#checkAlive();
    this.#complete = true;
    await this.#spool.end(ending);
    this.#nudge();
    await this.#until(() => this.#outcome !== undefined, signal);
    if (this.#outcome === undefined) throw closed();
    return this.#outcome;
  }

  async #failed(error: ClientError, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    if (stopsPushing(error) || stopsUntilChanged(error)) return this.#enter("stopped", error);
    const waitMs = (error.retryAfterMs ?? 0) + Math.floor(SLOW_RETRY_MS * (0.5 + this.#context.random()));
    this.#enter("waiting", error, waitMs);
    await this.#context.clock.sleep(waitMs, signal).catch(() => undefined);
  }

  async #close(): Promise<void> {
    this.#closing.abort(closed());
    try {
      await this.#tidying;
      if (this.#outcome === undefined) await this.#spool[Symbol.asyncDispose]();
      else {
        await this.#spool.remove();
        this.#enter(this.#outcome.kind);
      }
    } catch (error) {
      this.#enter(this.#outcome?.kind ?? "stopped", ClientError.from(error));
    }
    this.#changed.ring();
  }

  #source(): UploadSource {
    return {
      ref: this.#spool.name,
      info: this.#spool.info,
      events: (fromSeq, signal) => this.#spool.log.read(fromSeq, () => this.#more(signal)),
      blobs: (signal) => this.#unsentBlobs(signal),
      seal: (lastSeq) => {
        const complete = lastSeq === this.#spool.lastSeq && this.#unstored.length === 0;
        const { ending } = this.#spool;
        return complete && ending?.kind === "seal" ? ending.intent : undefined;
      },
    };
  }

  #observer(): UploadObserver & ResumeObserver {
    return {
      connecting: () => this.#enter("connecting"),
      waiting: (error, waitMs) => this.#enter("waiting", error, waitMs),
      opened: (opened) => this.#opened(opened),
      sent: () => undefined,
      acked: (durableSeq) => this.#acked(durableSeq),
      quarantined: (events) => {
        this.#quarantined += events.length;
        this.#context.onQuarantined(this.id, this.stream, events);
      },
      blobStored: (id) => {
        this.#stored.add(id);
        this.#tidy(() => this.#removeBlob(id));
      },
      sealed: (sealed) => {
        this.#outcome = { kind: "sealed", sealed };
      },
    };
  }

  #opened({ durableSeq, limits }: UploadOpened): void {
    if (durableSeq > this.#spool.lastSeq) throw watermarkAhead(this.#spool.name, durableSeq);
    if (durableSeq + 1n < this.#spool.log.firstSeq) throw watermarkBehind(durableSeq, this.#spool.log.firstSeq);
    this.#context.limits = limits ?? this.#context.limits;
    this.#enter("open");
    this.#acked(durableSeq);
  }

  #acked(durableSeq: bigint): void {
    if (durableSeq > this.#durableSeq) {
      this.#durableSeq = durableSeq;
      this.#tidy(() => this.#spool.trim(this.#durableSeq));
    }
    this.#changed.ring();
  }

  /** Gives room in the spool back, one thing at a time. */
  #tidy(work: () => Promise<void>): void {
    this.#tidying = this.#tidying.then(work).then(
      () => this.#changed.ring(),
      (error: unknown) => this.#enter(this.#phase, ClientError.from(error)),
    );
  }

  async #removeBlob(id: string): Promise<void> {
    await this.#spool.removeBlob(id);
    this.#given.delete(id);
    this.#stored.delete(id);
  }

  /** At the end of the log: whether to look again. A held session's connection lingers. */
  async #more(signal: AbortSignal): Promise<boolean> {
    const changed = this.#changed.rung;
    if (this.#ending || signal.aborted) return false;
    const lingering = new AbortController();
    const lingered = this.#context.clock
      .sleep(this.#context.lingerMs, AbortSignal.any([signal, lingering.signal]))
      .then(() => false)
      .catch(() => !signal.aborted);
    const look = await Promise.race([changed.then(() => true), lingered]);
    lingering.abort();
    if (!look) {
      this.#leaving = true;
      this.#changed.ring();
    }
    return look;
  }

  async *#unsentBlobs(signal: AbortSignal): AsyncGenerator<SourceBlob> {
    while (!signal.aborted) {
      const changed = this.#changed.rung;
      for (const blob of this.#unstored) {
        if (this.#given.has(blob.id)) continue;
        this.#given.add(blob.id);
        yield blob;
      }
      if (this.#ending) return;
      await unlessAborted(changed, signal).catch(() => undefined);
    }
  }

  /** The connection takes what is in the spool now and no more. */
  get #ending(): boolean {
    return this.#leaving || !this.#held || this.#spool.ending !== undefined;
  }

  get #hasWork(): boolean {
    return this.#spool.ending !== undefined || this.#hasUnsent;
  }

  get #hasUnsent(): boolean {
    return this.#durableSeq < this.#spool.lastSeq || this.#unstored.length > 0;
  }

  get #unstored(): SourceBlob[] {
    return this.#spool.blobs.all.filter(({ id }) => !this.#stored.has(id));
  }

  /** Something is there to send; what stopped until something changes goes on. */
  #nudge(): void {
    if (this.#phase === "stopped" && this.#error !== undefined && stopsUntilChanged(this.#error)) {
      this.#enter("idle");
    }
    this.#changed.ring();
  }

  #enter(phase: SessionPhase, error?: ClientError, waitMs?: number): void {
    this.#phase = phase;
    this.#error = error;
    this.#retryAtMs = waitMs === undefined ? undefined : this.#context.clock.now() + waitMs;
    this.#context.onState(this.status);
    this.#changed.ring();
  }

  async #until(done: () => boolean, signal: AbortSignal | undefined): Promise<void> {
    const until = signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]);
    for (let changed = this.#changed.rung; !done(); changed = this.#changed.rung) {
      if (this.#phase === "stopped" && this.#error !== undefined) throw this.#error;
      await unlessAborted(changed, until).catch((error: unknown) => {
        if (!done()) throw ClientError.from(error);
      });
    }
  }

  #checkAlive(): void {
    if (this.#phase === "stopped" && this.#error !== undefined && stopsPushing(this.#error)) throw this.#error;
    if (this.#closing.signal.aborted) throw closed();
  }

  #checkOpen(): void {
    this.#checkAlive();
    if (!this.#complete) return;
    throw new ClientError("failed_precondition", `Session ${this.id} is complete and takes no more events.`, {
      reason: "SEALED",
    });
  }
}

/** How a stream ended. */
type Outcome = { readonly kind: "sealed"; readonly sealed: Sealed } | { readonly kind: "ended" };
