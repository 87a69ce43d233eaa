import { type App, openApp, ownStore } from "../core/app.ts";
import { type RetentionOptions, retainOriginals } from "../core/blobs/retention.ts";
import { Sweeper } from "../core/blobs/sweeper.ts";
import type { Config } from "../core/config.ts";
import { isLoopback } from "../core/config-check.ts";
import { AppError } from "../core/errors.ts";
import { loggedEvents } from "../core/jobs/events.ts";
import { concurrencyOf, type StartedWorker, startWorker } from "../core/jobs/start-worker.ts";
import type { Logger } from "../core/log.ts";
import { Metrics } from "../core/metrics.ts";
import { loadPipeline } from "../core/pipeline/load.ts";
import { Ingest } from "../core/session/ingest.ts";
import { Budget, type Memory } from "./budget.ts";
import { createCors } from "./cors.ts";
import { Deadlines } from "./deadlines.ts";
import { Gate } from "./gate.ts";
import { Health } from "./health.ts";
import { IngestHandlers } from "./ingest-service.ts";
import { keysHandlers } from "./keys-service.ts";
import { type Listener, listen } from "./listener.ts";
import { createPages } from "./pages.ts";
import { binaryRoutes, type Handlers, jsonRoutes } from "./routes.ts";
import { RpcHandler } from "./rpc.ts";
import { SessionsHandlers } from "./sessions-service.ts";
import { Windows } from "./windows.ts";

export interface ServerOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly version: string;
  /** For tests that show what FULL is for. */
  readonly synchronous?: "FULL" | "NORMAL";
}

/**
 * A daemon that serves, and runs the pipeline's jobs. `drain` stops it in an orderly way: no new
 * connections, callers are told to reconnect, what is in hand is finished and acked, jobs are
 * finished or given back. Disposing it closes what is left at once.
 */
export class Server implements AsyncDisposable {
  readonly #listener: Listener;
  readonly #health: Health;
  readonly #shutdown: AbortController;
  readonly #jobs: StartedWorker | undefined;
  readonly #giveBackMs: number;
  readonly #resources: AsyncDisposableStack;

  private constructor(parts: ServerParts, resources: AsyncDisposableStack) {
    this.#listener = parts.listener;
    this.#health = parts.health;
    this.#shutdown = parts.shutdown;
    this.#jobs = parts.jobs;
    this.#giveBackMs = parts.giveBackMs;
    this.#resources = resources;
  }

  /**
   * Opens the store and the port. Fails with `locked` STORE_LOCKED when another daemon has the
   * store, `failed_precondition` NO_KEYS when it is to listen beyond the loopback and no key could
   * be presented to it, and whatever opening the store or the port fails with.
   */
  static async start(options: ServerOptions): Promise<Server> {
    const { config, logger, version } = options;
    await using opened = new AsyncDisposableStack();
    const app = opened.use(await openStoreOnce(options, opened));
    await refuseOpenDoor(app, config);
    const metrics = opened.use(new Metrics({ version }));
    const shutdown = new AbortController();
    const health = new Health({
      checks: { store: (signal) => app.store.ping(signal), blobs: (signal) => app.blobs.ping(signal) },
      timeoutMs: 5_000,
      cacheMs: 1_000,
    });
    const memory = {
      arriving: new Budget(config.memoryBudget * ARRIVING_SHARE),
      working: new Budget(config.memoryBudget * WORKING_SHARE),
    };
    metrics.trackBudget(() => ({
      usedBytes: memory.arriving.usedBytes + memory.working.usedBytes,
      limitBytes: config.memoryBudget,
    }));
    const { limits } = config;
    const deadlines = opened.use(
      new Deadlines({ messageMs: limits.messageDeadlineMs, idleMs: limits.streamIdleMs, answerMs: limits.ackStallMs }),
    );
    opened.use(new Sweeper({ stores: [app.blobs, app.derived], clock: app.clock, logger }));
    const jobs = opened.use(await startJobs(app, { metrics, logger }));
    opened.use(await startRetention(app, logger));
    const onSealed = () => jobs?.worker.wake();
    const handlers = createHandlers(app, { metrics, health, memory, shutdown: shutdown.signal, onSealed });
    const gate = new Gate({ keys: app.keys, config, clock: app.clock, metrics });
    const rpc = new RpcHandler({
      config,
      gate,
      memory,
      deadlines,
      windows: new Windows({
        smallBytes: SMALL_WINDOW,
        largeBytes: LARGE_WINDOW,
        budgetBytes: config.memoryBudget * WINDOW_SHARE,
      }),
      metrics,
      logger,
      shutdown: shutdown.signal,
      routes: {
        json: jsonRoutes(handlers),
        binary: binaryRoutes(handlers),
        upload: (requests, context) => handlers.ingest.upload(requests, context),
      },
    });
    const pages = createPages({
      health,
      metrics,
      version,
      allowDetail: (request) => gate.allows("read", request.socket.remoteAddress ?? "", request.headers.authorization),
      onError: (err) => logger.error({ err }, "a page failed"),
    });
    const cors = createCors({ origins: config.cors.origins, anonymousLoopback: config.auth.anonymousLoopback });
    const listener = opened.use(
      await listen({
        ...listenerOptions(config, metrics, logger),
        onRequest: (request, response) => {
          if (cors(request, response) || rpc.handle(request, response)) return;
          void pages(request, response);
        },
      }),
    );
    const giveBackMs = Math.ceil(config.graceMs * FINISH_SHARE);
    return new Server({ listener, health, shutdown, jobs, giveBackMs }, opened.move());
  }

  get url(): string {
    return this.#listener.url;
  }

  /** Reads the certificate again; a broken one is told in the log and the old one goes on. */
  async reload(): Promise<void> {
    await this.#listener.reloadTls();
  }

  /** Resolves when every connection and job is gone; rejects when `signal` aborts before the connections are. */
  async drain(signal: AbortSignal): Promise<void> {
    this.#health.setDraining();
    this.#shutdown.abort(
      new AppError("unavailable", "The daemon is stopping. Reconnect and go on from the watermark.", {
        reason: "DRAINING",
        retryAfterMs: 500,
      }),
    );
    const giveBack = AbortSignal.any([signal, AbortSignal.timeout(this.#giveBackMs)]);
    const drained = await Promise.allSettled([this.#listener.drain(signal), this.#jobs?.worker.drain(giveBack)]);
    for (const part of drained) if (part.status === "rejected") throw part.reason;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.destroy();
    await this.#resources.disposeAsync();
  }
}

interface ServerParts {
  readonly listener: Listener;
  readonly health: Health;
  readonly shutdown: AbortController;
  readonly jobs: StartedWorker | undefined;
  /** After this a draining server gives back the jobs it still runs. */
  readonly giveBackMs: number;
}

/** How much of the grace jobs have to end by themselves. */
const FINISH_SHARE = 0.8;

/** undefined when the settings leave the jobs to other processes. */
async function startJobs(app: App, { metrics, logger }: JobParts): Promise<StartedWorker | undefined> {
  const concurrency = concurrencyOf(app.config);
  const events = loggedEvents(logger, metrics.jobs);
  const started = concurrency === 0 ? undefined : await startWorker({ app, concurrency, kinds: undefined, events });
  metrics.jobs.track({
    stats: () => app.store.jobStats(app.clock.now(), AbortSignal.timeout(STATS_DEADLINE_MS)),
    hosts: () => started?.hosts ?? 0,
  });
  return started;
}

/** Removes recorded screenshots that are old, if the settings say so. Disposing it stops that. */
async function startRetention(app: App, logger: Logger): Promise<AsyncDisposable | undefined> {
  const { config, store, blobs, clock } = app;
  const { originals: ageMs } = config.retention;
  if (ageMs === "keep") return undefined;
  const { pipeline } = await loadPipeline(config.pipeline);
  const stop = new AbortController();
  const options: RetentionOptions = {
    ...{ store, blobs, clock, ageMs },
    definitions: (project) => pipeline.definitions(project),
    onRemoved: (removed) => logger.info(removed, "recorded screenshots were removed for their age"),
    onFailure: (err) => logger.warn({ err }, "old screenshots could not be removed; it is tried again in a day"),
  };
  const retaining = retainOriginals(options, stop.signal);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await retaining;
    },
  };
}

interface JobParts {
  readonly metrics: Metrics;
  readonly logger: Logger;
}

const STATS_DEADLINE_MS = 5_000;

async function openStoreOnce(options: ServerOptions, opened: AsyncDisposableStack): Promise<App> {
  const { config, logger, synchronous = "FULL" } = options;
  opened.use(
    await ownStore(config, `process ${process.pid}, to listen on ${config.listen.host}:${config.listen.port}`),
  );
  return await openApp(config, { create: true, logger, synchronous });
}

/** Beyond the loopback nobody is let in without a key, so a store without keys would let nobody in. */
async function refuseOpenDoor(app: App, config: Config): Promise<void> {
  if (isLoopback(config.listen.host)) return;
  const now = app.clock.now();
  const keys = await app.keys.list(undefined, AbortSignal.timeout(config.limits.callDeadlineMs));
  if (keys.some((key) => key.revokedAtMs === undefined && (key.expiresAtMs ?? now + 1) > now)) return;
  throw new AppError(
    "failed_precondition",
    `${config.listen.host} can be reached from other machines and the store has no API key. Make one first: sluice keys create --name collector --scope ingest`,
    { reason: "NO_KEYS" },
  );
}

interface Parts {
  readonly metrics: Metrics;
  readonly health: Health;
  readonly memory: Memory;
  readonly shutdown: AbortSignal;
  readonly onSealed: () => void;
}

function createHandlers(app: App, { metrics, health, memory, shutdown, onSealed }: Parts): Handlers {
  const { config, store, blobs, keys, clock } = app;
  const { callDeadlineMs } = config.limits;
  let open = 0;
  const uploads = {
    opened: () => {
      open += 1;
      metrics.streamOpened();
    },
    closed: () => {
      open -= 1;
      metrics.streamClosed();
    },
    fenced: () => metrics.streamFenced(),
  };
  const credit = (): number => {
    const share = Math.floor(memory.working.limitBytes / Math.max(1, open));
    return Math.min(MAX_CREDIT, Math.max(MIN_CREDIT, share));
  };
  const ingest = new Ingest({ store, blobs, limits: config.limits, metrics, onSealed });
  return {
    ingest: new IngestHandlers({ ingest, credit, callDeadlineMs, shutdown, uploads }),
    sessions: new SessionsHandlers({ store, blobs, clock, callDeadlineMs, shutdown }),
    keys: keysHandlers(keys, callDeadlineMs),
    health,
  };
}

const MIN_CREDIT = 64 * 1024;
const MAX_CREDIT = 8 * 1024 * 1024;
/** A stream that waits for memory holds twice this unread: it is asked for again when its bytes arrive. */
const SMALL_WINDOW = 8 * 1024;
const LARGE_WINDOW = 1024 * 1024;
/** How the memory budget is parted. */
const ARRIVING_SHARE = 1 / 3;
const WORKING_SHARE = 1 / 2;
const WINDOW_SHARE = 1 / 6;

function listenerOptions(config: Config, metrics: Metrics, logger: Logger) {
  const { tls, limits } = config;
  const files =
    tls.cert === undefined || tls.key === undefined
      ? undefined
      : { cert: tls.cert, key: tls.key, clientCa: tls.clientCa, clientCert: tls.clientCert };
  return {
    host: config.listen.host,
    port: config.listen.port,
    tls: files,
    maxConnections: limits.connections,
    handshakeTimeoutMs: 10_000,
    // Node wants it within the time a whole request may take.
    headersTimeoutMs: Math.min(10_000, limits.callDeadlineMs),
    requestTimeoutMs: limits.callDeadlineMs,
    stallTimeoutMs: limits.ackStallMs,
    idleConnectionMs: 300_000,
    maxHeaderBytes: 32 * 1024,
    maxConcurrentStreams: 1_000,
    initialWindowBytes: SMALL_WINDOW,
    connectionWindowBytes: 4 * 1024 * 1024,
    keepalive: { pingIntervalMs: 30_000, pingTimeoutMs: 10_000 },
    metrics,
    logger,
  };
}
