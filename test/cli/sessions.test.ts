import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { App } from "../../src/core/app.ts";
import type { SessionInfo } from "../../src/core/store/store.ts";
import { EventType } from "../../src/wire/gen/sluice/v1/event_pb.ts";
import { event, events, never } from "../fixtures.ts";
import { finished, Workplace } from "./sluice.ts";

vi.setConfig({ testTimeout: 60_000 });
let place: Workplace;
beforeEach(async () => {
  place = await Workplace.open();
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

const INFO: SessionInfo = {
  task: "Buy the red shoes",
  collector: "shop-recorder 1.2",
  startUrl: "https://shop.test/",
  userAgent: "test",
  labels: [{ name: "kind", value: "checkout" }],
  rawJson: "",
};
const IMAGE = Buffer.from("not really an image");
const IMAGE_ID = createHash("sha256").update(IMAGE).digest("hex");

interface Stored {
  readonly session: string;
  readonly stream?: string;
  readonly events: readonly Uint8Array[];
  readonly info?: SessionInfo;
  readonly firstSeq?: bigint;
  readonly project?: string;
}

async function append(
  app: App,
  { session, stream = "main", events: batch, info, firstSeq = 1n, project = "default" }: Stored,
) {
  const ref = { project, session, stream };
  await app.store.append({ ref, epoch: undefined, firstSeq, events: batch, info }, never);
}

async function seal(app: App, session: string, lastSeq: bigint) {
  const streams = [{ stream: "main", lastSeq }];
  const command = {
    project: "default",
    session,
    streams,
    allowMissingBlobs: true,
    expectedVersion: undefined,
    jobs: [],
  };
  await app.store.seal(command, never);
}

describe("list", () => {
  test("exits 10 without a store, and 4 when nothing matches", async () => {
    const none = await place.sluice(["sessions", "list"]);
    expect(none).toMatchObject({ code: 10, stdout: "" });
    expect(none.stderr).toContain("sluice migrate up");
    await (await place.app())[Symbol.asyncDispose]();
    const empty = await place.sluice(["sessions", "list", "--json"]);
    expect(empty.code).toBe(4);
    expect(empty.records()).toEqual([expect.objectContaining({ type: "summary", sessions: 0 })]);
  });

  test("shows sessions newest first, by filter, a page at a time", async () => {
    {
      await using app = await place.app();
      await append(app, { session: "first", events: events(1, 3), info: INFO });
      await append(app, { session: "second", events: events(1, 2) });
      await seal(app, "second", 2n);
      await append(app, { session: "other", events: events(1, 1), project: "shop" });
    }
    const { code, stdout } = await place.sluice(["sessions", "list"]);
    expect(code).toBe(0);
    const ids = stdout
      .split("\n")
      .slice(1, -1)
      .map((line) => line.split(" ")[0]);
    expect(new Set(ids)).toEqual(new Set(["first", "second"]));
    expect(stdout).toMatch(/^first +open +3 .* Buy the red shoes$/m);
    const list = async (...args: string[]) => {
      const records = (await place.sluice(["sessions", "list", "--json", ...args])).records();
      return { ids: records.slice(0, -1).map((record) => record["id"]), summary: records.at(-1) };
    };
    expect((await list("--status", "sealed")).ids).toEqual(["second"]);
    expect((await list("--label", "kind=checkout", "--collector", "shop-recorder 1.2")).ids).toEqual(["first"]);
    expect((await list("--project", "shop")).ids).toEqual(["other"]);
    expect((await list("--until", "1h")).ids).toEqual([]);
    const page = await list("--limit", "1");
    const rest = await list("--page", String(page.summary?.["next_page"]));
    expect(new Set([...page.ids, ...rest.ids])).toEqual(new Set(["first", "second"]));
  });
});

describe("show", () => {
  test("tells info, watermarks, counts, blobs and what was set aside with why", async () => {
    {
      await using app = await place.app();
      const screenshots = [{ blobId: IMAGE_ID }];
      const batch = [event(1, { screenshots }), event(2, { type: EventType.INPUT }), event(0), Buffer.from("junk")];
      await append(app, { session: "s", events: batch, info: INFO });
      await append(app, { session: "s", stream: "tab2", events: events(1, 2) });
    }
    const { code, stdout } = await place.sluice(["sessions", "show", "s"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^task +Buy the red shoes$/m);
    expect(stdout).toMatch(/^labels +kind=checkout$/m);
    expect(stdout).toMatch(/^status +open$/m);
    expect(stdout).toMatch(/^main +4$/m);
    expect(stdout).toMatch(/^tab2 +2$/m);
    expect(stdout).toMatch(/^click +3$/m);
    expect(stdout).toMatch(/^blobs +0 stored, 1 missing$/m);
    expect(stdout).toContain("2 events quarantined");
    expect(stdout).toMatch(/^main +3 +time_ms +must be/m);
    const json = (await place.sluice(["sessions", "show", "s", "--json"])).records();
    expect(json[0]).toMatchObject({
      type: "session",
      id: "s",
      status: "open",
      events: 4,
      quarantined: 2,
      types: { click: 3, input: 1 },
      streams: [
        { stream: "main", durable_seq: 4 },
        { stream: "tab2", durable_seq: 2 },
      ],
    });
    expect(json.map(({ type }) => type)).toEqual(["session", "quarantined", "quarantined", "summary"]);
  });

  test("an unknown session exits 4 and says where to look", async () => {
    await (await place.app())[Symbol.asyncDispose]();
    const { code, stderr } = await place.sluice(["sessions", "show", "nope"]);
    expect(code).toBe(4);
    expect(stderr).toContain("sluice sessions list");
  });

  test("recorded text can't move the terminal's cursor", async () => {
    {
      await using app = await place.app();
      await append(app, { session: "s", events: events(1, 1), info: { ...INFO, task: "a\u001b[2Jb\r\nc\u202ed" } });
    }
    for (const args of [
      ["sessions", "show", "s"],
      ["sessions", "list"],
    ]) {
      expect((await place.sluice(args)).stdout).toContain("a�[2Jb��c�d");
    }
  });
});

describe("events and tail", () => {
  test("events prints every stored event decoded, and with --encoded the very bytes that were sent", async () => {
    const sent = [event(1, { rawJson: '{"a":1}' }), event(2), event(3)];
    {
      await using app = await place.app();
      await append(app, { session: "s", events: sent });
    }
    const records = (await place.sluice(["sessions", "events", "s", "--encoded"])).records();
    expect(records.at(-1)).toMatchObject({ type: "summary", events: 3 });
    expect(records.slice(0, 3).map(({ encoded }) => encoded)).toEqual(
      sent.map((bytes) => Buffer.from(bytes).toString("base64")),
    );
    expect(records[0]).toMatchObject({
      stream: "main",
      seq: 1,
      event: { time_ms: "1000", type: "EVENT_TYPE_CLICK", raw_json: '{"a":1}' },
    });
    const later = (await place.sluice(["sessions", "events", "s", "--from", "3", "--stream", "main"])).records();
    expect(later.map(({ seq }) => seq)).toEqual([3, undefined]);
  });

  test("a reader that leaves early ends the command quietly", async () => {
    {
      await using app = await place.app();
      const rawJson = JSON.stringify("x".repeat(50_000));
      await append(app, { session: "s", events: Array.from({ length: 60 }, (_, n) => event(n + 1, { rawJson })) });
    }
    const child = place.spawn(["sessions", "events", "s"]);
    child.stdout.once("data", () => child.stdout.destroy());
    const { code, stderr } = await new Promise<{ code: number | null; stderr: string }>((resolve) => {
      let stderr = "";
      child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
        stderr += chunk;
      });
      child.once("close", (exit) => resolve({ code: exit, stderr }));
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  test("tail shows what is stored, then what comes, each once, until the session is sealed", async () => {
    await using app = await place.app();
    await append(app, { session: "s", events: [event(1), event(0), event(3)] });
    const child = place.spawn(["sessions", "tail", "s", "--json"]);
    const ran = finished(child);
    await new Promise((resolve) => child.stdout.once("data", resolve));
    await append(app, { session: "s", events: events(4, 2), firstSeq: 4n });
    await append(app, { session: "s", stream: "late", events: events(1, 1) });
    const streams = [
      { stream: "late", lastSeq: 1n },
      { stream: "main", lastSeq: 5n },
    ];
    await app.store.seal(
      { project: "default", session: "s", streams, allowMissingBlobs: false, expectedVersion: undefined, jobs: [] },
      never,
    );
    const { code, records } = await ran;
    expect(code).toBe(0);
    const seen = records().map(({ stream, seq }) => `${stream}/${seq}`);
    expect(new Set(seen.slice(0, -1))).toEqual(new Set(["main/1", "main/3", "main/4", "main/5", "late/1"]));
    expect(seen).toHaveLength(6);
    expect(records().at(-1)).toMatchObject({ type: "summary", events: 5, sealed: true });
  });

  test("tail for people never shows what was typed", async () => {
    {
      await using app = await place.app();
      const typed = event(1, {
        type: EventType.INPUT,
        input: { value: "hunter2" },
        target: { role: "textbox", name: "Password" },
      });
      await append(app, { session: "s", events: [typed] });
      await seal(app, "s", 1n);
    }
    const { stdout } = await place.sluice(["sessions", "tail", "s"]);
    expect(stdout).toBe('00:00:01.000  main/1  input       textbox "Password"\n');
  });

  test("SIGINT ends a tail with 130", async () => {
    await using app = await place.app();
    await append(app, { session: "s", events: events(1, 1) });
    const child = place.spawn(["sessions", "tail", "s", "--json"]);
    const ran = finished(child);
    await new Promise((resolve) => child.stdout.once("data", resolve));
    child.kill("SIGINT");
    const { code, records } = await ran;
    expect(code).toBe(130);
    expect(records().at(-1)).toMatchObject({ type: "error", code: "cancelled", reason: "INTERRUPTED" });
  });
});

describe("blob", () => {
  async function store(app: App) {
    const chunk = { id: IMAGE_ID, size: IMAGE.length, offset: 0, data: IMAGE };
    await app.blobs.write("default", chunk, never);
    await app.store.recordBlob("default", { id: IMAGE_ID, size: IMAGE.length, mediaType: "image/png" }, never);
  }

  test("writes the very bytes to a file or a pipe, and replaces no file unasked", async () => {
    {
      await using app = await place.app();
      await store(app);
    }
    const blob = (...args: string[]) => place.sluice(["sessions", "blob", IMAGE_ID, ...args]);
    expect(await blob("--out", "a.png")).toMatchObject({ code: 0, stdout: "a.png: 19 B of image/png\n" });
    expect(await readFile(join(place.dir, "a.png"))).toEqual(IMAGE);
    expect((await blob("--out", "-")).stdout).toBe(IMAGE.toString());
    await writeFile(join(place.dir, "a.png"), "mine");
    expect((await blob("--out", "a.png")).code).toBe(1);
    expect(await readFile(join(place.dir, "a.png"), "utf8")).toBe("mine");
    expect((await blob("--out", "a.png", "--force")).code).toBe(0);
    expect((await blob("--out", "none/a.png")).code).toBe(1);
  });

  test("a blob that isn't there exits 4, one that is damaged exits 1, and neither leaves a file", async () => {
    {
      await using app = await place.app();
      await store(app);
    }
    const none = await place.sluice(["sessions", "blob", "0".repeat(64), "--out", "a.png"]);
    expect(none.code).toBe(4);
    const files = await readdir(join(place.dir, "data/blobs"), { recursive: true, withFileTypes: true });
    const file = files.find((entry) => entry.isFile() && entry.name.includes(IMAGE_ID.slice(4)));
    await writeFile(join(file?.parentPath ?? "", file?.name ?? ""), "damaged, same way");
    const damaged = await place.sluice(["sessions", "blob", IMAGE_ID, "--out", "a.png"]);
    expect(damaged.code).toBe(1);
    expect((await readdir(place.dir)).filter((name) => name.includes("png"))).toEqual([]);
  });
});
