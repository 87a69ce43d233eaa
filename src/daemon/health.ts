import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { type Clock, systemClock } from "../core/clock.ts";
import { AppError } from "../core/errors.ts";
import {
  Health as HealthService,
  HealthCheckResponse_ServingStatus as Status,
} from "../wire/gen/grpc/health/v1/health_pb.ts";
import { orAborted } from "./or-aborted.ts";

/**
 * Whether this process should get work. Live: it runs. Ready: every check passes and it is not
 * draining. Checks run side by side, each with a deadline; a check that hangs is a failed check, and
 * it is not started again before it has ended. Results are shared for `cacheMs`, so that many
 * probes cost what one costs.
 */
export class Health {
  readonly #options: HealthOptions;
  readonly #clock: Clock;
  readonly #drain = new AbortController();
  readonly #running = new Set<string>();
  #cached: { readonly at: number; readonly result: Promise<Readiness> } | undefined;

  constructor(options: HealthOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** From now on not ready, for good. Watchers learn it at once. */
  setDraining(): void {
    this.#drain.abort();
  }

  get draining(): boolean {
    return this.#drain.signal.aborted;
  }

  /** Never fails on a check; rejects only when `signal` aborts. */
  async ready(signal: AbortSignal): Promise<Readiness> {
    const now = this.#clock.now();
    const age = this.#cached === undefined ? Number.POSITIVE_INFINITY : now - this.#cached.at;
    // A clock set back makes an age negative; such a result counts as old.
    if (this.#cached === undefined || age < 0 || age >= this.#options.cacheMs) {
      this.#cached = { at: now, result: this.#runChecks() };
    }
    const { checks, ok } = await orAborted(this.#cached.result, signal);
    return { ok: ok && !this.draining, draining: this.draining, checks };
  }

  /**
   * Yields whether the process is ready: now, and then whenever that changes. Ends when draining
   * begins (after a last `false`) or `signal` aborts, without an error.
   */
  async *watch(signal: AbortSignal): AsyncGenerator<boolean, void, undefined> {
    const end = AbortSignal.any([signal, this.#drain.signal]);
    let last: boolean | undefined;
    while (!end.aborted) {
      const ok = await this.ready(end).then(
        (readiness) => readiness.ok,
        () => undefined,
      );
      if (ok === undefined) break;
      if (ok !== last) yield ok;
      last = ok;
      await this.#clock.sleep(this.#options.cacheMs, end).catch(() => undefined);
    }
    if (!signal.aborted && last !== false) yield false;
  }

  async #runChecks(): Promise<Readiness> {
    const entries = Object.entries(this.#options.checks);
    const results = await Promise.all(entries.map(([name, check]) => this.#runCheck(name, check)));
    return {
      ok: results.every((result) => result.ok),
      draining: false,
      checks: Object.fromEntries(entries.map(([name], index) => [name, results[index] ?? NOT_RUN])),
    };
  }

  async #runCheck(name: string, check: HealthCheck): Promise<CheckResult> {
    if (this.#running.has(name)) {
      return { ok: false, ms: 0, error: "The check that was started earlier has not ended." };
    }
    const started = this.#clock.now();
    const deadline = new AbortController();
    const timer = new AbortController();
    this.#running.add(name);
    // The check leaves the set when it really ends, which may be after its deadline.
    const run = (async () => check(deadline.signal))().finally(() => this.#running.delete(name));
    const late = this.#clock.sleep(this.#options.timeoutMs, timer.signal).then(() => {
      const error = new AppError("deadline_exceeded", `The check took longer than ${this.#options.timeoutMs} ms.`, {
        reason: "CHECK_TIMEOUT",
      });
      deadline.abort(error);
      throw error;
    });
    try {
      await Promise.race([run, late]);
      return { ok: true, ms: this.#clock.now() - started };
    } catch (error) {
      return { ok: false, ms: this.#clock.now() - started, error: AppError.from(error).message };
    } finally {
      timer.abort();
    }
  }
}

/**
 * Serves grpc.health.v1: the process ("") and every name in `services` share one status. A watch
 * ends when draining begins, so that it does not hold the connection open.
 */
export function registerHealth(router: ConnectRouter, health: Health, services: readonly string[]): void {
  const known = new Set(["", ...services]);
  router.service(HealthService, {
    async check(request, context) {
      if (!known.has(request.service)) {
        throw new ConnectError("This daemon has no service of that name; List tells the names.", Code.NotFound);
      }
      return { status: statusOf((await health.ready(context.signal)).ok) };
    },
    async list(_request, context) {
      const status = statusOf((await health.ready(context.signal)).ok);
      return { statuses: Object.fromEntries([...known].map((name) => [name, { status }])) };
    },
    async *watch(request, context) {
      // The protocol asks for a status, not an error: the service might come later.
      const isKnown = known.has(request.service);
      let told = false;
      for await (const ok of health.watch(context.signal)) {
        if (isKnown) yield { status: statusOf(ok) };
        else if (!told) yield { status: Status.SERVICE_UNKNOWN };
        told = true;
      }
    },
  });
}

/** Resolves when what it looks at works; rejects when not. Should stop when the signal aborts. */
export type HealthCheck = (signal: AbortSignal) => Promise<void>;

export interface HealthOptions {
  readonly checks: Readonly<Record<string, HealthCheck>>;
  /** How long one check may take. */
  readonly timeoutMs: number;
  /** How long a result stands. */
  readonly cacheMs: number;
  readonly clock?: Clock;
}

export interface Readiness {
  readonly ok: boolean;
  readonly draining: boolean;
  readonly checks: Readonly<Record<string, CheckResult>>;
}

export interface CheckResult {
  readonly ok: boolean;
  readonly ms: number;
  /** What a person may read; never a secret. */
  readonly error?: string;
}

const NOT_RUN: CheckResult = { ok: false, ms: 0, error: "The check did not run." };

function statusOf(ok: boolean): Status {
  return ok ? Status.SERVING : Status.NOT_SERVING;
}
