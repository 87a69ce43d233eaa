import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { never } from "../fixtures.ts";
import { Workplace } from "./sluice.ts";

vi.setConfig({ testTimeout: 60_000 });
let place: Workplace;
beforeEach(async () => {
  place = await Workplace.open();
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

async function create(...more: string[]): Promise<{ id: string; secret: string }> {
  const { code, stdout, stderr } = await place.sluice([
    "keys",
    "create",
    "--name",
    "ci",
    "--scope",
    "ingest,read",
    ...more,
  ]);
  expect(code, stderr).toBe(0);
  const secret = stdout.trim();
  return { id: secret.split("_")[1] ?? "", secret };
}

test("create makes the store, prints the key alone on stdout, and the key works in its project with its scopes", async () => {
  const { id, secret } = await create("--project", "shop", "--expires", "90d");
  await using app = await place.app();
  using lease = await app.keys.authenticate(secret, never);
  expect(lease.principal).toMatchObject({ keyId: id, project: "shop", scopes: new Set(["ingest", "read"]) });
});

test("list shows keys and their state, never a secret", async () => {
  const first = await create();
  const second = await create("--project", "shop");
  await place.sluice(["keys", "revoke", second.id]);
  const { code, stdout } = await place.sluice(["keys", "list"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(new RegExp(`^${first.id} +default +ci +ingest,read +active`, "m"));
  expect(stdout).toMatch(new RegExp(`^${second.id} +shop +ci +ingest,read +revoked`, "m"));
  const json = await place.sluice(["keys", "list", "--json"]);
  expect(json.records().map(({ type }) => type)).toEqual(["key", "key", "summary"]);
  for (const { secret } of [first, second]) expect(stdout + json.stdout).not.toContain(secret.slice(17));
});

test("list exits 4 without keys and 10 without a store", async () => {
  expect((await place.sluice(["keys", "list"])).code).toBe(10);
  await place.sluice(["migrate", "up"]);
  expect((await place.sluice(["keys", "list"])).code).toBe(4);
});

test("rotate prints the successor and leaves the old key for the overlap; revoke ends a key", async () => {
  const old = await create();
  const { code, stdout } = await place.sluice(["keys", "rotate", old.id, "--overlap", "1h"]);
  expect(code).toBe(0);
  await using app = await place.app();
  (await app.keys.authenticate(stdout.trim(), never))[Symbol.dispose]();
  (await app.keys.authenticate(old.secret, never))[Symbol.dispose]();
  expect((await place.sluice(["keys", "rotate", old.id])).code).toBe(1);
  expect((await place.sluice(["keys", "revoke", old.id])).code).toBe(0);
  expect((await place.sluice(["keys", "revoke", old.id, "--project", "other"])).code).toBe(4);
  expect((await place.sluice(["keys", "revoke", "nosuchkey"])).code).toBe(4);
});

test("a key that another process revokes ends what is open here within about a second", async () => {
  const { id, secret } = await create();
  await using app = await place.app();
  using lease = await app.keys.authenticate(secret, never);
  expect((await place.sluice(["keys", "revoke", id])).code).toBe(0);
  await expect.poll(() => lease.principal.signal.aborted, { timeout: 20_000 }).toBe(true);
});
