import type { Metrics } from "../core/metrics.ts";
import type { Health, Readiness } from "./health.ts";
import type { NodeRequest, NodeResponse } from "./rpc.ts";

/**
 * The plain HTTP pages, for probes and people: `/livez`, `/readyz` (`?verbose` for each check),
 * `/metrics` and `/`. Any other path is 404, any method but GET and HEAD is 405. Takes whatever is
 * no call, and always answers.
 */
export function createPages(options: PagesOptions): (request: NodeRequest, response: NodeResponse) => Promise<void> {
  return async (request, response) => {
    const page = await readPage(options, request).catch((error: unknown): Page => {
      options.onError(error);
      return failure(500, "internal", "Something unexpected failed; the log has the cause.");
    });
    if (response.destroyed) return;
    const body = Buffer.from(page.body);
    response.statusCode = page.status;
    response.setHeader("Content-Type", page.type);
    response.setHeader("Content-Length", body.length);
    response.setHeader("Cache-Control", "no-store");
    response.setHeader("X-Content-Type-Options", "nosniff");
    for (const [name, value] of Object.entries(page.headers ?? {})) response.setHeader(name, value);
    if (request.method === "HEAD") response.end();
    else response.end(body);
  };
}

export interface PagesOptions {
  readonly health: Health;
  readonly metrics: Metrics;
  readonly version: string;
  /** Whether this caller may see `/metrics` and `/readyz?verbose`. */
  allowDetail(request: NodeRequest): boolean | Promise<boolean>;
  /** Told what made a page fail; the caller of the page is not. */
  onError(error: unknown): void;
}

interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function readPage(options: PagesOptions, request: NodeRequest): Promise<Page> {
  const [path = "/", query = ""] = (request.url ?? "/").split("?", 2);
  const read = PAGES.get(path);
  if (read === undefined) {
    return failure(
      404,
      "not_found",
      "No such page or method. Calls are POST /package.Service/Method; reflection lists them.",
    );
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { ...failure(405, "unimplemented", "This page is read with GET."), headers: { Allow: "GET, HEAD" } };
  }
  return read(options, request, new URLSearchParams(query));
}

type Read = (options: PagesOptions, request: NodeRequest, query: URLSearchParams) => Page | Promise<Page>;

const PAGES: ReadonlyMap<string, Read> = new Map<string, Read>([
  ["/", ({ version }) => text(200, `sluiced ${version}: Connect, gRPC and gRPC-Web. See /livez, /readyz, /metrics.\n`)],
  // That this answers is all there is to being alive.
  ["/livez", () => text(200, "ok\n")],
  ["/readyz", readReadiness],
  ["/metrics", readMetrics],
]);

async function readReadiness(options: PagesOptions, request: NodeRequest, query: URLSearchParams): Promise<Page> {
  const verbose = query.has("verbose");
  if (verbose && !(await options.allowDetail(request))) return DETAIL_REFUSED;
  // Checks have their own deadlines, and a probe that left costs nothing more.
  const readiness = await options.health.ready(NEVER);
  const status = readiness.ok ? 200 : 503;
  if (verbose) return json(status, readiness);
  return text(status, `${summary(readiness)}\n`);
}

async function readMetrics(options: PagesOptions, request: NodeRequest): Promise<Page> {
  if (!(await options.allowDetail(request))) return DETAIL_REFUSED;
  return { status: 200, type: options.metrics.contentType, body: await options.metrics.render() };
}

function summary({ ok, draining }: Readiness): string {
  if (draining) return "draining";
  return ok ? "ok" : "not ready";
}

function text(status: number, body: string): Page {
  return { status, type: "text/plain; charset=utf-8", body };
}

function json(status: number, body: object): Page {
  return { status, type: "application/json", body: `${JSON.stringify(body)}\n` };
}

function failure(status: number, code: string, message: string): Page {
  return json(status, { code, message });
}

const NEVER = new AbortController().signal;
const DETAIL_REFUSED = failure(
  403,
  "permission_denied",
  "Ask from this machine, or with a key of the scope read, for metrics and details.",
);
