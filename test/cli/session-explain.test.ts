import { afterEach, beforeEach, expect, test } from "vitest";
import { artifact, claimOne, sealedSession, settleDone } from "../contract/job-fixtures.ts";
import { never } from "../fixtures.ts";
import { Workplace } from "./sluice.ts";

let place: Workplace;
beforeEach(async () => {
  place = await Workplace.open();
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

const FIRST = { kind: "validate", project: "default", session: "s1", priority: 5 };

test("sessions explain tells what made each artifact, and why each stage is fresh or not", async () => {
  {
    await using app = await place.app();
    const { store } = app;
    await sealedSession(store, "default", "s1");
    // What an earlier release made.
    await store.enqueue([{ ...FIRST, campaign: "c1" }], 1_000, never);
    await settleDone(store, await claimOne(store, "validate", 1_000), 2_000, {
      ...artifact("validate", "earlier"),
      version: 0,
    });
  }
  const before = await place.sluice(["sessions", "explain", "s1"]);
  expect(before.code, before.stderr).toBe(0);
  expect(before.stdout).toMatch(/^validate {2}stale: version 0 made it, this release has \d+$/m);

  {
    await using app = await place.app();
    await app.store.enqueue([FIRST], 3_000, never);
  }
  const worked = await place.sluice(["work", "--once", "--kinds", "validate"]);
  expect(worked.code, worked.stderr).toBe(0);
  const { code, stdout } = await place.sluice(["sessions", "explain", "s1"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^validate {2}fresh$/m);
  expect(stdout).toMatch(
    /^ {2}current {2}[0-9a-f]{64}\n {4}version \d+, parameters \{\}\n {4}made .* in \d+\.\d\d s by job \d+\n {4}read recording [0-9a-f]{64}\n {4}gave [0-9a-f]{64} {2}.*B, stored as .*B$/m,
  );
  expect(stdout).toMatch(/^ {2}earlier {2}[0-9a-f]{64}\n {4}version 0, .*\n {4}made .* of campaign c1$/m);

  const records = (await place.sluice(["sessions", "explain", "s1", "--json"])).records();
  expect(records[0]).toMatchObject({ type: "stage", stage: "validate", state: "fresh", why: [] });
  const made = records.filter(({ type }) => type === "artifact");
  expect(made).toMatchObject([
    { stage: "validate", current: true, params: {}, inputs: [{ name: "recording" }], blobs: [] },
    { stage: "validate", current: false, version: 0, campaign: "c1", created_at_ms: 2_000 },
  ]);
  expect(await place.sluice(["sessions", "explain", "none"])).toMatchObject({ code: 4 });
});
