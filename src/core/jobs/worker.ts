import PQueue from "p-queue";
import { type Clock, withDeadline, within } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { StageRun, StageTask } from "../pipeline/run.ts";
import type { ClaimedJob, JobStore, Settlement } from "../store/jobs.ts";
import { Backoff } from "./backoff.ts";
import type { WorkerEvents } from "./events.ts";
import { following, leaseOf, settlementOf } from "./job.ts";
import { Settler } from "./settler.ts";
import { sweep } from "./sweep.ts";
import { Wake } from "./wake.ts";

export interface WorkerOptions {
  readonly store: JobStore;
  readonly stages: StageRunner;
  /** What to claim, the most wanted first. */
  readonly kinds: readonly string[];
  /** Stages that run at once. */
  readonly concurrency: number;
  /** How long a worker that says nothing keeps its jobs. */
  readonly leaseMs: number;
  readonly maxAttempts: number;
  /** How long finished jobs are kept. */
  readonly keepMs: number;
  /** Who it is, in the ledger. */
  readonly owner: string;
  readonly clock: Clock;
  readonly events: WorkerEvents;
  readonly random: () => number;
}

/** Runs one stage on one session; see HostPool. */
export interface StageRunner {
  run(task: StageTask, signal: AbortSignal): Promise<StageRun>;
}

/**
 * Takes jobs from the ledger, runs them under leases it extends, and settles them with what they
 * gave and what follows. A store that is away delays it and never ends it. `drain` stops it in
 * order; disposing it stops it at once, and what it had is given back if the store takes that.
 */
export class Worker implements AsyncDisposable {
  readonly #options: WorkerOptions;
  readonly #places: PQueue;
  readonly #settler: Settler;
  /** From claim to settlement. */
  readonly #active = new Map<ActiveJob, Promise<void>>();
  readonly #wake = new Wake();
  readonly #rest: Backoff;
  readonly #trouble: Backoff;
  /** Aborts when no more is to be claimed. */
  readonly #stopping = new AbortController();
  /** Aborts when nothing is under a lease any more. */
  readonly #closing = new AbortController();
  readonly #claiming: Promise<void>;
  readonly #keeping: Promise<void>;
  readonly #sweeping: Promise<void>;
  #idle = Promise.withResolvers<void>();
  #ended: Promise<void> | undefined;
  #givingBack = false;
  /** Claiming waits so long before it goes on. */
  #holdMs = 0;

  constructor(options: WorkerOptions) {
    this.#options = options;
    const { store, clock, events, random, leaseMs, keepMs, concurrency } = options;
    const deadlineMs = CALL_DEADLINE_MS;
    this.#places = new PQueue({ concurrency });
    this.#settler = new Settler({ store, clock, events, random, deadlineMs });
    this.#rest = new Backoff(FIRST_REST_MS, LONGEST_REST_MS, random);
    this.#trouble = new Backoff(FIRST_HOLD_MS, LONGEST_HOLD_MS, random);
    const sweeping = { store, clock, events, random, deadlineMs, everyMs: leaseMs / 2, keepMs };
    this.#sweeping = sweep(sweeping, () => this.wake(), this.#stopping.signal);
    this.#keeping = this.#keepLeases();
    this.#claiming = this.#claimUntilStopped();
  }

  /** There may be something to claim: it looks at once. */
  wake(): void {
    this.#rest.reset();
    this.#wake.ring();
  }

  /** Resolves when it next finds nothing to claim while it has nothing in hand. */
  get idle(): Promise<void> {
    return this.#idle.promise;
  }

  /**
   * Claims no more and lets what runs end. When `signal` aborts, what still runs is ended and given
   * back, with no attempt spent; resolves soon after that, even if the store takes nothing.
   */
  async drain(signal: AbortSignal): Promise<void> {
    this.#stopping.abort();
    this.#wake.ring();
    this.#ended ??= this.#end();
    const { promise: over, resolve } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (!signal.aborted) await Promise.race([this.#ended, over]);
    if (!signal.aborted) return;
    this.#settler.close();
    this.#givingBack = true;
    for (const active of this.#active.keys()) active.end("stop");
    const late = new AppError("unavailable", "The store did not answer while the worker stopped.", {
      reason: "WORKER_STOPPED",
    });
    await within(this.#ended, LAST_CALLS_MS, late).catch((error: unknown) =>
      this.#options.events.storeFailed("stop", AppError.from(error)),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(AbortSignal.abort());
  }

  async #end(): Promise<void> {
    await this.#claiming;
    await Promise.all(this.#active.values());
    this.#closing.abort();
    await Promise.all([this.#keeping, this.#sweeping]);
  }

  async #claimUntilStopped(): Promise<void> {
    const { events, random } = this.#options;
    const stopping = this.#stopping.signal;
    const backoff = new Backoff(FIRST_RETRY_MS, LONGEST_RETRY_MS, random);
    while (!stopping.aborted) {
      const { rung } = this.#wake;
      if (this.#holdMs > 0) await this.#sleep(this.#holdMs, stopping);
      this.#holdMs = 0;
      const free = this.#freePlaces();
      try {
        if (free === 0) await rung;
        else if ((await this.#claim(free)) === 0) await this.#restUntil(rung);
        backoff.reset();
      } catch (error) {
        events.storeFailed("claim", AppError.from(error));
        await this.#sleep(backoff.next(), stopping);
      }
    }
  }

  /** While the store takes no results, only so many more are begun. */
  #freePlaces(): number {
    const { concurrency } = this.#options;
    const running = this.#places.pending + this.#places.size;
    return Math.max(0, Math.min(concurrency - running, 2 * concurrency - this.#active.size));
  }

  /** Claims and begins; returns how many. */
  async #claim(total: number): Promise<number> {
    const { store, clock, owner, leaseMs } = this.#options;
    const kinds = this.#options.kinds.map((kind) => ({ kind, limit: total }));
    // A stop does not end the call: what it claims would lie there until its lease ends.
    const signal = withDeadline(NEVER, CALL_DEADLINE_MS);
    const claimed = await store.claim({ owner, kinds, total, leaseMs, nowMs: clock.now() }, signal);
    for (const job of claimed) {
      const active = new ActiveJob(job);
      if (this.#givingBack) active.end("stop");
      this.#active.set(active, this.#see(active));
    }
    if (claimed.length > 0) this.#rest.reset();
    return claimed.length;
  }

  /** Until it is woken, a scheduled job is due, or it is time to look again: other processes bring jobs too. */
  async #restUntil(rung: Promise<void>): Promise<void> {
    const { store, clock, kinds } = this.#options;
    if (this.#active.size === 0) {
      this.#idle.resolve();
      this.#idle = Promise.withResolvers();
    }
    const due = await store.nextDue(kinds, withDeadline(NEVER, CALL_DEADLINE_MS));
    const dueInMs = due === undefined ? Number.POSITIVE_INFINITY : Math.max(1, due - clock.now());
    const over = new AbortController();
    await Promise.race([rung, this.#sleep(Math.min(this.#rest.next(), dueInMs), over.signal)]);
    over.abort();
  }

  /** A job from its claim to its settlement. Never rejects. */
  async #see(active: ActiveJob): Promise<void> {
    const { clock, events } = this.#options;
    const begunMs = clock.now();
    const attempt = await this.#places.add(() => this.#attempt(active));
    const seconds = (clock.now() - begunMs) / 1000;
    this.#wake.ring();
    const settled = await this.#settle(active, attempt);
    if (settled === undefined) events.leaseLost(active.job, seconds);
    else events.settled(active.job, settled.settlement.outcome, seconds, settled.failure);
    this.#active.delete(active);
    this.wake();
  }

  /** Never rejects. */
  async #attempt(active: ActiveJob): Promise<Attempt> {
    const { job, signal } = active;
    const { project, session, kind: stage, stages } = job;
    try {
      const { artifact, next } = await this.#options.stages.run({ project, session, stage, stages }, signal);
      this.#trouble.reset();
      const follow = next === undefined ? [] : [following(job, next)];
      return { settlement: { lease: leaseOf(job), outcome: "done", artifact, follow }, failure: undefined };
    } catch (error) {
      return this.#failed(active, AppError.from(error));
    }
  }

  #failed({ job, ending }: ActiveJob, failure: AppError): Attempt {
    const { clock, maxAttempts, random, events } = this.#options;
    const lease = leaseOf(job);
    if (ending === "stop") {
      const [reason, message] = ["WORKER_STOPPED", "The worker stopped before the stage was done."];
      const settlement: Settlement = { lease, outcome: "snooze", runAtMs: clock.now(), error: { reason, message } };
      return { settlement, failure: new AppError("cancelled", message, { reason }) };
    }
    if (failure.reason === "HOST_NOT_STARTED") {
      events.hostFailed(failure);
      this.#holdMs = this.#trouble.next();
    }
    return { settlement: settlementOf(job, failure, { maxAttempts, nowMs: clock.now(), random }), failure };
  }

  /** What was stored; undefined when the job is somebody else's by now. Never rejects. */
  async #settle(active: ActiveJob, attempt: Attempt): Promise<Attempt | undefined> {
    if (active.ending === "lost") return undefined;
    const lease = leaseOf(active.job);
    const given: Attempt =
      active.ending === "cancel" ? { settlement: { lease, outcome: "cancelled" }, failure: undefined } : attempt;
    try {
      return (await this.#settler.settle(given.settlement)) === "settled" ? given : undefined;
    } catch (error) {
      const refused = AppError.from(error);
      this.#options.events.storeFailed("settle", refused);
      // What can't be stored is an attempt that failed; and when even that can't, the lease runs out.
      if (given.settlement.outcome !== "done") return undefined;
      const { message, reason } = refused;
      return await this.#settle(
        active,
        this.#failed(active, new AppError("internal", message, { reason, cause: error })),
      );
    }
  }

  /** Extends what is in hand well before it runs out, and ends what is not wanted or not ours any more. */
  async #keepLeases(): Promise<void> {
    const { leaseMs } = this.#options;
    const closing = this.#closing.signal;
    let held = true;
    while (await this.#sleep(held ? leaseMs / 3 : leaseMs / 12, closing)) held = await this.#heartbeat();
  }

  /** Whether the store answered. Never rejects. */
  async #heartbeat(): Promise<boolean> {
    const { store, clock, events, leaseMs } = this.#options;
    const held = [...this.#active.keys()];
    if (held.length === 0) return true;
    const leases = held.map(({ job }) => leaseOf(job));
    const nowMs = clock.now();
    try {
      const statuses = await store.heartbeat(leases, nowMs + leaseMs, nowMs, withDeadline(NEVER, CALL_DEADLINE_MS));
      for (const [index, active] of held.entries()) {
        const status = statuses[index];
        // Settled meanwhile is lost too, and not in hand any more.
        if (status === "lost" || status === "cancel") active.end(status);
      }
      return true;
    } catch (error) {
      events.storeFailed("heartbeat", AppError.from(error));
      return false;
    }
  }

  /** Whether the time went by; false when `signal` aborted. */
  #sleep(ms: number, signal: AbortSignal): Promise<boolean> {
    return this.#options.clock.sleep(ms, signal).then(
      () => true,
      () => false,
    );
  }
}

interface Attempt {
  readonly settlement: Settlement;
  readonly failure: AppError | undefined;
}

/** lost: another has the job. cancel: nobody wants it. stop: the worker ends. The first holds. */
type Ending = "lost" | "cancel" | "stop";

class ActiveJob {
  readonly job: ClaimedJob;
  readonly #interrupt = new AbortController();
  #ending: Ending | undefined;

  constructor(job: ClaimedJob) {
    this.job = job;
  }

  get ending(): Ending | undefined {
    return this.#ending;
  }

  get signal(): AbortSignal {
    return this.#interrupt.signal;
  }

  end(why: Ending): void {
    this.#ending ??= why;
    this.#interrupt.abort(new AppError("cancelled", "The run was ended.", { reason: "CANCELLED" }));
  }
}

/** For one call of the store, which answers in milliseconds or is in trouble. */
const CALL_DEADLINE_MS = 30_000;
/** What is in hand when the worker stops is told to the store within this, or is rescued when its lease ends. */
const LAST_CALLS_MS = 3_000;
const FIRST_REST_MS = 100;
const LONGEST_REST_MS = 2_000;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 10_000;
const FIRST_HOLD_MS = 1_000;
const LONGEST_HOLD_MS = 60_000;
const NEVER = new AbortController().signal;
