import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { JOB_STATES, type KindStats, type Settlement } from "../store/jobs.ts";

/** Attempts by what became of them; lost is one whose job was somebody else's when it ended. */
export type RunOutcome = Settlement["outcome"] | "lost";

/** What workers and the ledger count; see Metrics. The kinds are the names of stages. */
export class JobMetrics {
  readonly #jobs: Gauge<"kind" | "state">;
  readonly #oldest: Gauge<"kind">;
  readonly #runs: Counter<"kind" | "outcome">;
  readonly #seconds: Histogram<"kind">;
  #readStats: () => Promise<readonly KindStats[]> = async () => [];
  #countHosts: () => number = () => 0;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#jobs = new Gauge({
      name: "sluice_jobs",
      help: "Jobs in the ledger, of all processes, by kind and state.",
      labelNames: ["kind", "state"],
      registers,
      collect: async () => {
        const stats = await this.#readStats();
        this.#jobs.reset();
        for (const { kind, counts } of stats)
          for (const state of JOB_STATES) this.#jobs.set({ kind, state }, counts[state]);
      },
    });
    this.#oldest = new Gauge({
      name: "sluice_jobs_oldest_available_seconds",
      help: "How long the oldest job that waits for a worker has waited; 0 when none does.",
      labelNames: ["kind"],
      registers,
      collect: async () => {
        const stats = await this.#readStats();
        this.#oldest.reset();
        for (const { kind, oldestAvailableMs = 0 } of stats) this.#oldest.set({ kind }, oldestAvailableMs / 1000);
      },
    });
    this.#runs = new Counter({
      name: "sluice_job_runs_total",
      help: "Attempts that ended in this process, by kind and what became of them.",
      labelNames: ["kind", "outcome"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "sluice_job_seconds",
      help: "How long attempts took, by kind.",
      labelNames: ["kind"],
      buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300],
      registers,
    });
    const hosts: Gauge = new Gauge({
      name: "sluice_stage_hosts",
      help: "Processes that run stages for this one.",
      registers,
      collect: () => hosts.set(this.#countHosts()),
    });
  }

  /**
   * Read when they are asked for, the ledger at most every 5 s. While it can't be read it has no
   * series.
   */
  track(sources: { readonly stats: () => Promise<readonly KindStats[]>; readonly hosts: () => number }): void {
    // Both gauges are collected at once, from one reading.
    this.#readStats = cached(() => sources.stats().catch(() => []));
    this.#countHosts = sources.hosts;
  }

  ran(kind: string, outcome: RunOutcome, seconds: number): void {
    this.#runs.inc({ kind, outcome });
    this.#seconds.observe({ kind }, seconds);
  }
}

const CACHE_MS = 5_000;

/** The latest result, for a while. */
function cached<T>(read: () => Promise<T>): () => Promise<T> {
  let known: { readonly at: number; readonly result: Promise<T> } | undefined;
  return () => {
    const now = performance.now();
    if (known === undefined || now - known.at > CACHE_MS) known = { at: now, result: read() };
    return known.result;
  };
}
