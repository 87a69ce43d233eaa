import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { DescService } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, type GrpcTransportOptions, Http2SessionManager } from "@connectrpc/connect-node";
import { expect, vi } from "vitest";
import type { Scope } from "../../src/core/store/store.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../../src/wire/gen/google/rpc/error_details_pb.ts";
import { type AppendResponse, IngestService } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { SessionsService } from "../../src/wire/gen/sluice/v1/sessions_pb.ts";
import { opaqueAppend, opaqueReadEvents } from "../../src/wire/opaque.ts";
import { events } from "../fixtures.ts";
import { DaemonProcess } from "./process.ts";

const run = promisify(execFile);
const CLI = fileURLToPath(new URL("../../bin/sluice.js", import.meta.url));

export interface TestDaemonOptions {
  /** Settings: `{ SLUICE_LIMITS_DEPTH: "8" }`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Scheme and host clients use; the daemon itself is on 127.0.0.1. */
  readonly port?: number;
}

/** The real sluiced on a free port, its data in a directory of its own that goes with it. */
export class TestDaemon implements AsyncDisposable {
  readonly directory: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #links: Link[] = [];
  /** Presented by what looks at the daemon from outside, once nobody is let in without. */
  key: string | undefined;
  #process: DaemonProcess;
  #url: string;

  private constructor(directory: string, process: DaemonProcess, url: string, env: Readonly<Record<string, string>>) {
    this.directory = directory;
    this.#process = process;
    this.#url = url;
    this.#env = env;
  }

  static async start({ env = {}, port = 0 }: TestDaemonOptions = {}): Promise<TestDaemon> {
    const directory = await mkdtemp(join(tmpdir(), "sluice-daemon-"));
    try {
      const process = await DaemonProcess.start({ directory, env, port });
      return new TestDaemon(directory, process, await process.ready, env);
    } catch (error) {
      await rm(directory, { recursive: true, force: true, maxRetries: 10 });
      throw error;
    }
  }

  get url(): string {
    return this.#url;
  }

  get port(): number {
    return Number(new URL(this.#url).port);
  }

  get process(): DaemonProcess {
    return this.#process;
  }

  /** Starts it again on the same data, after it has ended. */
  async restart(env = this.#env): Promise<void> {
    await this.#process.exited;
    this.#process = await DaemonProcess.start({ directory: this.directory, env });
    this.#url = await this.#process.ready;
  }

  /** A gRPC connection of its own. */
  link(options: LinkOptions = {}): Link {
    const link = new Link(this.url, options);
    this.#links.push(link);
    return link;
  }

  /** Makes a key with the CLI, in another process, as people do. */
  async createKey(scopes: readonly Scope[], more: readonly string[] = []): Promise<{ id: string; secret: string }> {
    const made = await this.sluice(["keys", "create", "--name", "test", "--scope", scopes.join(","), ...more]);
    const secret = made.trim();
    return { id: secret.split("_")[1] ?? "", secret };
  }

  /** What the CLI prints on this daemon's store; rejects when it fails. */
  async sluice(args: readonly string[]): Promise<string> {
    const env = {
      PATH: process.env.PATH,
      SLUICE_STORE: `sqlite:${this.directory}/sluice.db`,
      SLUICE_BLOBS: `file:${this.directory}/blobs`,
    };
    const { stdout } = await run(process.execPath, [CLI, ...args], { cwd: this.directory, env });
    return stdout;
  }

  /** The value of a series on /metrics; 0 when it is not there. */
  async sample(series: string): Promise<number> {
    return (await this.metrics()).get(series) ?? 0;
  }

  /** The sum of the series whose name and labels begin so. */
  async sum(start: string): Promise<number> {
    let sum = 0;
    for (const [series, value] of await this.metrics()) if (series.startsWith(start)) sum += value;
    return sum;
  }

  async metrics(): Promise<ReadonlyMap<string, number>> {
    const headers = this.key === undefined ? {} : { authorization: `Bearer ${this.key}` };
    const response = await fetch(`${this.url}/metrics`, { headers });
    const text = await response.text();
    if (!response.ok) throw new Error(`/metrics: ${response.status} ${text}`);
    const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(
      lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
    );
  }

  /**
   * What must be true after anything a caller can do: another caller is served at once, no memory
   * is held, no stream is left open, and every event received is accounted for.
   */
  async expectWell(): Promise<void> {
    await eventually(async () => expect(await this.#held()).toEqual({ budget: 0, streams: 0 }));
    await this.expectServes();
    await eventually(async () => expect(await this.#unaccounted()).toBe(0));
  }

  /** Another caller is served, whatever else goes on. */
  async expectServes(): Promise<void> {
    using link = this.link(this.key === undefined ? {} : { key: this.key });
    const session = `well-${crypto.randomUUID()}`;
    expect(await append(link, session, 1n, events(1, 3))).toMatchObject({ durableSeq: 3n, stored: 3 });
    expect(await link.client(IngestService).getWatermark({ stream: { session } })).toMatchObject({ durableSeq: 3n });
  }

  async #held(): Promise<{ budget: number; streams: number }> {
    const metrics = await this.metrics();
    return {
      budget: metrics.get("sluice_budget_used_bytes") ?? Number.NaN,
      streams: metrics.get("sluice_upload_streams") ?? Number.NaN,
    };
  }

  async #unaccounted(): Promise<number> {
    const metrics = await this.metrics();
    const settled = ["stored", "duplicate", "quarantined", "refused"].map(
      (outcome) => metrics.get(`sluice_events_settled_total{outcome="${outcome}"}`) ?? Number.NaN,
    );
    return (metrics.get("sluice_events_received_total") ?? Number.NaN) - settled.reduce((sum, count) => sum + count, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of this.#links) link[Symbol.dispose]();
    await this.#process[Symbol.asyncDispose]();
    // A stage that was running when the daemon was killed may write for a moment more.
    await rm(this.directory, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** Tries again until `holds` does not throw; a machine with other things to do is given time. */
export async function eventually<T>(holds: () => Promise<T>): Promise<T> {
  return await vi.waitFor(holds, { timeout: 30_000, interval: 20 });
}

export interface LinkOptions extends Partial<GrpcTransportOptions> {
  readonly key?: string;
}

/** One HTTP/2 connection that speaks gRPC. */
export class Link implements Disposable {
  readonly transport: Transport;
  readonly #session: Http2SessionManager;

  constructor(url: string, { key, interceptors = [], ...options }: LinkOptions) {
    this.#session = new Http2SessionManager(url);
    this.transport = createGrpcTransport({
      baseUrl: url,
      sessionManager: this.#session,
      interceptors: key === undefined ? interceptors : [bearer(key), ...interceptors],
      acceptCompression: [],
      ...options,
    });
  }

  client<T extends DescService>(service: T): Client<T> {
    return createClient(service, this.transport);
  }

  [Symbol.dispose](): void {
    this.#session.abort();
  }
}

function bearer(key: string): Interceptor {
  return (next) => async (request) => {
    request.header.set("authorization", `Bearer ${key}`);
    return await next(request);
  };
}

/** What a caller sees of a refusal: code, reason and whether it says when to come back. */
export interface Refusal {
  readonly code: string;
  readonly reason: string | undefined;
  readonly retryMs: number | undefined;
  readonly message: string;
}

/** The refusal a call ends with; fails when it does not. */
export async function refusal(call: Promise<unknown>): Promise<Refusal> {
  const error = await call.then(
    (value) => {
      throw new Error(
        `the call was served: ${JSON.stringify(value, (_key, each) => (typeof each === "bigint" ? `${each}` : each))}`,
      );
    },
    (thrown: unknown) => ConnectError.from(thrown),
  );
  const [info] = error.findDetails(ErrorInfoSchema);
  const [retry] = error.findDetails(RetryInfoSchema);
  const delay = retry?.retryDelay;
  const retryMs = delay === undefined ? undefined : Number(delay.seconds) * 1000 + delay.nanos / 1e6;
  return { code: Code[error.code] ?? "", reason: info?.reason, retryMs, message: error.rawMessage };
}

/** Appends events as the bytes they are. */
export async function append(
  link: Link,
  session: string,
  firstSeq: bigint,
  batch: Uint8Array[],
  stream = "main",
): Promise<AppendResponse> {
  const request = { stream: { session, stream }, events: { firstSeq, events: batch } };
  return (await link.transport.unary(opaqueAppend, undefined, undefined, undefined, request)).message;
}

export interface ReadEvent {
  readonly stream: string;
  readonly seq: bigint;
  readonly event: Buffer;
}

/** Every event of a session as ReadEvents gives it, each as the bytes it is. */
export async function readEvents(link: Link, session: string, stream = ""): Promise<ReadEvent[]> {
  const request = only({ session, stream });
  const response = await link.transport.stream(opaqueReadEvents, undefined, undefined, undefined, request);
  const found: ReadEvent[] = [];
  for await (const page of response.message) {
    for (const each of page.events) found.push({ stream: each.stream, seq: each.seq, event: Buffer.from(each.event) });
  }
  return found;
}

export async function readBlob(link: Link, blobId: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const { data } of link.client(SessionsService).readBlob({ blobId })) chunks.push(data);
  return Buffer.concat(chunks);
}

async function* only<T>(message: T): AsyncGenerator<T> {
  yield message;
}
