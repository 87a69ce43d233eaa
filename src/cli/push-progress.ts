import type { ClientError, UploadProgress, UploadSummary } from "../client/index.ts";
import { systemClock } from "../core/clock.ts";
import type { AppError } from "../core/errors.ts";
import type { Recording } from "../core/import/importer.ts";
import { EXIT, EXIT_CODES } from "./exit-code.ts";
import { counted, showBytes } from "./format.ts";
import { type Fields, type Output, printable } from "./output.ts";

/** One stream on its way. Disposing it before it is stored counts what got through. */
export interface PushTask extends Disposable {
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
  readonly #active = new Set<Tally>();
  readonly #sums: Tally = emptyTally();
  readonly #sealed = new Set<string>();
  readonly #done = new Set<string>();
  #streams = 0;
  #failedSessions = 0;
  readonly #failures: AppError[] = [];
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
    const tally = emptyTally();
    let resumedFrom: bigint | undefined;
    const update = (state: UploadProgress) => {
      // The first word is what the daemon had before.
      resumedFrom ??= state.durableSeq;
      tally.known = Number(resumedFrom);
      tally.quarantined = state.quarantined;
      tally.stored = Number(state.durableSeq - resumedFrom) - state.quarantined;
      tally.compared = state.compared;
      tally.blobsSent = state.blobsSent;
      tally.blobsKnown = state.blobsKnown;
      tally.eventBytes = state.eventBytesSent;
    };
    this.#active.add(tally);
    return {
      update,
      stored: async (summary) => {
        update(summary);
        this.#streams += 1;
        await this.#tell(recording, tally, summary);
      },
      [Symbol.dispose]: () => {
        this.#active.delete(tally);
        addTo(this.#sums, tally);
      },
    };
  }

  /** All streams of the session are stored. */
  finished(session: string): void {
    this.#done.add(session);
  }

  /** A session, or a path with recordings, failed for good. */
  async failed(what: { readonly session: string } | { readonly path: string }, error: AppError): Promise<void> {
    this.#failures.push(error);
    if ("session" in what) this.#failedSessions += 1;
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
    const unfinished = Math.max(0, this.#total - this.#done.size - this.#failedSessions);
    await this.#output.record("summary", {
      sessions: this.#done.size,
      failed: this.#failures.length,
      unfinished,
      sealed: this.#sealed.size,
      streams: this.#streams,
      ...fieldsOf(this.#sums),
    });
    const words = [counted(this.#done.size, "session"), wordsOf(this.#sums)];
    if (this.#failures.length > 0) words.push(`${this.#failures.length} failed`);
    if (unfinished > 0) words.push(`${counted(unfinished, "session")} unfinished`);
    this.#output.note(words.join(", "));
    return this.#exitCode();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#ticking;
    this.#output.clearStatus();
  }

  #exitCode(): number {
    if (this.#failures.length === 0) {
      if (this.#total === 0) return EXIT.nothingMatched;
      return this.#sums.quarantined === 0 ? EXIT.done : EXIT.partly;
    }
    if (this.#streams > 0) return EXIT.partly;
    const codes = new Set(this.#failures.map(({ code }) => EXIT_CODES[code]));
    const [only = EXIT.failed] = codes;
    return codes.size === 1 ? only : EXIT.failed;
  }

  async #tell({ session, stream, eventCount }: Recording, tally: Tally, summary: UploadSummary): Promise<void> {
    const sealed = summary.sealed !== undefined;
    if (sealed) this.#sealed.add(session);
    await this.#output.record("recording", {
      session,
      stream,
      events: eventCount,
      ...fieldsOf(tally),
      durable_seq: summary.durableSeq,
      reconnects: summary.reconnects,
      sealed,
      missing_blobs: summary.sealed?.missingBlobs.length,
      quarantined: summary.problems.map(({ seq, path, reason }) => ({ seq, path, reason })),
    });
    await this.#output.line(`${session}/${stream}  ${wordsOf(tally)}, ${sealed ? "sealed" : "open"}`);
    for (const { seq, path, reason } of summary.problems.slice(0, PROBLEMS_TOLD)) {
      this.#output.note(`quarantined ${session}/${stream} ${seq}: ${[path, printable(reason)].join(" ").trim()}`);
    }
    const more = summary.quarantined - PROBLEMS_TOLD;
    if (more > 0) this.#output.note(`and ${more} more: sluice sessions show ${session}`);
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
    const sums = { ...this.#sums };
    for (const tally of this.#active) addTo(sums, tally);
    const events = sums.stored + sums.known + sums.quarantined;
    const done = `${this.#done.size}/${this.#total} sessions`;
    return `${done}  ${counted(events, "event")}  ${counted(sums.blobsSent, "blob")}  ${showBytes(sums.eventBytes)} of events sent`;
  }
}

/** Events and blobs, as the daemon acknowledged them. */
interface Tally {
  stored: number;
  /** On the daemon's disk before. */
  known: number;
  /** Of these, compared byte for byte. */
  compared: number;
  quarantined: number;
  blobsSent: number;
  blobsKnown: number;
  /** Given to connections, resends among them. */
  eventBytes: number;
}

function emptyTally(): Tally {
  return { stored: 0, known: 0, compared: 0, quarantined: 0, blobsSent: 0, blobsKnown: 0, eventBytes: 0 };
}

function addTo(sum: Tally, more: Tally): void {
  sum.stored += more.stored;
  sum.known += more.known;
  sum.compared += more.compared;
  sum.quarantined += more.quarantined;
  sum.blobsSent += more.blobsSent;
  sum.blobsKnown += more.blobsKnown;
  sum.eventBytes += more.eventBytes;
}

function fieldsOf({ stored, known, compared, quarantined, blobsSent, blobsKnown }: Tally): Fields {
  return {
    events_stored: stored,
    events_known: known,
    events_compared: compared,
    events_quarantined: quarantined,
    blobs_sent: blobsSent,
    blobs_known: blobsKnown,
  };
}

function wordsOf({ stored, known, compared, quarantined, blobsSent, blobsKnown }: Tally): string {
  const words = [`${counted(stored, "event")} stored`];
  if (known > 0) words.push(`${known} stored before${compared > 0 ? " and compared" : ""}`);
  if (quarantined > 0) words.push(`${quarantined} quarantined`);
  words.push(`${counted(blobsSent, "blob")} sent`);
  if (blobsKnown > 0) words.push(`${blobsKnown} known`);
  return words.join(", ");
}
