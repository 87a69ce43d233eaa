import type { HandlerContext } from "@connectrpc/connect";
import { anonymous, type Keys, type Lease, requireScope } from "../core/auth.ts";
import type { Clock } from "../core/clock.ts";
import type { Config } from "../core/config.ts";
import { AppError } from "../core/errors.ts";
import type { Metrics } from "../core/metrics.ts";
import { FailedAuthThrottle, RateLimiter } from "../core/rate-limit.ts";
import type { Scope } from "../core/store/store.ts";
import { type Call, callOf } from "./call.ts";
import { toConnectError } from "./connect-errors.ts";
import { codeName } from "./interceptors.ts";
import { isLoopbackAddress } from "./loopback.ts";

export interface GateOptions {
  readonly keys: Keys;
  readonly config: Config;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** The scope each service needs; a service that is not here is open to all (health, reflection). */
const SCOPES: ReadonlyMap<string, Scope> = new Map([
  ["sluice.v1.IngestService", "ingest"],
  ["sluice.v1.SessionsService", "read"],
  ["sluice.v1.KeysService", "admin"],
]);

/** Who may call what, and how often: decided from the headers, before a byte of the body is read. */
export class Gate {
  readonly #options: GateOptions;
  readonly #throttle: FailedAuthThrottle;
  readonly #rate: RateLimiter;
  readonly #open = new Map<string, number>();

  constructor(options: GateOptions) {
    const { clock, config } = options;
    const perSecond = config.limits.requestsPerSecond;
    this.#options = options;
    this.#throttle = new FailedAuthThrottle({ clock, perMinute: config.auth.failedPerMinute });
    this.#rate = new RateLimiter({ clock, perSecond, burst: perSecond });
  }

  /** Fits Connect's requestGate. Sets the call's lease. */
  async enter(context: HandlerContext): Promise<void> {
    const call = callOf(context);
    try {
      const scope = SCOPES.get(context.service.typeName);
      if (scope === undefined) {
        this.#rate.take(call.remoteAddress);
        call.lease = anonymous();
        return;
      }
      const authorization = context.requestHeader.get("authorization") ?? undefined;
      const lease = await this.#authenticate(call.remoteAddress, authorization, context.signal);
      call.lease = this.#counted(lease, call);
      requireScope(lease.principal, scope);
    } catch (error) {
      const refusal = toConnectError(error);
      call.outcome = codeName(refusal.code);
      throw refusal;
    }
  }

  /** Whether a caller of a page may have what `scope` opens. */
  async allows(scope: Scope, remoteAddress: string, authorization: string | undefined): Promise<boolean> {
    try {
      using lease = await this.#authenticate(remoteAddress, authorization, AbortSignal.timeout(PAGE_DEADLINE_MS));
      return lease.principal.scopes.has(scope);
    } catch {
      return false;
    }
  }

  async #authenticate(remoteAddress: string, authorization: string | undefined, signal: AbortSignal): Promise<Lease> {
    const { config, keys, metrics } = this.#options;
    const presented = /^bearer +(.+)$/i.exec(authorization ?? "")?.[1];
    if (presented === undefined) {
      if (config.auth.anonymousLoopback && isLoopbackAddress(remoteAddress)) return anonymous();
      throw new AppError("unauthenticated", "This needs an API key: send it as Authorization: Bearer slk_…", {
        reason: "KEY_REQUIRED",
      });
    }
    this.#throttle.check(remoteAddress);
    try {
      return await keys.authenticate(presented.trim(), signal);
    } catch (error) {
      const failure = AppError.from(error);
      if (failure.code === "unauthenticated") {
        this.#throttle.failed(remoteAddress);
        metrics.authFailed(failure.reason);
      }
      throw failure;
    }
  }

  /** Takes one of the caller's calls at once and one of its requests a second; the lease gives the former back. */
  #counted(lease: Lease, call: Call): Lease {
    const caller = lease.principal.keyId ?? call.remoteAddress;
    const limit = this.#options.config.limits.streamsPerKey;
    const open = this.#open.get(caller) ?? 0;
    try {
      this.#rate.take(caller);
      if (open >= limit) {
        throw new AppError("resource_exhausted", `This key has ${open} calls open, which is the limit.`, {
          reason: "TOO_MANY_CALLS",
          retryAfterMs: 1_000,
        });
      }
    } catch (error) {
      lease[Symbol.dispose]();
      throw error;
    }
    this.#open.set(caller, open + 1);
    return {
      principal: lease.principal,
      [Symbol.dispose]: () => {
        const left = (this.#open.get(caller) ?? 1) - 1;
        if (left === 0) this.#open.delete(caller);
        else this.#open.set(caller, left);
        lease[Symbol.dispose]();
      },
    };
  }
}

const PAGE_DEADLINE_MS = 5_000;
