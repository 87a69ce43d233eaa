import { systemClock } from "../core/clock.ts";
import type { AppError } from "../core/errors.ts";
import type { WorkerEvents } from "../core/jobs/events.ts";
import type { ClaimedJob, Settlement } from "../core/store/jobs.ts";
import { EXIT } from "./exit-code.ts";
import { counted } from "./format.ts";
import { type Output, printable } from "./output.ts";

const STATUS_EVERY_MS = 200;
const LINE_EVERY_MS = 30_000;

/**
 * Tells what a worker does: a record on stdout for each attempt with `--json`, a line on stderr for
 * each that did not end well, and how many ended: renewed on a terminal, every 30 s elsewhere.
 */
export class WorkProgress implements WorkerEvents, AsyncDisposable {
  readonly #output: Output;
  readonly #ended: Record<Settlement["outcome"] | "lost", number> = {
    ...{ done: 0, retry: 0, snooze: 0, discard: 0, cancelled: 0, lost: 0 },
  };
  readonly #closing = new AbortController();
  readonly #ticking: Promise<void>;
  readonly #line: () => string;
  #told = Promise.resolve();

  /** `line` says how it goes, where jobs that ended don't say it best. */
  constructor(output: Output, line?: () => string) {
    this.#output = output;
    this.#line = line ?? (() => this.#counts());
    this.#ticking = this.#tick();
  }

  settled(job: ClaimedJob, outcome: Settlement["outcome"], seconds: number, failure: AppError | undefined): void {
    this.#ended[outcome] += 1;
    this.#record(job, outcome, seconds, failure);
    if (failure === undefined) return;
    const what = outcome === "discard" ? "dead" : outcome;
    this.#output.note(`${what} ${nameOf(job)}: ${printable(failure.message, "\n")} (${failure.reason})`);
  }

  leaseLost(job: ClaimedJob, seconds: number): void {
    this.#ended.lost += 1;
    this.#record(job, "lost", seconds, undefined);
    this.#output.note(`lost ${nameOf(job)}: it is another worker's by now; its result was dropped (LEASE_LOST)`);
  }

  storeFailed(operation: string, { message, reason }: AppError): void {
    this.#output.note(`${operation}: ${printable(message, "\n")} (${reason}); trying again`);
  }

  hostFailed({ message }: AppError): void {
    this.#output.note(`${printable(message, "\n")} Trying again.`);
  }

  swept({ rescued, dead, pruned }: Parameters<WorkerEvents["swept"]>[0]): void {
    if (rescued > 0) this.#output.note(`${counted(rescued, "job")} of workers that are gone can be run again`);
    if (dead > 0) this.#output.note(`${counted(dead, "job")} lost too often: dead (LOST_TOO_OFTEN)`);
    if (pruned > 0) this.#output.note(`${counted(pruned, "old job")} deleted`);
  }

  /** Tells the sum; the exit code says whether jobs are dead. */
  async finish(): Promise<number> {
    await this.#told;
    const { discard, ...ended } = this.#ended;
    await this.#output.record("summary", { ...ended, dead: discard });
    this.#output.note(this.#line());
    return discard > 0 ? EXIT.partly : EXIT.done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#ticking;
    this.#output.clearStatus();
  }

  #record(job: ClaimedJob, outcome: string, seconds: number, failure: AppError | undefined): void {
    const { job: id, fence, kind, project, session, attempt, campaign } = job;
    const { reason, message } = failure ?? {};
    const fields = { job: id, fence, kind, project, session, attempt, campaign, outcome, seconds, reason, message };
    const before = this.#told;
    this.#told = (async () => {
      await before;
      await this.#output.record("attempt", fields);
    })();
  }

  async #tick(): Promise<void> {
    const { signal } = this.#closing;
    const terminal = this.#output.status("");
    const every = terminal ? STATUS_EVERY_MS : LINE_EVERY_MS;
    const slept = () =>
      systemClock.sleep(every, signal).then(
        () => true,
        () => false,
      );
    while (await slept()) {
      if (terminal) this.#output.status(this.#line());
      else this.#output.note(this.#line());
    }
  }

  #counts(): string {
    const { done, retry, snooze, discard, cancelled, lost } = this.#ended;
    const rest = { "to be tried again": retry + snooze, dead: discard, cancelled, lost };
    const words = Object.entries(rest).filter(([, count]) => count > 0);
    return [`${counted(done, "job")} done`, ...words.map(([word, count]) => `${count} ${word}`)].join(", ");
  }
}

function nameOf({ job, kind, session }: ClaimedJob): string {
  return `${kind} ${session} (job ${job})`;
}
