import { cors } from "@connectrpc/connect";
import { isLoopbackHost } from "./loopback.ts";
import type { NodeRequest, NodeResponse } from "./rpc.ts";

/**
 * Decides whether a browser page may reach this daemon. Answers preflights, refuses what is not
 * allowed before any handler sees it, and sets the CORS headers of what is. Returns true when the
 * request has been answered.
 *
 * - An `Origin` that is not on the list is refused with 403. The browser would only hide the answer;
 *   a daemon on loopback that needs no key would still have done what any page asked of it.
 * - A daemon on loopback refuses a `Host` that is not a name of loopback. A page whose own name is
 *   made to resolve to 127.0.0.1 (DNS rebinding) is same-origin to the browser and may send no
 *   Origin, but its Host header gives it away.
 *
 * No cookies or other credentials are allowed: keys travel in `Authorization`, which the page sets.
 */
export function createCors(options: CorsOptions): (request: NodeRequest, response: NodeResponse) => boolean {
  const allowed = new Set(options.origins);
  return (request, response) => {
    const host = hostOf(request);
    if (options.loopbackOnly && (host === undefined || !isLoopbackHost(host))) {
      return refuse(
        response,
        "HOST_NOT_ALLOWED",
        "This daemon listens on loopback: call it as localhost, 127.0.0.1 or [::1].",
      );
    }
    const { origin } = request.headers;
    // What differs by origin must not be cached for all.
    if (allowed.size > 0) response.setHeader("Vary", "Origin");
    if (origin === undefined) return false;
    if (!allowed.has(origin)) {
      return refuse(
        response,
        "ORIGIN_NOT_ALLOWED",
        "Pages of this origin may not call this daemon; add it to cors.origins.",
      );
    }
    response.setHeader("Access-Control-Allow-Origin", origin);
    if (request.method !== "OPTIONS") {
      response.setHeader("Access-Control-Expose-Headers", EXPOSED_HEADERS);
      return false;
    }
    response.setHeader("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
    response.setHeader("Access-Control-Allow-Methods", cors.allowedMethods.join(", "));
    response.setHeader("Access-Control-Allow-Headers", ALLOWED_HEADERS);
    response.setHeader("Access-Control-Max-Age", PREFLIGHT_SECONDS);
    response.statusCode = 204;
    response.end();
    return true;
  };
}

export interface CorsOptions {
  /** Exact origins, as a browser sends them: `https://app.example.com`, no path, no trailing slash. */
  readonly origins: readonly string[];
  /** The daemon is bound to loopback. */
  readonly loopbackOnly: boolean;
}

const ALLOWED_HEADERS = [...cors.allowedHeaders, "Authorization"].join(", ");
const EXPOSED_HEADERS = [...cors.exposedHeaders, "Retry-After"].join(", ");
/** The longest Chromium keeps a preflight's answer. */
const PREFLIGHT_SECONDS = "7200";

function refuse(response: NodeResponse, reason: string, message: string): true {
  const body = Buffer.from(`${JSON.stringify({ code: "permission_denied", reason, message })}\n`);
  response.statusCode = 403;
  response.setHeader("Content-Type", "application/json");
  response.setHeader("Content-Length", body.length);
  response.end(body);
  return true;
}

/** The name in `:authority` or `Host`, without its port; undefined when there is none or it is no name. */
function hostOf(request: NodeRequest): string | undefined {
  const authority = request.headers[":authority"] ?? request.headers.host;
  if (typeof authority !== "string") return undefined;
  return /^(\[[0-9a-fA-F:.]+\]|[^:[\]@/]+)(?::\d+)?$/.exec(authority)?.[1];
}
