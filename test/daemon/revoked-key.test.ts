import { afterAll, beforeAll, expect, test } from "vitest";
import { uploadRecording } from "../../src/client/index.ts";
import { recordingOf } from "../client/recordings.ts";
import { events, never } from "../fixtures.ts";
import { Conversation } from "./conversation.ts";
import { readEvents, refusal, TestDaemon } from "./daemon.ts";

const BATCH = 100;
let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
});

const REFUSED = { code: "Unauthenticated", reason: "UNAUTHENTICATED" };

test("a key that another process revokes ends the uploads it opened, busy and quiet; what was acked is kept, and it opens no other", async () => {
  const { id, secret } = await daemon.createKey(["ingest"]);
  const link = daemon.link({ key: secret });
  const quiet = await Conversation.open(link, "quiet");
  const busy = await Conversation.open(link, "busy");
  const others = await Conversation.open(daemon.link(), "others");
  let acked = 0;
  const stream = async (): Promise<never> => {
    for (; ; acked += BATCH) {
      busy.events(BigInt(acked + 1), events(acked + 1, BATCH));
      await busy.durable(BigInt(acked + BATCH));
    }
  };
  const ended = refusal(stream());
  await daemon.sluice(["keys", "revoke", id]);
  expect(await ended).toMatchObject(REFUSED);
  expect(await refusal(quiet.ack())).toMatchObject(REFUSED);
  expect(await refusal(Conversation.open(link, "busy"))).toMatchObject(REFUSED);

  const stored = await readEvents(daemon.link(), "busy");
  expect(stored.length).toBeGreaterThanOrEqual(acked);
  expect(acked).toBeGreaterThan(0);
  expect(stored.map(({ event }) => event)).toEqual(events(1, stored.length).map((event) => Buffer.from(event)));
  others.events(1n, events(1, BATCH));
  await others.durable(BigInt(BATCH));
  expect(await others.end()).toEqual([]);
  await daemon.expectWell();
});

test("a collector whose key is revoked while it uploads does not try again", async () => {
  const { id, secret } = await daemon.createKey(["ingest"]);
  const begun = Promise.withResolvers<void>();
  const endless = recordingOf("endless", [], {
    async *events(fromSeq) {
      for (let seq = fromSeq; ; seq += 1n) {
        for (const event of events(Number(seq), 1)) yield { seq, event };
        // As a recorder does, and so that others have their turn.
        await new Promise(setImmediate);
      }
    },
  });
  const onProgress = ({ durableSeq }: { durableSeq: bigint }): void => {
    if (durableSeq > 0n) begun.resolve();
  };
  const to = { url: daemon.url, key: secret };
  const uploading = uploadRecording(endless, { to, onProgress }, never).catch((error: unknown) => error);
  await begun.promise;
  await daemon.sluice(["keys", "revoke", id]);
  expect(await uploading).toMatchObject({ code: "unauthenticated", reason: "UNAUTHENTICATED", retryable: false });
  await daemon.expectWell();
});
