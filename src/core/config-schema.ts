import { isIPv6 } from "node:net";
import { resolve } from "node:path";
import { z } from "zod";
import { DEFAULT_LIMITS } from "./limits.ts";
import { formatBytes, formatDuration, parseBytes, parseDuration } from "./quantity.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const SHORTEST_LEASE_MS = 1_000;
const WORKERS = "is neither auto nor a whole number from 0 to 1000";
/** Node's timers fire at once when asked for more than 2^31 - 1 ms, so no time is longer than 24 days. */
const LONGEST_MS = 24 * 86_400_000;

/**
 * Every setting with its default. A key in camelCase is the setting in snake_case, without the
 * `Ms` of a time: `limits.messageDeadlineMs` is `limits.message_deadline`, `30s`. Sizes are bytes.
 */
export const configSchema = z
  .strictObject({
    /** Where sessions live. */
    store: storeUrl("sqlite:./data/sluice.db"),
    /** Where the bytes of screenshots live. */
    blobs: blobsUrl("file:./data/blobs"),
    /** Where what stages make of screenshots lives; unset is the directory `derived` beside that of `blobs`. */
    derived: derivedUrl(),
    /** Parameters of the pipeline's stages; unset is pipeline.yaml if there is one. */
    pipeline: path(),
    /** Address and port of the daemon; port 0 takes a free one. */
    listen: address("127.0.0.1:4750"),
    tls: z.strictObject({
      /** PEM files; both or neither. Without them the port speaks plain text. */
      cert: path(),
      key: path(),
      /** PEM file of the authorities that sign client certificates. */
      clientCa: path(),
      clientCert: z.enum(["off", "request", "require"]).default("off"),
    }),
    auth: z.strictObject({
      /** Callers from this machine need no key. */
      anonymousLoopback: flag(true),
      /** Failed authentications of one remote address before it has to wait. */
      failedPerMinute: count(30, { min: 1, max: 100_000 }),
    }),
    cors: z.strictObject({
      /** Exact origins that browsers may call from. */
      origins: listOf(origin()),
    }),
    log: z.strictObject({
      level: z.enum(["silent", "fatal", "error", "warn", "info", "debug", "trace"]).default("info"),
    }),
    jobs: z.strictObject({
      /** Stages a worker runs at once; auto is one a core but one. 0 keeps the daemon from running any. */
      concurrency: z.union([z.literal("auto"), count(1, { min: 0, max: 1000 })], WORKERS).default("auto"),
      /** Before a job that fails is dead. */
      maxAttempts: count(5, { min: 1, max: 1000 }),
      /** How long a worker that says nothing keeps its jobs. */
      leaseMs: duration("30s"),
      /** For one stage of one session. */
      stageDeadlineMs: duration("5m"),
      /** JavaScript heap of a process that runs stages. */
      stageMemory: bytes(2 * GiB, { min: 64 * MiB, max: 1024 * GiB }),
      /** How long finished jobs stay in the ledger. */
      keepMs: duration("7d"),
    }),
    retention: z.strictObject({
      /** How long recorded screenshots stay after their session was sealed and redacted. */
      originals: keepOrAge(),
    }),
    /** How long a stopping daemon finishes what is in hand. */
    graceMs: duration("25s"),
    /** Bytes of frames all streams together may hold in memory. */
    memoryBudget: bytes(32 * MiB, { min: 8 * MiB, max: 1024 * GiB }),
    limits: z.strictObject({
      messageBytes: bytes(DEFAULT_LIMITS.messageBytes, { min: 64 * KiB, max: GiB }),
      eventBytes: bytes(DEFAULT_LIMITS.eventBytes, { min: KiB, max: GiB }),
      depth: count(DEFAULT_LIMITS.depth, { min: 8, max: 1000 }),
      batchEvents: count(DEFAULT_LIMITS.batchEvents, { min: 1, max: 100_000 }),
      blobBytes: bytes(DEFAULT_LIMITS.blobBytes, { min: KiB, max: 1024 * GiB }),
      sessionBytes: bytes(DEFAULT_LIMITS.sessionBytes, { min: KiB, max: 1024 * GiB }),
      streamsPerSession: count(DEFAULT_LIMITS.streamsPerSession, { min: 1, max: 100_000 }),
      openSessionsPerProject: count(DEFAULT_LIMITS.openSessionsPerProject, { min: 1, max: 1_000_000_000 }),
      /** Calls one key may have open at once. */
      streamsPerKey: count(2000, { min: 1, max: 1_000_000 }),
      /** Sockets open at once. */
      connections: count(4096, { min: 1, max: 1_000_000 }),
      /** Of one key. */
      requestsPerSecond: count(2000, { min: 1, max: 1_000_000 }),
      /** For one message to arrive whole. */
      messageDeadlineMs: duration("30s"),
      /** For a call that is no stream. */
      callDeadlineMs: duration("60s"),
      /** How long a caller may leave acks unread. */
      ackStallMs: duration("60s"),
      /** How long a stream may be silent. */
      streamIdleMs: duration("1h"),
    }),
  })
  .superRefine((config, context) => {
    const { tls, limits } = config;
    const issue = (at: string[], message: string) => context.addIssue({ code: "custom", path: at, message });
    if (config.derived !== undefined && resolve(config.derived.path) === resolve(config.blobs.path)) {
      issue(["derived"], "is the directory of blobs; what may be shown is kept apart from what was recorded");
    }
    if (tls.cert !== undefined && tls.key === undefined) issue(["tls", "cert"], "needs tls.key beside it");
    if (tls.key !== undefined && tls.cert === undefined) issue(["tls", "key"], "needs tls.cert beside it");
    if (tls.clientCert !== "off" && tls.clientCa === undefined) {
      issue(["tls", "clientCert"], "needs tls.client_ca, the authorities that sign client certificates");
    }
    if (tls.clientCa !== undefined && tls.cert === undefined) issue(["tls", "clientCa"], "needs tls.cert and tls.key");
    if (limits.eventBytes > limits.messageBytes) {
      issue(["limits", "eventBytes"], `is more than limits.message_bytes, ${formatBytes(limits.messageBytes)}`);
    }
    if (config.jobs.leaseMs < SHORTEST_LEASE_MS) {
      issue(
        ["jobs", "leaseMs"],
        `is shorter than ${formatDuration(SHORTEST_LEASE_MS)}: a busy machine would lose jobs it runs`,
      );
    }
    if (limits.messageBytes > config.memoryBudget) {
      issue(["limits", "messageBytes"], `is more than memory_budget, ${formatBytes(config.memoryBudget)}`);
    }
  });

/** Host and port of `host:port` or `[ipv6]:port`; undefined for anything else. */
function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port > 65_535) return undefined;
  if (match?.[1] !== undefined && !isIPv6(match[1])) return undefined;
  return { host, port };
}

interface Address {
  readonly host: string;
  readonly port: number;
}

function storeUrl(standard: string) {
  return url(standard, "sqlite", "sqlite:./data/sluice.db", ["postgres", "postgresql"]);
}

function blobsUrl(standard: string) {
  return url(standard, "file", "file:./data/blobs", ["s3"]);
}

function derivedUrl() {
  return parsedUrl("file", "file:./data/derived", ["s3"])
    .optional()
    .transform((given) => given);
}

function url<const S extends string>(standard: string, scheme: S, example: string, later: readonly string[]) {
  return z.preprocess((given) => given ?? standard, parsedUrl(scheme, example, later));
}

/** `scheme:path` and `scheme:///path`; the path is a file of this machine. */
function parsedUrl<const S extends string>(scheme: S, example: string, later: readonly string[]) {
  return z
    .string()
    .trim()
    .transform((text, context) => {
      const given = /^([a-z][a-z0-9+.-]*):/.exec(text)?.[1];
      const problem = (message: string) => {
        context.addIssue({ code: "custom", message });
        return z.NEVER;
      };
      if (given !== undefined && later.includes(given)) {
        return problem(`${given}: is not in this release, which reads ${scheme}: only; use ${example}`);
      }
      if (given !== scheme) return problem(`is not a ${scheme}: URL; write it as ${example}`);
      const path = text.slice(scheme.length + 1).replace(/^\/\/(?=\/)/, "");
      if (path === "" || path.startsWith("//") || path.includes("\0")) {
        return problem(`names no file of this machine; write it as ${example}`);
      }
      if (path === ":memory:")
        return problem("is gone when the process ends, so acked events would be lost; name a file");
      return { kind: scheme, path, url: text };
    });
}

function address(standard: string) {
  const parsed = z.string().transform((text, context) => {
    const found = parseAddress(text.trim());
    if (found !== undefined) return found;
    context.addIssue({ code: "custom", message: "is not an address; write it as 127.0.0.1:4750 or [::1]:4750" });
    return z.NEVER;
  });
  return z.preprocess((given) => given ?? standard, parsed);
}

function path() {
  return z
    .string("is not a file name")
    .min(1, "is empty")
    .optional()
    .transform((given) => given);
}

function flag(standard: boolean) {
  const words = new Map<unknown, boolean>([
    ["true", true],
    ["false", false],
  ]);
  return z.preprocess((given) => words.get(given) ?? given, z.boolean("is neither true nor false").default(standard));
}

interface Range {
  readonly min: number;
  readonly max: number;
}

function count(standard: number, { min, max }: Range) {
  const between = `is not a whole number from ${min} to ${max}`;
  const toNumber = (given: unknown) => (typeof given === "string" && /^\d+$/.test(given) ? Number(given) : given);
  return z.preprocess(toNumber, z.int(between).min(min, between).max(max, between).default(standard));
}

function bytes(standard: number, { min, max }: Range) {
  const between = `is not a size from ${formatBytes(min)} to ${formatBytes(max)}, such as ${formatBytes(standard)}`;
  const toBytes = (given: unknown) => (typeof given === "string" ? (parseBytes(given) ?? given) : given);
  return z
    .preprocess(toBytes, z.int(between).min(min, between).max(max, between).default(standard))
    .meta({ unit: "bytes" });
}

function duration(standard: string) {
  const between = `is not a time from 1ms to ${formatDuration(LONGEST_MS)}, such as ${standard}`;
  const toMs = (given: unknown) => (given === undefined ? parseDuration(standard) : fromText(given));
  const fromText = (given: unknown) => (typeof given === "string" ? (parseDuration(given) ?? given) : String(given));
  return z.preprocess(toMs, z.int(between).min(1, between).max(LONGEST_MS, between)).meta({ unit: "duration" });
}

/** `keep`, or how long something stays: no timer waits for it, so that it may be long. */
function keepOrAge() {
  const what = "is neither keep nor a time from 1s to 36500d, such as 90d";
  const toAge = (given: unknown) => {
    if (given === undefined || given === "keep") return "keep";
    return typeof given === "string" ? (parseDuration(given) ?? given) : String(given);
  };
  const age = z
    .int(what)
    .min(1000, what)
    .max(36_500 * 86_400_000, what);
  return z.preprocess(toAge, z.union([z.literal("keep"), age], what)).meta({ unit: "duration" });
}

/** A list, or one text with commas between, as the environment has it. */
function listOf<Item extends z.ZodType<string>>(item: Item) {
  const toList = (given: unknown) => {
    if (typeof given !== "string") return given;
    return given
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== "");
  };
  return z.preprocess(toList, z.array(item, "is not a list").default([]));
}

function origin() {
  return z.string("is not an origin").superRefine((text, context) => {
    if (text === "*") {
      context.addIssue("may not be *: name each origin, such as https://app.example.com");
      return;
    }
    if (!isOrigin(text)) {
      context.addIssue(
        `${JSON.stringify(text)} is not an exact origin; write scheme://host[:port], such as https://app.example.com`,
      );
    }
  });
}

/** What a browser sends in `Origin` is the URL parser's own form, so nothing else can ever match. */
function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, host } = new URL(text);
  const tuple = protocol === "http:" || protocol === "https:" || protocol.endsWith("-extension:");
  return tuple && host !== "" && !host.includes("*") && text === `${protocol}//${host}`;
}
