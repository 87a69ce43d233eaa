import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Keys } from "../../src/core/auth.ts";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { SqliteStore } from "../../src/core/store/sqlite/sqlite-store.ts";
import { never } from "../fixtures.ts";
import { ManualClock } from "../manual-clock.ts";

vi.setConfig({ testTimeout: 60_000 });
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sluice-keys-"));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

const openStore = () => SqliteStore.open({ path: join(dir, "sluice.db"), limits: DEFAULT_LIMITS, create: true });
const wanted = { project: "shop", name: "collector", scopes: ["read", "ingest"], expiresAtMs: undefined } as const;

test("a key outlives the process that made it, with its scopes and last use", async () => {
  const clock = new ManualClock();
  const { key, secret } = await (async () => {
    await using store = await openStore();
    await using keys = new Keys({ store, clock });
    const created = await keys.create(wanted, never);
    (await keys.authenticate(created.secret, never))[Symbol.dispose]();
    return created;
  })();
  await using store = await openStore();
  await using keys = new Keys({ store, clock });
  using lease = await keys.authenticate(secret, never);
  expect(lease.principal).toMatchObject({ keyId: key.id, project: "shop", scopes: new Set(["ingest", "read"]) });
  expect(await keys.list("shop", never)).toEqual([{ ...key, lastUsedAtMs: clock.now() }]);
  expect(await keys.list("other", never)).toEqual([]);
});

test("what another store revokes ends here within refreshMs", async () => {
  const clock = new ManualClock();
  await using here = await openStore();
  await using there = await openStore();
  await using keys = new Keys({ store: here, clock });
  await using others = new Keys({ store: there, clock });
  const { key, secret } = await keys.create(wanted, never);
  using lease = await keys.authenticate(secret, never);
  await others.revoke(key.id, { project: "shop" }, never);
  const ended = once(lease.principal.signal, "abort");
  clock.advance(1000);
  await ended;
  await expect(keys.authenticate(secret, never)).rejects.toMatchObject({ code: "unauthenticated" });
});

test("a rotation is stored whole: the old key's end, its successor, and that it can't be repeated", async () => {
  const clock = new ManualClock();
  await using store = await openStore();
  await using keys = new Keys({ store, clock });
  const old = await keys.create(wanted, never);
  const next = await keys.rotate(old.key.id, { project: "shop", overlapMs: 5000 }, never);
  const stored = new Map((await keys.list("shop", never)).map((key) => [key.id, key]));
  expect(stored.get(old.key.id)).toMatchObject({ expiresAtMs: clock.now() + 5000, replacedBy: next.key.id });
  expect(stored.get(next.key.id)).toEqual(next.key);
  await keys.revoke(next.key.id, { project: undefined }, never);
  await expect(keys.rotate(next.key.id, { project: undefined, overlapMs: 0 }, never)).rejects.toMatchObject({
    code: "failed_precondition",
    reason: "KEY_REVOKED",
  });
});
