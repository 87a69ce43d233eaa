import type { ClientError, UploadProgress, UploadSummary } from "../client/index.ts";
import { systemClock } from "../core/clock.ts";
import type { AppError } from "../core/errors.ts";
import type { Recording } from "../core/import/importer.ts";
import { EXIT, EXIT_CODES } from "./exit-code.ts";
import { counted, showBytes } from "./format.ts";
import { type Output, printable } from "./output.ts";

/** One stream on its way. */
export interface PushTask {
  update(state: UploadProgress): void;
  /** All of it is on the daemon's disk. */
  stored(summary: UploadSummary): Promise<void>;
}

const STATUS_EVERY_MS = 200;
const LINE_EVERY_MS = 30_000;
const RETRY_EVERY_MS = 5_000;
const PROBLEMS_TOLD = 10;

/**
 * Tells how a push goes and adds up what it did: a line on stdout for each stream, a line that
 * renews itself on stderr, or one every 30 s where stderr is no terminal. Dispose it to end that.
 */
export class PushProgress implements AsyncDisposable {
  readonly #output: Output;
  readonly #total: number;
  readonly #active = new Map<Recording, UploadProgress | undefined>();
  readonly #sums = { streams: 0, stored: 0, known: 0, quarantined: 0, blobsSent: 0, blobsKnown: 0, eventBytes: 0 };
  readonly #sealed = new Set<string>();
  readonly #done = new Set<string>();
  readonly #failures: (AppError | ClientError)[] = [];
  readonly #closing = new AbortController();
  readonly #ticking: Promise<void>;
  #toldRetryAtMs = 0;

  /** `total` is how many sessions there are. */
  constructor(output: Output, total: number) {
    this.#output = output;
    this.#total = total;
    this.#ticking = this.#tick();
  }

  begin(recording: Recording): PushTask {
    this.#active.set(recording, undefined);
    return {
      update: (state) => this.#active.set(recording, state),
      stored: (summary) => this.#stored(recording, summary),
    };
  }

  /** All streams of the session are stored. */
  finished(session: string): void {
    this.#done.add(session);
  }

  /** A session, or a path with recordings, failed for good. */
  async failed(
    what: { readonly session: string } | { readonly path: string },
    error: AppError | ClientError,
  ): Promise<void> {
    this.#failures.push(error);
    const { code, reason, message, metadata } = error;
    await this.#output.record("failure", { ...what, code, reason, message, metadata });
    const name = "session" in what ? what.session : what.path;
    this.#output.note(`failed ${name}: ${printable(message, "\n")}`);
  }

  retrying(error: ClientError, waitMs: number): void {
    const now = systemClock.now();
    if (now - this.#toldRetryAtMs < RETRY_EVERY_MS) return;
    this.#toldRetryAtMs = now;
    const seconds = (waitMs / 1000).toFixed(1);
    this.#output.note(`${printable(error.message)} (${error.reason}); trying again in ${seconds} s`);
  }

  /** Tells the sum, and gives the exit code. */
  async finish(): Promise<number> {
    const { streams, stored, known, quarantined, blobsSent, blobsKnown } = this.#sums;
    const notTried = Math.max(0, this.#total - this.#done.size - this.#failures.length);
    await this.#output.record("summary", {
      sessions: this.#done.size,
      failed: this.#failures.length,
      not_tried: notTried,
      sealed: this.#sealed.size,
      streams,
      events_stored: stored,
      events_known: known,
      events_quarantined: quarantined,
      blobs_sent: blobsSent,
      blobs_known: blobsKnown,
    });
    const words = [counted(this.#done.size, "session"), `${counted(stored, "event")} stored`];
    if (known > 0) words.push(`${known} stored before`);
    words.push(`${counted(blobsSent, "blob")} sent`);
    if (blobsKnown > 0) words.push(`${blobsKnown} known`);
    if (quarantined > 0) words.push(`${quarantined} quarantined`);
    if (this.#failures.length > 0) words.push(`${this.#failures.length} failed`);
    if (notTried > 0) words.push(`${counted(notTried, "session")} not tried`);
    this.#output.note(words.join(", "));
    return this.#exitCode();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#ticking;
    this.#output.clearStatus();
  }

  #exitCode(): number {
    const { quarantined, streams } = this.#sums;
    if (this.#failures.length === 0) {
      if (this.#total === 0) return EXIT.nothingMatched;
      return quarantined === 0 ? EXIT.done : EXIT.partly;
    }
    if (streams > 0) return EXIT.partly;
    const codes = new Set(this.#failures.map(({ code }) => EXIT_CODES[code]));
    const [only = EXIT.failed] = codes;
    return codes.size === 1 ? only : EXIT.failed;
  }

  async #stored({ session, stream, ...recording }: Recording, summary: UploadSummary): Promise<void> {
    for (const active of this.#active.keys()) {
      if (active.session === session && active.stream === stream) this.#active.delete(active);
    }
    const known = Number(summary.resumedFrom);
    const stored = Number(summary.durableSeq) - known - summary.quarantined;
    const sealed = summary.sealed !== undefined;
    this.#add(summary, stored, known);
    if (sealed) this.#sealed.add(session);
    await this.#output.record("recording", {
      session,
      stream,
      events: recording.eventCount,
      events_stored: stored,
      events_known: known,
      events_quarantined: summary.quarantined,
      blobs_sent: summary.blobsSent,
      blobs_known: summary.blobsKnown,
      durable_seq: summary.durableSeq,
      reconnects: summary.reconnects,
      sealed,
      missing_blobs: summary.sealed?.missingBlobs.length,
      quarantined: summary.problems.map(({ seq, path, reason }) => ({ seq, path, reason })),
    });
    const words = [`${counted(stored, "event")} stored`];
    if (known > 0) words.push(`${known} stored before`);
    words.push(`${counted(summary.blobsSent, "blob")} sent`);
    if (summary.blobsKnown > 0) words.push(`${summary.blobsKnown} known`);
    if (summary.quarantined > 0) words.push(`${summary.quarantined} quarantined`);
    words.push(sealed ? "sealed" : "open");
    await this.#output.line(`${session}/${stream}  ${words.join(", ")}`);
    for (const { seq, path, reason } of summary.problems.slice(0, PROBLEMS_TOLD)) {
      this.#output.note(`quarantined ${session}/${stream} ${seq}: ${[path, printable(reason)].join(" ").trim()}`);
    }
    const more = summary.quarantined - PROBLEMS_TOLD;
    if (more > 0) this.#output.note(`and ${more} more: sluice sessions show ${session}`);
  }

  #add(summary: UploadSummary, stored: number, known: number): void {
    this.#sums.streams += 1;
    this.#sums.stored += stored;
    this.#sums.known += known;
    this.#sums.quarantined += summary.quarantined;
    this.#sums.blobsSent += summary.blobsSent;
    this.#sums.blobsKnown += summary.blobsKnown;
    this.#sums.eventBytes += summary.eventBytesSent;
  }

  async #tick(): Promise<void> {
    const { signal } = this.#closing;
    const terminal = this.#output.status("");
    while (!signal.aborted) {
      try {
        await systemClock.sleep(terminal ? STATUS_EVERY_MS : LINE_EVERY_MS, signal);
      } catch {
        // Only closing ends the sleep early.
        return;
      }
      if (terminal) this.#output.status(this.#line());
      else this.#output.note(this.#line());
    }
  }

  #line(): string {
    let { stored, known, blobsSent, eventBytes } = this.#sums;
    for (const state of this.#active.values()) {
      if (state === undefined) continue;
      stored += Number(state.durableSeq);
      blobsSent += state.blobsSent;
      eventBytes += state.eventBytesSent;
    }
    const sessions = `${this.#done.size}/${this.#total} sessions`;
    return `${sessions}  ${counted(stored + known, "event")}  ${counted(blobsSent, "blob")}  ${showBytes(eventBytes)} of events sent`;
  }
}
