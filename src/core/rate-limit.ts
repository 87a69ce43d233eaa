import { isIPv6 } from "node:net";
import type { Clock } from "./clock.ts";
import { AppError } from "./errors.ts";

export interface RateLimiterOptions {
  readonly clock: Pick<Clock, "now">;
  /** Tokens a second, and how many may be saved up. */
  readonly perSecond: number;
  readonly burst: number;
  /** Keys remembered at once; 10,000 unless told. The one used longest ago is forgotten first. */
  readonly capacity?: number;
}

/**
 * A token bucket a key, in bounded memory. A bucket is one number, the time at which it is full
 * again: a token is `1000 / perSecond` ms of it, which stays exact where a count of tokens drifts.
 */
export class RateLimiter {
  readonly #clock: Pick<Clock, "now">;
  readonly #intervalMs: number;
  readonly #depthMs: number;
  readonly #capacity: number;
  readonly #fullAtMs = new Map<string, number>();

  constructor({ clock, perSecond, burst, capacity = 10_000 }: RateLimiterOptions) {
    this.#clock = clock;
    this.#intervalMs = 1000 / perSecond;
    this.#depthMs = burst * this.#intervalMs;
    this.#capacity = capacity;
  }

  /** Takes a token; fails with `resource_exhausted` RATE_LIMITED, with when there is one again. */
  take(key: string): void {
    this.check(key);
    this.spend(key);
  }

  /** Fails like `take`, and takes nothing. */
  check(key: string): void {
    const waitMs = this.#missingMs(key) + this.#intervalMs - this.#depthMs;
    if (waitMs <= 0) return;
    const retryAfterMs = Math.ceil(waitMs);
    throw new AppError("resource_exhausted", `Too many requests; try again in ${retryAfterMs} ms.`, {
      reason: "RATE_LIMITED",
      retryAfterMs,
    });
  }

  /** Takes a token if there is one. */
  spend(key: string): void {
    this.#fullAtMs.set(key, this.#clock.now() + Math.min(this.#depthMs, this.#missingMs(key) + this.#intervalMs));
    if (this.#fullAtMs.size > this.#capacity) this.#forgetOldest();
  }

  /** How long until the bucket is full: at most its depth, whatever the clock did. Marks the key as used. */
  #missingMs(key: string): number {
    const fullAtMs = this.#fullAtMs.get(key);
    if (fullAtMs === undefined) return 0;
    const now = this.#clock.now();
    const missingMs = Math.min(this.#depthMs, Math.max(0, fullAtMs - now));
    this.#fullAtMs.delete(key);
    this.#fullAtMs.set(key, now + missingMs);
    return missingMs;
  }

  #forgetOldest(): void {
    for (const oldest of this.#fullAtMs.keys()) {
      this.#fullAtMs.delete(oldest);
      return;
    }
  }
}

/** Holds back remote addresses that keep presenting keys that don't work. */
export class FailedAuthThrottle {
  readonly #limiter: RateLimiter;

  constructor(options: { readonly clock: Pick<Clock, "now">; readonly perMinute: number }) {
    this.#limiter = new RateLimiter({
      clock: options.clock,
      perSecond: options.perMinute / 60,
      burst: options.perMinute,
    });
  }

  /** Before authenticating: fails with `resource_exhausted` RATE_LIMITED when the address failed too often. */
  check(remoteAddress: string): void {
    this.#limiter.check(networkOf(remoteAddress));
  }

  /** After a failure. */
  failed(remoteAddress: string): void {
    this.#limiter.spend(networkOf(remoteAddress));
  }
}

/** Whoever has one IPv6 address usually has its whole /64; IPv4 in IPv6 is the IPv4 address. */
function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [plain = ""] = address.split("%");
  if (!isIPv6(plain)) return address;
  const [head = "", tail] = plain.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array.from({ length: Math.max(0, zeros) }, () => "0"), ...right];
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":");
}
