import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { IngestService } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { KeysService, Scope } from "../../src/wire/gen/sluice/v1/keys_pb.ts";
import { SessionsService } from "../../src/wire/gen/sluice/v1/sessions_pb.ts";
import { events } from "../fixtures.ts";
import { Conversation } from "./conversation.ts";
import { append, eventually, type Link, type Refusal, readBlob, readEvents, refusal, TestDaemon } from "./daemon.ts";
import { DaemonProcess } from "./process.ts";

describe("callers", () => {
  let daemon: TestDaemon;
  let keys: Record<"ingest" | "read" | "admin" | "all" | "other", string>;
  beforeAll(async () => {
    daemon = await TestDaemon.start({
      env: { SLUICE_AUTH_ANONYMOUS_LOOPBACK: "false", SLUICE_AUTH_FAILED_PER_MINUTE: "100000" },
    });
    const all = ["ingest", "read", "process", "admin"] as const;
    keys = {
      ingest: (await daemon.createKey(["ingest"])).secret,
      read: (await daemon.createKey(["read"])).secret,
      admin: (await daemon.createKey(["admin"])).secret,
      all: (await daemon.createKey(all)).secret,
      other: (await daemon.createKey(all, ["--project", "other"])).secret,
    };
    daemon.key = keys.all;
  });
  afterEach(async () => {
    await daemon.expectWell();
  });
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]();
  });

  /** One call of every kind: unary of each service, a stream down, a stream up. */
  const everyCall = (link: Link): Promise<unknown>[] => {
    const upload = new Conversation(link);
    upload.send({ case: "open", value: { stream: { session: "any" } } });
    return [
      link.client(IngestService).getWatermark({ stream: { session: "any" } }),
      append(link, "any", 1n, events(1, 1)),
      upload.opened(),
      link.client(SessionsService).listSessions({}),
      readEvents(link, "any"),
      link.client(KeysService).listKeys({}),
    ];
  };
  const refusals = (key?: string): Promise<Refusal[]> =>
    Promise.all(everyCall(daemon.link(key === undefined ? {} : { key })).map(refusal));

  test("without a key nobody is served, and is told how to be", async () => {
    for (const each of await refusals()) {
      expect(each).toMatchObject({ code: "Unauthenticated", reason: "KEY_REQUIRED" });
    }
    expect((await fetch(`${daemon.url}/metrics`)).status).toBe(403);
    expect((await fetch(`${daemon.url}/livez`)).status).toBe(200);
  });

  test("a key that is malformed, unknown, wrong, revoked or expired is refused in one and the same way", async () => {
    const revoked = await daemon.createKey(["ingest", "read", "admin"]);
    await daemon.sluice(["keys", "revoke", revoked.id]);
    const expired = await daemon.createKey(["ingest", "read", "admin"], ["--expires", "1s"]);
    await eventually(async () => {
      using late = daemon.link({ key: expired.secret });
      expect(await refusal(append(late, "late", 1n, events(1, 1)))).toMatchObject({ code: "Unauthenticated" });
    });
    const wrong = `${keys.all.slice(0, -4)}${keys.all.endsWith("aaaa") ? "bbbb" : "aaaa"}`;
    const unknown = keys.all.replace(/^slk_[^_]+/, "slk_aaaaaaaaaaaa");
    const seen: Refusal[] = [];
    for (const key of ["nonsense", "slk_", wrong, unknown, revoked.secret, expired.secret, "x".repeat(5_000)]) {
      seen.push(...(await refusals(key)));
    }
    for (const each of seen) expect(each).toEqual({ ...seen[0], code: "Unauthenticated", reason: "UNAUTHENTICATED" });
  });

  test("a key opens what its scopes name and nothing else", async () => {
    const session = "scopes";
    const missing = { code: "PermissionDenied", reason: "SCOPE_MISSING" };
    using ingest = daemon.link({ key: keys.ingest });
    using read = daemon.link({ key: keys.read });
    using admin = daemon.link({ key: keys.admin });
    expect(await append(ingest, session, 1n, events(1, 2))).toMatchObject({ stored: 2 });
    expect(await refusal(readEvents(ingest, session))).toMatchObject(missing);
    expect(await refusal(ingest.client(KeysService).listKeys({}))).toMatchObject(missing);
    expect(await readEvents(read, session)).toHaveLength(2);
    expect(await refusal(append(read, session, 3n, events(3, 1)))).toMatchObject(missing);
    expect(await refusal(new Conversation(read).opened())).toMatchObject(missing);
    expect(await refusal(readEvents(admin, session))).toMatchObject(missing);
    expect((await admin.client(KeysService).listKeys({})).keys.length).toBeGreaterThan(0);
  });

  test("what another project has can't be told from what nobody has", async () => {
    const session = "secret-session";
    const data = randomBytes(5_000);
    const blobId = createHash("sha256").update(data).digest("hex");
    using owner = daemon.link({ key: keys.all });
    using other = daemon.link({ key: keys.other });
    await append(owner, session, 1n, events(1, 3));
    await owner.client(IngestService).putBlob({ chunk: { blobId, size: 5_000n, data, mediaType: "image/png" } });

    const asked = async (name: string, blob: string) => {
      const sessions = other.client(SessionsService);
      const ingest = other.client(IngestService);
      const told = [
        await refusal(sessions.getSession({ session: name })),
        await refusal(readEvents(other, name)),
        await refusal(ingest.seal({ session: name, seal: { streams: [{ lastSeq: 3n }] } })),
        await refusal(readBlob(other, blob)),
        await ingest.getWatermark({ stream: { session: name } }),
        (await ingest.missingBlobs({ blobIds: [blob] })).missing.map(({ received, stored }) => ({ received, stored })),
        (await sessions.listSessions({})).sessions.map(({ id }) => id),
      ];
      return told.map((each) =>
        JSON.stringify(each, (_key, value) => (typeof value === "bigint" ? `${value}` : value))
          .replaceAll(name, "NAME")
          .replaceAll(blob, "BLOB"),
      );
    };
    const nowhere = createHash("sha256").update("nowhere").digest("hex");
    expect(await asked(session, blobId)).toEqual(await asked("absent-session", nowhere));

    // The same names are its own to take, and change nothing for the owner.
    expect(await append(other, session, 1n, events(50, 1))).toMatchObject({ stored: 1 });
    const chunk = { blobId, size: 5_000n, data: data.subarray(0, 10), mediaType: "image/png" };
    expect((await other.client(IngestService).putBlob({ chunk })).status).toMatchObject({
      received: 10n,
      stored: false,
    });
    expect(await readEvents(owner, session)).toHaveLength(3);
    expect((await readBlob(owner, blobId)).equals(data)).toBe(true);
  });

  test("a key that names another project is refused in the same words whether there is such a project", async () => {
    using link = daemon.link({ key: keys.other });
    const { getSession, listSessions } = link.client(SessionsService);
    const wrong = { code: "PermissionDenied", reason: "PROJECT_MISMATCH" };
    for (const project of ["default", "no-such-project"]) {
      const told = await refusal(getSession({ project, session: "secret-session" }));
      expect(told).toMatchObject(wrong);
      expect(told.message).not.toContain(project);
      expect(await refusal(listSessions({ project }))).toEqual(told);
      const stream = { project, session: "secret-session" };
      expect(await refusal(link.client(IngestService).getWatermark({ stream }))).toEqual(told);
      const upload = new Conversation(link);
      upload.send({ case: "open", value: { stream } });
      expect(await refusal(upload.opened())).toEqual(told);
    }
  });

  test("an admin manages the keys of its own project and learns of no other", async () => {
    const foreign = await daemon.createKey(["ingest"]);
    using link = daemon.link({ key: keys.other });
    const { listKeys, revokeKey, rotateKey, createKey } = link.client(KeysService);
    expect((await listKeys({})).keys.map(({ project }) => project)).toEqual(["other"]);
    const { id } = foreign;
    const absent = "aaaaaaaaaaaa";
    for (const call of [revokeKey, rotateKey]) {
      const told = await refusal(call({ id }));
      expect(told).toMatchObject({ code: "NotFound", reason: "KEY_NOT_FOUND" });
      expect(told.message.replaceAll(id, "ID")).toBe(
        (await refusal(call({ id: absent }))).message.replaceAll(absent, "ID"),
      );
    }
    const wanted = { name: "x", scopes: [Scope.READ] };
    expect(await refusal(createKey({ ...wanted, project: "default" }))).toMatchObject({ reason: "PROJECT_MISMATCH" });
    using still = daemon.link({ key: foreign.secret });
    expect(await append(still, "still-works", 1n, events(1, 1))).toMatchObject({ stored: 1 });
  });
});

describe("failed authentications", () => {
  test("too many from one address have to wait, and are told how long; who has no key is served as before", async () => {
    await using daemon = await TestDaemon.start({ env: { SLUICE_AUTH_FAILED_PER_MINUTE: "5" } });
    using guessing = daemon.link({ key: "slk_aaaaaaaaaaaa_guess" });
    const guess = () => refusal(guessing.client(SessionsService).listSessions({}));
    for (let tries = 0; tries < 5; tries++) expect(await guess()).toMatchObject({ code: "Unauthenticated" });
    const throttled = await guess();
    expect(throttled).toMatchObject({ code: "ResourceExhausted", reason: "RATE_LIMITED" });
    expect(throttled.retryMs).toBeGreaterThan(0);
    expect(throttled.retryMs).toBeLessThanOrEqual(12_000);
    expect(await daemon.sample('sluice_auth_failures_total{reason="UNAUTHENTICATED"}')).toBe(5);
    await daemon.expectWell();
  });
});

describe("stores", () => {
  test("one of a newer release is refused by name and left as it is", async () => {
    await using daemon = await TestDaemon.start();
    await daemon.process.kill("SIGTERM");
    const path = join(daemon.directory, "sluice.db");
    const database = new Database(path);
    database.exec("INSERT INTO schema_migrations VALUES (9999, 'from the future', 'x', 0)");
    database.close();
    const early = DaemonProcess.spawn({ directory: daemon.directory });
    await expect(early.ready).rejects.toThrow(/SCHEMA_NEWER.*newer.*Use a newer Sluice/s);
    expect(await early.exited).toBe(1);
  });

  test("a second daemon on the same store is refused, naming the first, which goes on", async () => {
    await using daemon = await TestDaemon.start();
    const second = DaemonProcess.spawn({ directory: daemon.directory });
    await expect(second.ready).rejects.toThrow(/STORE_LOCKED/);
    await expect(second.ready).rejects.toThrow(
      new RegExp(`process ${daemon.process.pid}, to listen on 127\\.0\\.0\\.1`),
    );
    expect(await second.exited).toBe(11);
    await daemon.expectWell();
    await daemon.process.kill();
    await daemon.restart();
    await daemon.expectWell();
  });

  test("an address that others can reach is not opened for a store without keys", async () => {
    await using daemon = await TestDaemon.start();
    await daemon.process.kill("SIGTERM");
    const open = DaemonProcess.spawn({ directory: daemon.directory, host: "0.0.0.0" });
    await expect(open.ready).rejects.toThrow(/NO_KEYS.*sluice keys create/s);
    expect(await open.exited).toBe(1);
    await daemon.createKey(["ingest"]);
    await using closed = await DaemonProcess.start({ directory: daemon.directory, host: "0.0.0.0" });
    expect(await closed.ready).toMatch(/^http:/);
  });
});
