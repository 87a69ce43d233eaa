import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { parseApiKey, redactApiKeys } from "../../src/core/api-key.ts";
import { anonymous, type KeyStore, Keys, requireScope, resolveProject } from "../../src/core/auth.ts";
import { AppError } from "../../src/core/errors.ts";
import type { KeyRecord } from "../../src/core/store/store.ts";
import { ManualClock } from "../manual-clock.ts";

const DAY_MS = 86_400_000;
const never = new AbortController().signal;
const wanted = { project: "shop", name: "collector", scopes: ["ingest"], expiresAtMs: undefined } as const;

/** What Keys asks of a Store, in memory, with every call counted and failures on request. */
class MemoryKeys implements KeyStore {
  readonly records = new Map<string, KeyRecord>();
  readonly calls: string[] = [];
  failure: AppError | undefined;

  async createKey(key: KeyRecord): Promise<void> {
    this.#called("createKey");
    this.records.set(key.id, key);
  }
  async readKey(id: string): Promise<KeyRecord | undefined> {
    this.#called("readKey");
    return this.records.get(id);
  }
  async listKeys(project: string | undefined): Promise<KeyRecord[]> {
    this.#called("listKeys");
    return [...this.records.values()].filter((key) => project === undefined || key.project === project).reverse();
  }
  async rotateKey(id: string, next: KeyRecord, endsAtMs: number): Promise<void> {
    this.#called("rotateKey");
    this.records.set(next.id, next);
    this.#change(id, { expiresAtMs: endsAtMs, replacedBy: next.id });
  }
  async revokeKey(id: string, atMs: number): Promise<KeyRecord> {
    this.#called("revokeKey");
    return this.#change(id, { revokedAtMs: this.records.get(id)?.revokedAtMs ?? atMs });
  }
  async touchKey(id: string, atMs: number): Promise<void> {
    this.#called("touchKey");
    this.#change(id, { lastUsedAtMs: atMs });
  }

  count(call: string): number {
    return this.calls.filter((name) => name === call).length;
  }

  #called(name: string): void {
    this.calls.push(name);
    if (this.failure !== undefined) throw this.failure;
  }
  #change(id: string, change: Partial<KeyRecord>): KeyRecord {
    const record = this.records.get(id);
    if (record === undefined) throw new AppError("not_found", "no key", { reason: "KEY_NOT_FOUND" });
    const changed = { ...record, ...change };
    this.records.set(id, changed);
    return changed;
  }
}

function setUp() {
  const store = new MemoryKeys();
  const clock = new ManualClock();
  const failures: AppError[] = [];
  const keys = new Keys({ store, clock, onFailure: (error) => failures.push(error) });
  return { store, clock, keys, failures };
}

async function refused(attempt: Promise<unknown>): Promise<AppError> {
  return AppError.from(
    await attempt.then(
      () => undefined,
      (error: unknown) => error,
    ),
  );
}

describe("keys", () => {
  test("a key is slk_<id>_<secret>, works, and only a hash of its secret is stored", async () => {
    const { store, keys } = setUp();
    await using _ = keys;
    const { key, secret } = await keys.create(wanted, never);
    expect(secret).toMatch(/^slk_[a-z2-7]{12}_[0-9A-Za-z]{43}$/);
    using lease = await keys.authenticate(secret, never);
    expect(lease.principal).toMatchObject({ keyId: key.id, project: "shop", scopes: new Set(["ingest"]) });
    expect(lease.principal.signal.aborted).toBe(false);
    const stored = JSON.stringify([...store.records.values()].map((record) => ({ ...record, hash: [...record.hash] })));
    expect(stored).not.toContain(parseApiKey(secret).secret);
    expect(key.hash).toHaveLength(32);
  });

  test("malformed, unknown, wrong, revoked and expired keys are refused in the same words", async () => {
    const { keys, clock } = setUp();
    await using _ = keys;
    const good = await keys.create(wanted, never);
    const revoked = await keys.create(wanted, never);
    const expired = await keys.create({ ...wanted, expiresAtMs: clock.now() + 1000 }, never);
    await keys.revoke(revoked.key.id, { project: "shop" }, never);
    clock.advance(1000);
    const other = parseApiKey(revoked.secret).secret;
    const presented = [
      "",
      "x",
      `slk_${"a".repeat(12)}_${"A".repeat(43)}`,
      `slk_${good.key.id}_${other}`,
      `${good.secret} `,
    ];
    const errors = await Promise.all(
      [...presented, revoked.secret, expired.secret].map((secret) => refused(keys.authenticate(secret, never))),
    );
    for (const error of errors) {
      expect(error).toMatchObject({
        code: "unauthenticated",
        reason: "UNAUTHENTICATED",
        message: "This needs a valid API key.",
        metadata: {},
      });
    }
    (await keys.authenticate(good.secret, never))[Symbol.dispose]();
  });

  test("a rotated key goes on for the overlap, its successor has the same rights and lifetime, and it can't be rotated again", async () => {
    const { keys, clock } = setUp();
    await using _ = keys;
    const old = await keys.create({ ...wanted, expiresAtMs: clock.now() + 30 * DAY_MS }, never);
    clock.advance(DAY_MS);
    const next = await keys.rotate(old.key.id, { project: "shop", overlapMs: 5000 }, never);
    expect(next.key).toMatchObject({
      project: "shop",
      name: "collector",
      scopes: ["ingest"],
      expiresAtMs: clock.now() + 30 * DAY_MS,
    });
    using during = await keys.authenticate(old.secret, never);
    using _next = await keys.authenticate(next.secret, never);
    expect(await refused(keys.rotate(old.key.id, { project: undefined, overlapMs: 0 }, never))).toMatchObject({
      code: "failed_precondition",
      reason: "KEY_REPLACED",
      metadata: { replaced_by: next.key.id },
    });
    const ended = once(during.principal.signal, "abort");
    clock.advance(5000);
    await ended;
    expect(await refused(keys.authenticate(old.secret, never))).toMatchObject({ code: "unauthenticated" });
  });

  test("a rotation without overlap ends the old key's leases at once", async () => {
    const { keys } = setUp();
    await using _ = keys;
    const old = await keys.create(wanted, never);
    using lease = await keys.authenticate(old.secret, never);
    await keys.rotate(old.key.id, { project: undefined, overlapMs: 0 }, never);
    expect(lease.principal.signal.aborted).toBe(true);
  });

  test("another project's key is not found, in the words of one that isn't there", async () => {
    const { keys } = setUp();
    await using _ = keys;
    const { key } = await keys.create(wanted, never);
    const theirs = await refused(keys.revoke(key.id, { project: "other" }, never));
    const none = await refused(keys.revoke("a".repeat(12), { project: "other" }, never));
    expect(theirs).toMatchObject({ code: "not_found", reason: "KEY_NOT_FOUND" });
    expect(theirs.message.replace(key.id, "ID")).toBe(none.message.replace("a".repeat(12), "ID"));
    expect(await refused(keys.rotate(key.id, { project: "other", overlapMs: 0 }, never))).toMatchObject({
      code: "not_found",
    });
  });

  test.each([
    ["a project that is no id", { project: "a b" }],
    ["an empty name", { name: "" }],
    ["a name with a control character", { name: "a\nb" }],
    ["no scope", { scopes: [] }],
    ["an end in the past", { expiresAtMs: 5 }],
    ["an end that is no number", { expiresAtMs: Number.NaN }],
  ])("no key is made with %s", async (_name, change) => {
    const { keys, store } = setUp();
    await using _ = keys;
    expect(await refused(keys.create({ ...wanted, ...change }, never))).toMatchObject({ code: "invalid_argument" });
    expect(store.records.size).toBe(0);
  });
});

describe("leases", () => {
  test("a key that this process revokes ends its leases at once", async () => {
    const { keys } = setUp();
    await using _ = keys;
    const { key, secret } = await keys.create(wanted, never);
    using first = await keys.authenticate(secret, never);
    using second = await keys.authenticate(secret, never);
    await keys.revoke(key.id, { project: "shop" }, never);
    for (const { principal } of [first, second]) {
      expect(principal.signal.reason).toMatchObject({ code: "unauthenticated", reason: "UNAUTHENTICATED" });
    }
  });

  test("a key that another process revokes ends its leases within refreshMs", async () => {
    const { keys, store, clock } = setUp();
    await using _ = keys;
    const { key, secret } = await keys.create(wanted, never);
    using lease = await keys.authenticate(secret, never);
    await store.revokeKey(key.id, clock.now());
    const ended = once(lease.principal.signal, "abort");
    clock.advance(1000);
    await ended;
  });

  test("a key that ends while the store is away ends its leases all the same; others go on and the failure is reported", async () => {
    const { keys, store, clock, failures } = setUp();
    await using _ = keys;
    const short = await keys.create({ ...wanted, expiresAtMs: clock.now() + 1000 }, never);
    const long = await keys.create(wanted, never);
    using shortLease = await keys.authenticate(short.secret, never);
    using longLease = await keys.authenticate(long.secret, never);
    store.failure = new AppError("unavailable", "away", { reason: "STORE_AWAY" });
    const ended = once(shortLease.principal.signal, "abort");
    clock.advance(1000);
    await ended;
    expect(longLease.principal.signal.aborted).toBe(false);
    expect(await refused(keys.authenticate(long.secret, never))).toMatchObject({ code: "unavailable" });
    await expect.poll(() => failures.map(({ reason }) => reason)).toContain("STORE_AWAY");
  });

  test("a key is read from the store once in refreshMs however often it is presented", async () => {
    const { keys, store, clock } = setUp();
    await using _ = keys;
    const { secret } = await keys.create(wanted, never);
    for (let at = 0; at < 50; at++) (await keys.authenticate(secret, never))[Symbol.dispose]();
    expect(store.count("readKey")).toBe(1);
    clock.advance(1000);
    (await keys.authenticate(secret, never))[Symbol.dispose]();
    expect(store.count("readKey")).toBeGreaterThan(1);
  });

  test("when the last lease is given back, nothing is watched and no timer is left", async () => {
    const { keys, store, clock } = setUp();
    await using _ = keys;
    const { secret } = await keys.create(wanted, never);
    const lease = await keys.authenticate(secret, never);
    expect(clock.sleepers).toBe(1);
    lease[Symbol.dispose]();
    clock.advance(1000);
    await expect.poll(() => clock.sleepers).toBe(0);
    expect(store.count("readKey")).toBe(1);
    using _again = await keys.authenticate(secret, never);
    expect(clock.sleepers).toBe(1);
  });

  test("the last use is written at most once a minute", async () => {
    const { keys, store, clock } = setUp();
    await using _ = keys;
    const { secret } = await keys.create(wanted, never);
    for (let second = 0; second < 61; second++) {
      (await keys.authenticate(secret, never))[Symbol.dispose]();
      clock.advance(1000);
    }
    await expect.poll(() => store.count("touchKey")).toBe(2);
  });
});

describe("rights", () => {
  test("a scope that the key lacks is denied", async () => {
    const { keys } = setUp();
    await using _ = keys;
    const { secret } = await keys.create(wanted, never);
    using lease = await keys.authenticate(secret, never);
    requireScope(lease.principal, "ingest");
    expect(() => requireScope(lease.principal, "read")).toThrow(
      expect.objectContaining({ code: "permission_denied", reason: "SCOPE_MISSING" }),
    );
  });

  test("a key has its own project and no other; without a key any project may be named", async () => {
    const { keys } = setUp();
    await using _ = keys;
    const { secret } = await keys.create(wanted, never);
    using lease = await keys.authenticate(secret, never);
    expect([resolveProject(lease.principal, ""), resolveProject(lease.principal, "shop")]).toEqual(["shop", "shop"]);
    for (const other of ["default", "other", "no such", "SHOP"]) {
      expect(() => resolveProject(lease.principal, other)).toThrow(
        expect.objectContaining({
          code: "permission_denied",
          reason: "PROJECT_MISMATCH",
          message: "This key is for another project.",
        }),
      );
    }
    using local = anonymous();
    expect([resolveProject(local.principal, ""), resolveProject(local.principal, "other")]).toEqual([
      "default",
      "other",
    ]);
    expect(() => resolveProject(local.principal, "../x")).toThrow(expect.objectContaining({ reason: "BAD_ID" }));
  });
});

describe("the text of a key", () => {
  test.each([
    ["", "it is empty"],
    [`slk_${"a".repeat(12)}_${"A".repeat(43)}\n`, "it has white space in it"],
    ["sk-proj-abcdef", "a key begins with slk_"],
    [`slk_${"a".repeat(12)}_${"A".repeat(42)}`, "part of it is missing or changed"],
  ])("what is wrong with %j is said without repeating it", (text, message) => {
    expect(() => parseApiKey(text)).toThrow(message);
    if (text !== "") expect(() => parseApiKey(text)).not.toThrow(text.trim());
  });

  test("secrets are taken out of any text, also when the key is cut short", async () => {
    const { keys } = setUp();
    await using _ = keys;
    const { key, secret } = await keys.create(wanted, never);
    expect(redactApiKeys(`a ${secret} b ${secret.slice(0, 40)}`)).toBe(`a slk_${key.id}_*** b slk_${key.id}_***`);
  });
});
