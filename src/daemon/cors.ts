import { cors } from "@connectrpc/connect";
import { isLoopbackAddress, isLoopbackHost } from "./loopback.ts";
import type { NodeRequest, NodeResponse } from "./rpc.ts";

/**
 * Decides whether a browser page may reach this daemon. Answers preflights, refuses what is not
 * allowed before any handler sees it, and sets the CORS headers of what is. Returns true when the
 * request has been answered.
 *
 * - An `Origin` that is not on the list is refused with 403. The browser would only hide the answer;
 *   a daemon on loopback that needs no key would still have done what any page asked of it.
 * - A caller on this machine that is let in without a key must name this machine as the `Host`. A page
 *   whose own name is made to resolve to 127.0.0.1 (DNS rebinding) is same-origin to the browser and
 *   sends no Origin with a GET, but its Host gives it away. A key proves more than a name does, so
 *   who sends one may use any.
 *
 * No cookies or other credentials are allowed: keys travel in `Authorization`, which the page sets.
 */
export function createCors(options: CorsOptions): (request: NodeRequest, response: NodeResponse) => boolean {
  const allowed = new Set(options.origins);
  return (request, response) => {
    if (options.anonymousLoopback && isKeylessLoopback(request) && !isLoopbackHost(hostOf(request))) {
      return refuse(
        response,
        "HOST_NOT_ALLOWED",
        "Without a key this daemon is called as localhost, 127.0.0.1 or [::1]; send a key to call it by another name.",
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
  /** Callers from loopback need no key. */
  readonly anonymousLoopback: boolean;
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

function isKeylessLoopback({ headers, socket }: NodeRequest): boolean {
  return headers.authorization === undefined && isLoopbackAddress(socket.remoteAddress);
}

/** The name in `:authority` or `Host`, without its port; "" when there is none or it is no name. */
function hostOf({ headers }: NodeRequest): string {
  const authority = headers[":authority"] ?? headers.host;
  if (typeof authority !== "string") return "";
  return /^(\[[0-9a-fA-F:.]+\]|[^:[\]@/]+)(?::\d+)?$/.exec(authority)?.[1] ?? "";
}
