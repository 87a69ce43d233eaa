import { randomBytes } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { ClientError } from "../../src/client/errors.ts";
import { type Recording, type UploadRecordingOptions, uploadRecording } from "../../src/client/recording.ts";
import { createLink } from "../../src/client/transport.ts";
import { ManualClock } from "./manual-clock.ts";
import { blobOf, eventOf, eventsOf, recordingOf, seeded } from "./recordings.ts";
import { fail, StrictDaemon } from "./strict-daemon.ts";

const never = new AbortController().signal;
const fast = { backoff: { baseMs: 1, maxMs: 4 } };

function upload(daemon: StrictDaemon, recording: Recording, options: Partial<UploadRecordingOptions> = {}) {
  return uploadRecording(recording, { to: { url: daemon.url }, ...fast, ...options }, never);
}

async function failure(promise: Promise<unknown>): Promise<ClientError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ClientError) return error;
  throw new Error("expected a ClientError", { cause: error });
}

test("a recording with blobs arrives whole, in order, once, and is sealed", async () => {
  await using daemon = await StrictDaemon.start();
  const events = eventsOf(1_000, 2_000);
  const pictures = [1, 10, 300_000, 1_000_000].map((size) => randomBytes(size));
  const blobs = pictures.map((data) => blobOf(data));
  const summary = await upload(daemon, recordingOf("s1", events, { blobs, seal: true }));
  expect(daemon.stream("s1").events.map((event) => Buffer.from(event))).toEqual(events.map((e) => Buffer.from(e)));
  expect(daemon.stream("s1").duplicates).toBe(0);
  for (const [index, blob] of blobs.entries()) {
    expect(daemon.blobs.get(blob.id)).toEqual({ data: pictures[index], stored: true });
  }
  expect(summary).toMatchObject({ durableSeq: 1_000n, eventsSent: 1_000, blobsSent: 4, blobsKnown: 0, reconnects: 0 });
  expect(summary.sealed?.version).toBe(1n);
  expect(daemon.batches).toBeLessThan(50);
});

test("a blob has its turn although there is always a batch of events to send", async () => {
  await using daemon = await StrictDaemon.start();
  const blob = blobOf(randomBytes(100_000));
  const limit = 200_000;
  let sent = 0;
  const endless: Recording["events"] = async function* () {
    // Ends when the blob is stored; the limit is for when it never is.
    for (; sent < limit && daemon.blobs.get(blob.id)?.stored !== true; sent++) {
      yield { seq: BigInt(sent + 1), event: eventOf(sent, 1_000), blobs: [] };
    }
  };
  await upload(daemon, recordingOf("s1", [], { events: endless, blobs: [blob] }));
  expect(daemon.blobs.get(blob.id)?.stored).toBe(true);
  expect(sent).toBeLessThan(limit);
});

test("the same recording again sends nothing and gets the same seal", async () => {
  await using daemon = await StrictDaemon.start();
  const recording = recordingOf("s1", eventsOf(30), { blobs: [blobOf(randomBytes(5_000))], seal: true });
  await upload(daemon, recording);
  const again = await upload(daemon, recording);
  expect(again).toMatchObject({ resumedFrom: 30n, eventsSent: 0, blobsSent: 0, blobsKnown: 1 });
  expect(again.sealed?.version).toBe(1n);
});

test("through many broken connections nothing is lost or doubled", async () => {
  await using daemon = await StrictDaemon.start();
  const random = seeded(7);
  const events = eventsOf(3_000, 300);
  const blobs = Array.from({ length: 6 }, () => blobOf(randomBytes(700_000)));
  daemon.mischief.creditBytes = 200_000;
  let drops = 0;
  daemon.mischief.onFrame = () => {
    if (random() > 0.2) return undefined;
    drops += 1;
    return "drop";
  };
  const summary = await upload(daemon, recordingOf("s1", events, { blobs, seal: true }));
  expect(drops).toBeGreaterThan(5);
  expect(summary.reconnects).toBe(drops);
  expect(Buffer.concat(daemon.stream("s1").events).equals(Buffer.concat(events))).toBe(true);
  expect(daemon.stream("s1").events).toHaveLength(3_000);
  expect(blobs.every(({ id }) => daemon.blobs.get(id)?.stored)).toBe(true);
  expect(daemon.overCredit).toBe(0);
});

test.each([1_500, 20_000, 300_000])("never more than the credit is unacknowledged (%i bytes)", async (creditBytes) => {
  await using daemon = await StrictDaemon.start();
  daemon.mischief.creditBytes = creditBytes;
  const release = holdAcksForever(daemon);
  const blobs = Array.from({ length: 5 }, () => blobOf(randomBytes(Math.min(200_000, creditBytes * 10))));
  await upload(daemon, recordingOf("s1", eventsOf(200, 700), { blobs, seal: true }));
  release();
  expect(daemon.overCredit).toBe(0);
  expect(daemon.mostUnacked).toBeGreaterThan(creditBytes / 2);
  expect(daemon.stream("s1").events).toHaveLength(200);
});

test("an event larger than the whole credit goes alone", async () => {
  await using daemon = await StrictDaemon.start();
  daemon.mischief.creditBytes = 10_000;
  const blobs = [blobOf(randomBytes(100_000))];
  await upload(daemon, recordingOf("s1", [eventOf(1), eventOf(2, 50_000), eventOf(3)], { blobs, seal: true }));
  expect(daemon.stream("s1").events).toHaveLength(3);
});

test("a wait the daemon asks for is the least that is waited", async () => {
  await using daemon = await StrictDaemon.start();
  const clock = new ManualClock();
  let refusals = 2;
  daemon.mischief.refuseOpen = () =>
    refusals-- > 0 ? fail(Code.ResourceExhausted, "TOO_MANY_STREAMS", {}, 7_250) : undefined;
  const waits: number[] = [];
  const done = upload(daemon, recordingOf("s1", eventsOf(3)), {
    clock,
    random: () => 0.5,
    backoff: { baseMs: 100, maxMs: 30_000 },
    onRetry: (_, waitMs) => waits.push(waitMs),
  });
  for (const wait of [7_300, 7_350]) {
    await clock.sleeping((ms) => ms === wait);
    expect(daemon.opens).toBe(waits.length);
    clock.advance(wait);
  }
  expect((await done).durableSeq).toBe(3n);
  expect(waits).toEqual([7_300, 7_350]);
});

test("a daemon that is away is waited for", async () => {
  await using daemon = await StrictDaemon.start();
  await daemon.stop();
  const clock = new ManualClock();
  const done = upload(daemon, recordingOf("s1", eventsOf(3)), {
    clock,
    random: () => 0.5,
    backoff: { baseMs: 100, maxMs: 30_000 },
  });
  await clock.sleeping((ms) => ms === 50);
  await daemon.listen();
  clock.advance(50);
  expect((await done).durableSeq).toBe(3n);
});

test("other bytes at a seq the daemon holds stop the upload with CONFLICT", async () => {
  await using daemon = await StrictDaemon.start();
  // Another writer gets in between what this one was told and what it sends.
  daemon.mischief.onFrame = () => {
    const stored = daemon.stream("s1");
    if (stored.events.length === 0) stored.events.push(eventOf(99));
    return undefined;
  };
  const error = await failure(upload(daemon, recordingOf("s1", eventsOf(3))));
  expect(error).toMatchObject({ code: "conflict", reason: "CONFLICT", metadata: { seq: "1" } });
  expect(daemon.opens).toBe(1);
});

test("a daemon that holds more than the recording stops the upload", async () => {
  await using daemon = await StrictDaemon.start();
  await upload(daemon, recordingOf("s1", eventsOf(10)));
  const error = await failure(upload(daemon, recordingOf("s1", eventsOf(4), { seal: true })));
  expect(error).toMatchObject({ code: "conflict", reason: "WATERMARK_AHEAD" });
  expect(daemon.sessions.get("s1")?.sealed).toBeUndefined();
});

test("a collector that was fenced stops and does not come back", async () => {
  await using daemon = await StrictDaemon.start();
  daemon.mischief.onFrame = () => {
    daemon.stream("s1").epoch += 1;
    return undefined;
  };
  const error = await failure(upload(daemon, recordingOf("s1", eventsOf(3))));
  expect(error).toMatchObject({ code: "aborted", reason: "FENCED" });
  expect(daemon.opens).toBe(1);
});

test("a gap the daemon reports makes the upload begin again from the watermark", async () => {
  await using daemon = await StrictDaemon.start();
  let swallowed = false;
  daemon.mischief.onFrame = (request) => {
    if (request.frame.case !== "events" || swallowed) return undefined;
    swallowed = true;
    return fail(Code.OutOfRange, "OUT_OF_RANGE", { expected_seq: "1" });
  };
  const summary = await upload(daemon, recordingOf("s1", eventsOf(500)));
  expect(summary).toMatchObject({ durableSeq: 500n, reconnects: 1 });
});

test.each([
  ["unauthenticated", Code.Unauthenticated, "BAD_KEY"],
  ["permission_denied", Code.PermissionDenied, "SCOPE"],
  ["failed_precondition", Code.FailedPrecondition, "SEALED"],
  ["invalid_argument", Code.InvalidArgument, "SESSION_ID"],
] as const)("%s is final", async (code, connectCode, reason) => {
  await using daemon = await StrictDaemon.start();
  daemon.mischief.refuseOpen = () => fail(connectCode, reason);
  expect(await failure(upload(daemon, recordingOf("s1", eventsOf(1))))).toMatchObject({ code, reason });
  expect(daemon.opens).toBe(1);
});

test("a daemon that goes silent is dropped and tried again", async () => {
  await using daemon = await StrictDaemon.start();
  const clock = new ManualClock();
  let swallowing = true;
  daemon.mischief.onFrame = () => (swallowing ? "swallow" : undefined);
  const errors: string[] = [];
  const done = upload(daemon, recordingOf("s1", eventsOf(3)), {
    clock,
    random: () => 0,
    idleTimeoutMs: 30_000,
    connectTimeoutMs: 10_000,
    onRetry: (error) => errors.push(error.reason),
  });
  await clock.sleeping((ms) => ms === 10_000);
  await daemonHeardFrames(daemon);
  clock.advance(10_000);
  await clock.sleeping((ms) => ms > 10_000 && ms <= 30_000);
  swallowing = false;
  clock.advance(30_000);
  await clock.sleeping((ms) => ms === 0);
  clock.advance(0);
  expect((await done).durableSeq).toBe(3n);
  expect(errors).toEqual(["IDLE"]);
});

test("a daemon that never answers Open is given up after the connect deadline", async () => {
  await using daemon = await StrictDaemon.start();
  const clock = new ManualClock();
  daemon.mischief.deaf = true;
  const done = failure(
    upload(daemon, recordingOf("s1", eventsOf(3)), {
      clock,
      random: () => 0,
      connectTimeoutMs: 10_000,
      giveUpAfterMs: 15_000,
    }),
  );
  for (let round = 0; round < 2; round += 1) {
    await clock.sleeping((ms) => ms === 10_000);
    clock.advance(10_000);
    if (round === 0) {
      await clock.sleeping((ms) => ms === 0);
      clock.advance(0);
    }
  }
  expect(await done).toMatchObject({ code: "deadline_exceeded", reason: "CONNECT_TIMEOUT" });
});

test("a blob the daemon refuses is sent again from where it is, and sealing waits for it", async () => {
  await using daemon = await StrictDaemon.start();
  const data = randomBytes(900_000);
  const blob = blobOf(data);
  let refusals = 2;
  let sealedEarly = false;
  daemon.mischief.refuseChunk = (chunk) => (chunk.offset > 300_000n && refusals-- > 0 ? "DISK_FULL" : undefined);
  daemon.mischief.onFrame = (request) => {
    if (request.frame.case === "seal") sealedEarly = daemon.blobs.get(blob.id)?.stored !== true;
    return undefined;
  };
  const summary = await upload(daemon, recordingOf("s1", eventsOf(3), { blobs: [blob], seal: true }), {
    clock: instantClock(),
  });
  expect(summary).toMatchObject({ blobsSent: 1, reconnects: 0 });
  expect(daemon.blobs.get(blob.id)?.data.equals(data)).toBe(true);
  expect(sealedEarly).toBe(false);
});

test("a blob that is not what its name says fails the upload after its events are stored", async () => {
  await using daemon = await StrictDaemon.start();
  const blob = { ...blobOf(randomBytes(5_000)), id: "0".repeat(64) };
  const error = await failure(
    upload(daemon, recordingOf("s1", eventsOf(3), { blobs: [blob], seal: true }), { clock: instantClock() }),
  );
  expect(error).toMatchObject({ code: "data_loss", reason: "BLOB_REFUSED", metadata: { blob: blob.id } });
  expect(daemon.stream("s1").events).toHaveLength(3);
  expect(daemon.sessions.get("s1")?.sealed).toBeUndefined();
});

test("events do not wait for blobs", async () => {
  await using daemon = await StrictDaemon.start();
  const gate = Promise.withResolvers<void>();
  const data = randomBytes(1_000);
  const slow = {
    ...blobOf(data),
    async *read() {
      await gate.promise;
      yield data;
    },
  };
  await upload(daemon, recordingOf("s1", eventsOf(50), { blobs: [slow], seal: true }), {
    onProgress: ({ durableSeq }) => {
      if (durableSeq === 50n) gate.resolve();
    },
  });
  expect(daemon.sessions.get("s1")?.sealed).toBeDefined();
});

test("quarantined events are named once however often they are sent", async () => {
  await using daemon = await StrictDaemon.start();
  daemon.invalid.add(2n);
  const summary = await upload(daemon, recordingOf("s1", eventsOf(3)));
  expect(summary.quarantined).toBe(1);
  expect(summary.problems).toMatchObject([{ seq: 2n, path: "type", reason: "required" }]);
});

test("a recording with a hole is refused before anything past the hole is sent", async () => {
  await using daemon = await StrictDaemon.start();
  const recording: Recording = {
    ref: { session: "s1" },
    async *events() {
      yield { seq: 1n, event: eventOf(1) };
      yield { seq: 3n, event: eventOf(3) };
    },
  };
  expect(await failure(upload(daemon, recording))).toMatchObject({ reason: "SOURCE_GAP" });
  expect(daemon.stream("s1").events.length).toBeLessThan(2);
});

test("an event no message can hold is refused here and named", async () => {
  await using daemon = await StrictDaemon.start();
  daemon.mischief.limits = { messageBytes: 10_000n, eventBytes: 8_000n, batchEvents: 10, blobBytes: 1_000n };
  const error = await failure(upload(daemon, recordingOf("s1", [eventOf(1), eventOf(2, 20_000)])));
  expect(error).toMatchObject({ reason: "EVENT_TOO_LARGE", metadata: { seq: "2" } });
  const blobs = [blobOf(randomBytes(1_001))];
  expect(await failure(upload(daemon, recordingOf("s2", [], { blobs })))).toMatchObject({ reason: "BLOB_TOO_LARGE" });
  const empty = [blobOf(Buffer.alloc(0))];
  const events = eventsOf(3);
  expect(await failure(upload(daemon, recordingOf("s3", events, { blobs: empty })))).toMatchObject({
    reason: "BLOB_EMPTY",
  });
  expect(daemon.stream("s3").events).toHaveLength(3);
});

test("a limit of the daemon that waiting does not lift is final; one it gives a time for is not", async () => {
  await using daemon = await StrictDaemon.start();
  daemon.mischief.refuseOpen = () => fail(Code.ResourceExhausted, "SESSION_TOO_LARGE");
  expect(await failure(upload(daemon, recordingOf("s1", eventsOf(1))))).toMatchObject({ reason: "SESSION_TOO_LARGE" });
  let full = true;
  daemon.mischief.refuseOpen = () => {
    const refusal = full ? fail(Code.ResourceExhausted, "DISK_FULL", {}, 1) : undefined;
    full = false;
    return refusal;
  };
  expect((await upload(daemon, recordingOf("s1", eventsOf(1)))).durableSeq).toBe(1n);
});

test("a blob that arrived whole and was not published is finished with its last byte", async () => {
  await using daemon = await StrictDaemon.start();
  const data = randomBytes(700_000);
  const blob = blobOf(data);
  const held = { data, stored: false };
  daemon.blobs.set(blob.id, held);
  daemon.mischief.refuseChunk = (chunk) => {
    // As the daemon: what was published and not recorded is answered with "stored", whatever comes.
    if (chunk.offset !== 699_999n) return "BLOB_OFFSET";
    held.data = data.subarray(0, 699_999);
    return undefined;
  };
  await upload(daemon, recordingOf("s1", [], { blobs: [blob] }));
  expect(daemon.chunks).toBe(1);
});

test("a call the daemon ended leaves nothing open on the connection", async () => {
  await using daemon = await StrictDaemon.start();
  using link = createLink({ url: daemon.url });
  let frames = 0;
  daemon.mischief.onFrame = () => (++frames % 4 === 0 ? fail(Code.OutOfRange, "OUT_OF_RANGE") : undefined);
  const blobs = [blobOf(randomBytes(3_000_000))];
  const summary = await uploadRecording(
    recordingOf("s1", eventsOf(900, 10_000), { blobs }),
    { to: link, ...fast },
    never,
  );
  expect(summary.reconnects).toBeGreaterThan(5);
  await expect.poll(() => daemon.openStreams).toBe(0);
});

test("why the daemon ended an upload is known however much is on its way to it", async () => {
  await using daemon = await StrictDaemon.start();
  const events = eventsOf(600, 20_000);
  const blobs = Array.from({ length: 4 }, () => blobOf(randomBytes(2_000_000)));
  for (let round = 0; round < 20; round += 1) {
    let frames = 0;
    daemon.mischief.onFrame = () => (++frames > 3 ? fail(Code.FailedPrecondition, "SEALED") : undefined);
    const opens = daemon.opens;
    const error = await failure(upload(daemon, recordingOf(`s${round}`, events, { blobs })));
    expect(error.reason).toBe("SEALED");
    expect(daemon.opens).toBe(opens + 1);
  }
});

test("the key is asked for at every call and sent as a bearer", async () => {
  await using daemon = await StrictDaemon.start();
  let asked = 0;
  const key = () => `slk_test_${++asked}`;
  await uploadRecording(recordingOf("s1", eventsOf(1)), { to: { url: daemon.url, key }, ...fast }, never);
  expect(daemon.authorizations).toEqual(["Bearer slk_test_1"]);
});

test("a cancelled upload ends at once and leaves what was acknowledged", async () => {
  await using daemon = await StrictDaemon.start();
  const cancel = new AbortController();
  const recording = recordingOf("s1", eventsOf(5_000, 500));
  const error = await failure(
    uploadRecording(
      recording,
      {
        to: { url: daemon.url },
        onProgress: ({ durableSeq }) => {
          if (durableSeq > 0n) cancel.abort();
        },
      },
      cancel.signal,
    ),
  );
  expect(error).toMatchObject({ code: "cancelled" });
  expect((await upload(daemon, recording)).durableSeq).toBe(5_000n);
  expect(daemon.stream("s1").events).toHaveLength(5_000);
});

/** Acks only when the sender has nothing more it may send. */
function holdAcksForever(daemon: StrictDaemon): () => void {
  let stopped = false;
  const round = () => {
    const gate = Promise.withResolvers<void>();
    daemon.mischief.holdAcks = gate.promise;
    let frames = -1;
    const look = () => {
      const now = daemon.batches + daemon.chunks;
      if (now !== frames || now === 0) {
        frames = now;
        setTimeout(look, 5);
        return;
      }
      if (!stopped) round();
      gate.resolve();
    };
    look();
  };
  round();
  return () => {
    stopped = true;
  };
}

async function daemonHeardFrames(daemon: StrictDaemon): Promise<void> {
  await expect.poll(() => daemon.mostUnacked).toBeGreaterThan(0);
}

function instantClock() {
  return { now: () => Date.now(), sleep: (ms: number, signal: AbortSignal) => hurried(ms, signal) };
}

/** A thousandth of the time. */
async function hurried(ms: number, signal: AbortSignal): Promise<void> {
  const { setTimeout: wait } = await import("node:timers/promises");
  await wait(ms / 1_000, undefined, { signal });
}
