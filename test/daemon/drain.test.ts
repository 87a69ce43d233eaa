import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { ClientError } from "../../src/client/errors.ts";
import { IngestService } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { seeded } from "../client/recordings.ts";
import { events } from "../fixtures.ts";
import { checkStore } from "../torture/check.ts";
import { Journal, readJournal } from "../torture/journal.ts";
import { Senders } from "../torture/senders.ts";
import { Source } from "../torture/source.ts";
import { Conversation } from "./conversation.ts";
import { refusal, TestDaemon } from "./daemon.ts";
import { DaemonProcess } from "./process.ts";
import { openSocket } from "./transport.ts";

const STREAMS = 4;
/** No end of the draining that a test waits for comes from one of these. */
const PATIENT = { SLUICE_GRACE: "10m", SLUICE_LIMITS_CALL_DEADLINE: "10m", SLUICE_LIMITS_MESSAGE_DEADLINE: "10m" };
let source: Source;
let directory = "";
beforeAll(async () => {
  source = await Source.load();
});
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sluice-drain-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true, maxRetries: 10 });
});

test("on SIGTERM every caller is told to come back, after an ack for all of its that is stored", async () => {
  await using daemon = await TestDaemon.start({ env: PATIENT });
  const sessions = Array.from({ length: STREAMS }, (_, index) => `drained-${index}`);
  const uploads = await Promise.all(sessions.map((session) => Conversation.open(daemon.link(), session)));
  for (const upload of uploads) {
    upload.events(1n, events(1, 100));
    await upload.durable(100n);
    upload.events(101n, events(101, 1_000));
  }
  daemon.process.signal("SIGTERM");
  const acked = await Promise.all(
    uploads.map(async (upload) => {
      let last = 100n;
      const acks = async (): Promise<never> => {
        for (;;) last = (await upload.ack()).durableSeq;
      };
      expect(await refusal(acks())).toMatchObject({ code: "Unavailable", reason: "DRAINING", retryMs: 500 });
      return last;
    }),
  );
  expect(await daemon.process.exited).toBe(0);
  await daemon.restart();
  const { getWatermark } = daemon.link().client(IngestService);
  const stored = await Promise.all(sessions.map((session) => getWatermark({ stream: { session } })));
  expect(stored.map(({ durableSeq }) => durableSeq)).toEqual(acked);
});

test("on SIGTERM the daemon ends with 0 by itself, and collectors go on with the next: nothing acked is lost, nothing doubled", async () => {
  await using daemon = await DaemonProcess.start({ directory, env: PATIENT });
  using sending = await Sending.start(await daemon.ready);
  daemon.signal("SIGTERM");
  expect(await daemon.exited).toBe(0);
  await daemon.logged("stopped");
  await sending.expectFinishedWithNext();
  // A collector's question about its blobs may cross the GOAWAY, and is then refused by HTTP/2.
  expect(new Set(sending.refusals.map(({ code }) => code))).toEqual(new Set(["unavailable"]));
});

test("a second SIGTERM ends at once a daemon that a caller keeps from stopping, and nothing acked is lost", async () => {
  await using daemon = await DaemonProcess.start({ directory, env: PATIENT });
  const url = await daemon.ready;
  using sending = await Sending.start(url);
  await using slow = await openSocket(Number(new URL(url).port));
  slow.write(UNFINISHED);
  const [answer] = await once(slow, "data");
  expect(String(answer)).toContain("100 Continue");
  daemon.signal("SIGTERM");
  await daemon.logged("stopping; a second signal stops at once");
  daemon.signal("SIGTERM");
  expect(await daemon.exited).toBe(0);
  await daemon.logged("stopped at once");
  await sending.expectFinishedWithNext();
});

/** A call that never comes to its end; the daemon says Continue when it has begun to serve it. */
const UNFINISHED = [
  "POST /sluice.v1.IngestService/Append HTTP/1.1",
  "Host: localhost",
  "Content-Type: application/json",
  "Content-Length: 100",
  "Expect: 100-continue",
  "",
  "",
].join("\r\n");

/** Collectors that stream events and blobs, through the end of a daemon and the start of the next. */
class Sending implements Disposable {
  readonly refusals: ClientError[] = [];
  readonly #url: string;
  readonly #journal = new Journal(directory);
  readonly #senders: Senders;

  private constructor(url: string) {
    this.#url = url;
    this.#senders = new Senders({
      url,
      source,
      streams: STREAMS,
      journal: this.#journal,
      random: seeded(1),
      pauseMs: 2,
      onWaiting: (error) => this.refusals.push(error),
    });
  }

  /** Resolves when all of them are in the midst of it. */
  static async start(url: string): Promise<Sending> {
    const sending = new Sending(url);
    await sending.#acks(1_000);
    expect(sending.refusals).toEqual([]);
    return sending;
  }

  async expectFinishedWithNext(): Promise<void> {
    const port = Number(new URL(this.#url).port);
    await using daemon = await DaemonProcess.start({ directory, port });
    await this.#acks(1_000);
    const ends = await this.#senders.stop();
    expect(this.#senders.forgotten).toBe(0);
    const promised = readJournal(this.#journal.path, STREAMS);
    const found = await checkStore(await daemon.ready, source, promised, ends);
    expect(found).toMatchObject({ lost: 0, doubled: 0, unaccounted: 0 });
  }

  async #acks(count: number): Promise<void> {
    const { acked } = this.#senders;
    while (this.#senders.acked < acked + count) await Promise.race([this.#senders.progress, this.#senders.failed]);
  }

  [Symbol.dispose](): void {
    this.#journal[Symbol.dispose]();
  }
}
