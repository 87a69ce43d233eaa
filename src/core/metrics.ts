import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { JobMetrics } from "./jobs/job-metrics.ts";

/**
 * What the process counts, in Prometheus terms: one method for each thing that happens. Labels come
 * from closed sets, so that the number of series does not grow with projects, sessions or clients.
 *
 * Conservation can be checked from outside: received is counted at the edge when a batch has been
 * decoded, settled when its fate is known, by other code. With nothing in hand
 * `sluice_events_received_total` equals the sum of `sluice_events_settled_total` over its outcomes.
 */
export class Metrics implements Disposable {
  readonly #registry = new Registry();
  readonly #loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  /** Of the workers in this process, and of the ledger. */
  readonly jobs: JobMetrics = new JobMetrics(this.#registry);
  #budget: () => BudgetUse = () => ({ usedBytes: 0, limitBytes: 0 });

  readonly #eventsReceived = this.#counter("sluice_events_received_total", "Events that arrived, counted at the edge.");
  readonly #eventsSettled = this.#counter("sluice_events_settled_total", "Events by what became of them.", ["outcome"]);
  readonly #blobBytes = this.#counter("sluice_blob_received_bytes_total", "Bytes of blobs that arrived.");
  readonly #blobsSettled = this.#counter("sluice_blobs_settled_total", "Blobs by what became of them.", ["outcome"]);
  readonly #seals = this.#counter("sluice_sessions_sealed_total", "Sessions sealed.");
  readonly #streams = this.#gauge("sluice_upload_streams", "Upload streams open now.");
  readonly #streamsFenced = this.#counter("sluice_upload_streams_fenced_total", "Uploads ended by a newer connection.");
  readonly #connections = this.#gauge("sluice_connections", "Connections open now.");
  readonly #connectionsOpened = this.#counter("sluice_connections_opened_total", "Connections accepted.");
  readonly #connectionsRefused = this.#counter(
    "sluice_connections_refused_total",
    "Connections refused or closed by the daemon, by reason.",
    ["reason"],
  );
  readonly #creditWait = this.#histogram(
    "sluice_credit_wait_seconds",
    "Time a sender waited for credit.",
    [0.001, 0.01, 0.1, 0.5, 1, 5, 30],
  );
  readonly #append = this.#histogram(
    "sluice_append_seconds",
    "Time from a decoded batch to its commit on disk.",
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
  );
  readonly #rpc = this.#histogram(
    "sluice_rpc_seconds",
    "Duration of calls by method and Connect code; its count is the number of calls.",
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30],
    ["method", "code"],
  );
  readonly #authFailures = this.#counter("sluice_auth_failures_total", "Calls refused for their key, by reason.", [
    "reason",
  ]);
  readonly #certificate = this.#gauge(
    "sluice_tls_certificate_expiry_timestamp_seconds",
    "When the certificate in use expires; 0 without TLS.",
  );
  readonly #certificateReloads = this.#counter("sluice_tls_reloads_total", "Certificate reloads by outcome.", [
    "outcome",
  ]);

  constructor(build: BuildInfo) {
    this.#gauge("sluice_build_info", "Always 1; the labels say what runs.", ["version", "node"]).set(
      { version: build.version, node: process.versions.node },
      1,
    );
    this.#loopDelay.enable();
    this.#collectLoopDelay();
    this.#collectBudget();
    this.#collectProcess();
    // Series exist from the start, so that a rate over them is 0 and not absent.
    for (const outcome of EVENT_OUTCOMES) this.#eventsSettled.inc({ outcome }, 0);
    for (const outcome of BLOB_OUTCOMES) this.#blobsSettled.inc({ outcome }, 0);
    for (const outcome of RELOAD_OUTCOMES) this.#certificateReloads.inc({ outcome }, 0);
    for (const reason of REFUSAL_REASONS) this.#connectionsRefused.inc({ reason }, 0);
  }

  /** Called where a batch has been decoded, before anything can refuse its events. */
  eventsReceived(count: number): void {
    this.#eventsReceived.inc(count);
  }

  /** Called once for every event received, when its fate is known. */
  eventsSettled(outcomes: Partial<Record<EventOutcome, number>>): void {
    for (const outcome of EVENT_OUTCOMES) this.#eventsSettled.inc({ outcome }, outcomes[outcome] ?? 0);
  }

  blobBytesReceived(bytes: number): void {
    this.#blobBytes.inc(bytes);
  }

  /** Called once a blob, not a chunk: when it is whole, already there, or turned away. */
  blobSettled(outcome: BlobOutcome): void {
    this.#blobsSettled.inc({ outcome });
  }

  sessionSealed(): void {
    this.#seals.inc();
  }

  streamOpened(): void {
    this.#streams.inc();
  }

  streamClosed(): void {
    this.#streams.dec();
  }

  streamFenced(): void {
    this.#streamsFenced.inc();
  }

  connectionOpened(): void {
    this.#connections.inc();
    this.#connectionsOpened.inc();
  }

  connectionClosed(): void {
    this.#connections.dec();
  }

  connectionRefused(reason: RefusalReason): void {
    this.#connectionsRefused.inc({ reason });
  }

  creditWaited(seconds: number): void {
    this.#creditWait.observe(seconds);
  }

  appended(seconds: number): void {
    this.#append.observe(seconds);
  }

  /** `method` is the name in the schema (`sluice.v1.IngestService/Append`), never a path from a request. */
  rpcFinished(method: string, code: string, seconds: number): void {
    this.#rpc.observe({ method, code }, seconds);
  }

  authFailed(reason: string): void {
    this.#authFailures.inc({ reason });
  }

  certificateLoaded(notAfterMs: number): void {
    this.#certificate.set(notAfterMs / 1000);
    this.#certificateReloads.inc({ outcome: "loaded" });
  }

  certificateRefused(): void {
    this.#certificateReloads.inc({ outcome: "refused" });
  }

  /** Read at every render, so the budget need not report its every move. */
  trackBudget(read: () => BudgetUse): void {
    this.#budget = read;
  }

  /** The text exposition format, version 0.0.4; `contentType` goes with it. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  [Symbol.dispose](): void {
    this.#loopDelay.disable();
    this.#registry.clear();
  }

  #collectLoopDelay(): void {
    const delay = this.#loopDelay;
    this.#collected("sluice_event_loop_delay_p99_seconds", "99th percentile of loop delay since the last scrape.", () =>
      beyondResolution(delay.percentile(99)),
    );
    this.#collected("sluice_event_loop_delay_max_seconds", "Longest loop delay since the last scrape.", () => {
      const longest = beyondResolution(delay.max);
      // Gauges are collected in the order they were registered: p99 has been read by now.
      delay.reset();
      return longest;
    });
  }

  #collectBudget(): void {
    this.#collected("sluice_budget_used_bytes", "Memory the budget has given out.", () => this.#budget().usedBytes);
    this.#collected("sluice_budget_limit_bytes", "Memory the budget may give out.", () => this.#budget().limitBytes);
  }

  #collectProcess(): void {
    this.#collected("process_resident_memory_bytes", "Resident memory.", () => process.memoryUsage.rss());
    this.#collected("nodejs_heap_used_bytes", "JavaScript heap in use.", () => process.memoryUsage().heapUsed);
    this.#collected("nodejs_external_memory_bytes", "Memory of buffers outside the heap.", () => {
      return process.memoryUsage().external;
    });
    this.#collected("process_start_time_seconds", "When the process started, since the Unix epoch.", () => {
      return performance.timeOrigin / 1000;
    });
    let counted = 0;
    const cpu: Counter = new Counter({
      name: "process_cpu_seconds_total",
      help: "User and system CPU time spent.",
      registers: [this.#registry],
      collect: () => {
        const { user, system } = process.cpuUsage();
        const seconds = (user + system) / 1e6;
        cpu.inc(Math.max(0, seconds - counted));
        counted = seconds;
      },
    });
  }

  #counter<L extends string = never>(name: string, help: string, labelNames: L[] = []): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  #gauge<L extends string = never>(name: string, help: string, labelNames: L[] = []): Gauge<L> {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }

  #histogram<L extends string = never>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: L[] = [],
  ): Histogram<L> {
    return new Histogram({ name, help, buckets, labelNames, registers: [this.#registry] });
  }

  #collected(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({ name, help, registers: [this.#registry], collect: () => gauge.set(read()) });
  }
}

export interface BuildInfo {
  readonly version: string;
}

export interface BudgetUse {
  readonly usedBytes: number;
  readonly limitBytes: number;
}

const EVENT_OUTCOMES = ["stored", "duplicate", "quarantined", "refused"] as const;
const BLOB_OUTCOMES = ["stored", "duplicate", "refused"] as const;
const RELOAD_OUTCOMES = ["loaded", "refused"] as const;
/**
 * limit: too many connections. plaintext: TLS was asked for. handshake: TLS failed or no protocol
 * was spoken in time. idle: no call for too long. ping: the peer stopped answering. stalled: the
 * peer stopped reading. abuse: the peer broke a limit of HTTP/2.
 */
const REFUSAL_REASONS = ["limit", "plaintext", "handshake", "idle", "ping", "stalled", "abuse"] as const;

export type EventOutcome = (typeof EVENT_OUTCOMES)[number];
export type BlobOutcome = (typeof BLOB_OUTCOMES)[number];
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

const LOOP_RESOLUTION_MS = 10;

/** The histogram holds the time between two ticks of its timer; what exceeds the timer's period is delay. */
function beyondResolution(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e9 - LOOP_RESOLUTION_MS / 1000);
}
