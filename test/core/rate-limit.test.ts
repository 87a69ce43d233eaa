import { describe, expect, test } from "vitest";
import { FailedAuthThrottle, RateLimiter } from "../../src/core/rate-limit.ts";
import { ManualClock } from "../manual-clock.ts";

function limited(retryAfterMs: number) {
  return expect.objectContaining({ code: "resource_exhausted", reason: "RATE_LIMITED", retryAfterMs });
}

describe("RateLimiter", () => {
  test("lets the burst through, says when to come back, and keeps the rate after that", () => {
    const clock = new ManualClock();
    const limiter = new RateLimiter({ clock, perSecond: 10, burst: 3 });
    for (let at = 0; at < 3; at++) limiter.take("a");
    expect(() => limiter.take("a")).toThrow(limited(100));
    limiter.take("b");
    clock.advance(99);
    expect(() => limiter.take("a")).toThrow(limited(1));
    clock.advance(1);
    limiter.take("a");
    expect(() => limiter.take("a")).toThrow(limited(100));
    clock.advance(3_600_000);
    for (let at = 0; at < 3; at++) limiter.take("a");
    expect(() => limiter.take("a")).toThrow(limited(100));
  });

  test("a clock that goes back gives nothing away and takes nothing", () => {
    const clock = new ManualClock();
    const limiter = new RateLimiter({ clock, perSecond: 1, burst: 1 });
    limiter.take("a");
    clock.advance(-60_000);
    expect(() => limiter.take("a")).toThrow(limited(1000));
    clock.advance(1000);
    limiter.take("a");
  });

  test("remembers no more keys than its capacity, and forgets the one used longest ago", () => {
    const clock = new ManualClock();
    const limiter = new RateLimiter({ clock, perSecond: 1, burst: 1, capacity: 2 });
    limiter.take("a");
    limiter.take("b");
    expect(() => limiter.take("a")).toThrow(limited(1000));
    limiter.take("c");
    expect(() => limiter.take("a")).toThrow(limited(1000));
    limiter.take("b");
  });
});

describe("FailedAuthThrottle", () => {
  test("an address that failed too often waits; others, and calls that don't fail, don't", () => {
    const clock = new ManualClock();
    const throttle = new FailedAuthThrottle({ clock, perMinute: 30 });
    for (let at = 0; at < 100; at++) throttle.check("10.0.0.1");
    for (let at = 0; at < 30; at++) throttle.failed("10.0.0.1");
    expect(() => throttle.check("10.0.0.1")).toThrow(limited(2000));
    throttle.check("10.0.0.2");
    clock.advance(2000);
    throttle.check("10.0.0.1");
  });

  test.each([
    ["an IPv6 network of 64 bits", "2001:db8:1:2::5", "2001:db8:1:2:ffff:1:2:3", "2001:db8:1:3::5"],
    ["zeros that were left out", "2001:db8::1", "2001:db8:0:0:1::2", "2001:db8:0:1::1"],
    ["IPv4 and the same in IPv6", "10.0.0.1", "::ffff:10.0.0.1", "::ffff:10.0.0.2"],
  ])("%s counts as one address", (_name, failing, same, other) => {
    const throttle = new FailedAuthThrottle({ clock: new ManualClock(), perMinute: 1 });
    throttle.failed(failing);
    expect(() => throttle.check(same)).toThrow(limited(60_000));
    throttle.check(other);
  });
});
