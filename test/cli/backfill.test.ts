import { once } from "node:events";
import { cp, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openRecordings } from "../../src/core/import/importer.ts";
import type { Store } from "../../src/core/store/store.ts";
import { DaemonProcess } from "../daemon/process.ts";
import { never } from "../fixtures.ts";
import { writeVariants } from "../torture/variants.ts";
import { Workplace } from "./sluice.ts";

const SAMPLE = fileURLToPath(new URL("../../dev/sample", import.meta.url));

let place: Workplace;
beforeEach(async () => {
  place = await Workplace.open();
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

async function backfill(...args: string[]) {
  const ran = await place.sluice(["backfill", ...args, "--json"]);
  const records = ran.records();
  return { code: ran.code, stderr: ran.stderr, records, summary: records.at(-1) };
}

/** Every event of what is at `path` is in the store, byte for byte, its session sealed, its screenshots there. */
async function expectStored(store: Store, path: string): Promise<number> {
  let sessions = 0;
  for await (const recording of openRecordings(path, never)) {
    sessions += 1;
    const { session } = recording;
    const stored = await store.readEvents(
      { project: "default", session, stream: undefined, fromSeq: 1n, after: undefined, maxBytes: 1e9 },
      never,
    );
    const events: Buffer[] = [];
    for await (const { event } of recording.events(1n, never)) events.push(Buffer.from(event));
    expect(
      stored.map(({ event }) => Buffer.from(event).toString("hex")),
      session,
    ).toEqual(events.map((event) => event.toString("hex")));
    const found = await store.readSession("default", session, never);
    expect(found?.seal, session).toBeDefined();
    for await (const { id } of recording.blobs(never)) {
      expect(await store.missingBlobs("default", [id], undefined, never)).toEqual([]);
    }
  }
  return sessions;
}

test("brings recordings in whole and seals them, with labels, and their jobs are there", async () => {
  const ran = await backfill("start", SAMPLE, "--label", "source=archive");
  expect(ran.code, ran.stderr).toBe(0);
  expect(ran.summary).toMatchObject({ imported: 3, duplicate: 0, refused: 0, sessions: 3, events: 149 });
  await using app = await place.app();
  expect(await expectStored(app.store, SAMPLE)).toBe(3);
  const session = await app.store.readSession("default", "search-and-buy", never);
  expect(session?.info?.labels).toContainEqual({ name: "source", value: "archive" });
  const { jobs } = await app.store.listJobs({ state: "available", limit: 10, cursor: undefined }, never);
  expect(jobs.map(({ kind }) => kind)).toEqual(["validate", "validate", "validate"]);
});

test("run again, with everything moved and renamed, adds nothing", async () => {
  const inbox = join(place.dir, "inbox");
  await cp(SAMPLE, inbox, { recursive: true });
  await backfill("start", "inbox");
  await rename(join(inbox, "search-and-buy"), join(inbox, "another name"));
  await rename(inbox, join(place.dir, "moved"));
  const again = await backfill("start", "moved");
  expect(again.summary).toMatchObject({ imported: 0, duplicate: 3, events: 0 });
  await using app = await place.app();
  expect(await expectStored(app.store, SAMPLE)).toBe(3);
});

test("killed at any moment it goes on, and what it brought in is exact", async () => {
  const inbox = join(place.dir, "inbox");
  await writeVariants(inbox, 120);
  let kills = 0;
  for (const ms of [700, 900, 1_100, 1_300, 1_500]) {
    const child = place.spawn(["backfill", "start", "inbox"]);
    const timer = setTimeout(() => child.kill("SIGKILL"), ms);
    await once(child, "exit");
    clearTimeout(timer);
    if (child.signalCode === "SIGKILL") kills += 1;
  }
  expect(kills).toBeGreaterThan(0);
  const last = await backfill("start", "inbox");
  expect(last.code, last.stderr).toBe(0);
  await using app = await place.app();
  let sessions = 0;
  for (let number = 0; number < 120; number++) {
    sessions += await expectStored(app.store, join(inbox, "000", `capture-${number}`));
  }
  expect(sessions).toBe(120);
  const { records } = await backfill("list");
  const backfills = records.filter(({ type }) => type === "backfill");
  const first = String(backfills.at(-1)?.["id"]);
  const counts = (await backfill("show", first)).records.filter(({ type }) => type === "count");
  expect(counts).toMatchObject([{ format: "native capture", outcome: "imported", items: 120 }]);
});

test("interrupted it says how to go on, and resume does", async () => {
  await writeVariants(join(place.dir, "inbox"), 400);
  const child = place.spawn(["backfill", "start", "inbox", "--rate", "40"]);
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  for (;;) {
    const { records } = await backfill("list");
    if (records.some(({ type }) => type === "backfill")) break;
  }
  child.kill("SIGINT");
  await once(child, "exit");
  expect(child.exitCode).toBe(130);
  const [, command = ""] = /Go on with: sluice (backfill resume bf_\w+)/.exec(stderr) ?? [];
  const [, , id = ""] = command.split(" ");
  await backfill("set", id, "--rate", "100000");
  const resumed = await backfill("resume", id);
  expect(resumed.summary).toMatchObject({ imported: 400 });
});

describe("what can't be brought in", () => {
  test("is refused with its reason, the rest goes on, and a retry brings in what was mended, alone", async () => {
    const inbox = join(place.dir, "inbox");
    await cp(SAMPLE, inbox, { recursive: true });
    await writeFile(join(inbox, "model.bin"), Buffer.from([0x80, 4, 0x95, 1, 2, 3]));
    await writeFile(join(inbox, "readme.txt"), "no recording");
    await writeFile(join(inbox, "picture"), Buffer.from("89504e470d0a1a0a", "hex"));
    const events = join(inbox, "return-policy-lookup", "events.ndjson");
    const whole = await readFile(events, "utf8");
    await writeFile(events, whole.slice(0, -200));
    const ran = await backfill("start", "inbox");
    expect(ran.code).toBe(3);
    expect(ran.summary).toMatchObject({ imported: 2, refused: 3, passed_over: 1 });
    const refused = ran.records.filter(({ type }) => type === "refused").map(({ reason }) => reason);
    expect(refused.toSorted()).toEqual(["BAD_CAPTURE", "PICKLE_REFUSED", "UNKNOWN_FORMAT"]);

    await writeFile(events, whole);
    const { records } = await backfill("list");
    const again = await backfill("retry", String(records[0]?.["id"]));
    expect(again.summary).toMatchObject({ refused: 2 });
    await using app = await place.app();
    expect(await expectStored(app.store, SAMPLE)).toBe(3);
  });

  test("another recording under an id that is taken is a conflict, and changes nothing", async () => {
    const inbox = join(place.dir, "inbox");
    await cp(join(SAMPLE, "search-and-buy"), join(inbox, "a"), { recursive: true });
    await cp(join(SAMPLE, "return-policy-lookup"), join(inbox, "b"), { recursive: true });
    const session = await readFile(join(inbox, "a", "session.json"), "utf8");
    await writeFile(join(inbox, "b", "session.json"), session);
    // One after the other, so that which came first is known.
    const first = await backfill("start", "inbox/a");
    expect(first.code, first.stderr).toBe(0);
    const second = await backfill("start", "inbox/b");
    expect(second.records.filter(({ type }) => type === "refused")).toMatchObject([{ reason: "CONFLICT" }]);
    await using app = await place.app();
    await expectStored(app.store, join(SAMPLE, "search-and-buy"));
  });

  test("what is not there, or fits no glob, is said at once", async () => {
    expect(await backfill("start", "nowhere")).toMatchObject({ code: 4, summary: { reason: "NO_SUCH_FILE" } });
    expect(await backfill("start", "no*such*glob")).toMatchObject({ code: 4, summary: { reason: "NO_SUCH_FILE" } });
  });
});

test("a dry run says what would come in, and writes nothing", async () => {
  const ran = await backfill("start", SAMPLE, "--dry-run");
  expect(ran.code, ran.stderr).toBe(0);
  expect(ran.records.filter(({ type }) => type === "count")).toMatchObject([
    { format: "native capture", outcome: "imported", items: 3, sessions: 3, events: 149, blobs: 74 },
  ]);
  expect((await place.sluice(["sessions", "list"])).code).toBe(10);
});

test("refuses while a daemon has the store, and says what to do", async () => {
  await mkdir(join(place.dir, "data"));
  await using daemon = await DaemonProcess.start({ directory: join(place.dir, "data") });
  await daemon.ready;
  const ran = await backfill("start", SAMPLE, "--store", `sqlite:${place.dir}/data/sluice.db`);
  expect([ran.code, ran.summary?.["reason"]]).toEqual([11, "STORE_LOCKED"]);
  expect(ran.stderr).toContain("sluice push");
});
