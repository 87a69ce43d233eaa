import { once } from "node:events";
import { constants } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UploadRequestSchema } from "../../src/wire/gen/sluice/opaque/v1/opaque_pb.ts";
import { events } from "../fixtures.ts";
import { Conversation } from "./conversation.ts";
import { eventually, readEvents, TestDaemon } from "./daemon.ts";
import { envelope, openSession, type RawCall, startGrpc } from "./raw-calls.ts";
import { END_HEADERS, frame, HEADERS, literal, PREFACE, RST_STREAM, SETTINGS } from "./raw-http2.ts";
import { closed, openSocket } from "./transport.ts";

const CALLS = 10_000;
const PER_CONNECTION = 1_000;
const RESOURCE_EXHAUSTED = 8;
const MiB = 1024 * 1024;

let daemon: TestDaemon;
let headers: { authorization: string };
beforeEach(async () => {
  daemon = await TestDaemon.start({ env: { SLUICE_LIMITS_REQUESTS_PER_SECOND: "1000000" } });
  headers = { authorization: `Bearer ${(await daemon.createKey(["ingest"])).secret}` };
});
afterEach(async () => {
  await daemon[Symbol.asyncDispose]();
});

const open = (stream: string) =>
  envelope(
    toBinary(
      UploadRequestSchema,
      create(UploadRequestSchema, { frame: { case: "open", value: { stream: { session: `flood-${stream}` } } } }),
    ),
  );

describe("ten thousand calls at once", () => {
  test("as many as a key may have are held, the others are told so; everyone else is served; all ends when they go", async () => {
    const collector = await Conversation.open(daemon.link(), "before-the-flood");
    const connections = Array.from({ length: CALLS / PER_CONNECTION }, () => openSession(daemon.url));
    let opened = 0;
    const refused: RawCall["answer"][] = [];
    const answered = connections.flatMap((connection, n) =>
      Array.from({ length: PER_CONNECTION }, async (_, index) => {
        const { stream, answer } = startGrpc(connection, "IngestService/Upload", headers);
        stream.write(open(`${n}-${index}`));
        await Promise.race([once(stream, "data"), answer]);
        if (stream.closed || stream.destroyed) refused.push(answer);
        else opened += 1;
      }),
    );
    await Promise.all(answered);
    expect(opened).toBe(2_000);
    expect(refused).toHaveLength(8_000);
    for (const { status } of await Promise.all(refused)) expect(status).toBe(RESOURCE_EXHAUSTED);
    expect(await daemon.sample("sluice_upload_streams")).toBe(2_001);
    // Some 50 KiB for each call that is open at once, for the moment it takes to refuse it.
    expect(await daemon.sample("process_resident_memory_bytes")).toBeLessThan(1024 * MiB);
    await daemon.expectServes();
    collector.events(1n, events(1, 100));
    await collector.durable(100n);
    expect(await collector.end()).toEqual([]);
    for (const connection of connections) connection.destroy();
    await daemon.expectWell();
    expect(await readEvents(daemon.link(), "before-the-flood")).toHaveLength(100);
  });
});

describe("ten thousand calls that are reset: whoever resets so many loses the connection, and nothing of them stays", () => {
  test("as soon as they are opened", async () => {
    const begun = async () => await daemon.sum('sluice_rpc_seconds_count{method="sluice.v1.IngestService/Upload"');
    const before = await begun();
    await expectCutOffAndForgotten(async () => {
      await using socket = await openSocket(daemon.port);
      socket.write(Buffer.concat([PREFACE, frame(SETTINGS, 0, 0), ...resets()]));
      await closed(socket);
      return (await begun()) - before >= CALLS;
    });
  });

  test("after they said whom they upload for and were told to begin", async () => {
    let opened = 0;
    await expectCutOffAndForgotten(async () => {
      using connection = openSession(daemon.url);
      const gone = new Promise<void>((resolve) => connection.once("close", resolve));
      while (!connection.closed && !connection.destroyed) {
        const calls = Array.from({ length: 100 }, () => startGrpc(connection, "IngestService/Upload", headers));
        await Promise.all(
          calls.map(async ({ stream, answer }, index) => {
            stream.write(open(`reset-${opened + index}`));
            await Promise.race([once(stream, "data").then(() => opened++, ignored), answer]);
            stream.close(constants.NGHTTP2_CANCEL);
          }),
        );
      }
      await gone;
      return opened >= CALLS;
    });
  });
});

/** `attack` makes one connection, which the daemon must end, until it says that is enough. */
async function expectCutOffAndForgotten(attack: () => Promise<boolean>): Promise<void> {
  const session = `before-the-resets-${crypto.randomUUID()}`;
  const collector = await Conversation.open(daemon.link(), session);
  const cutOff = async () => await daemon.sample('sluice_connections_refused_total{reason="abuse"}');
  const [connections, before] = [await daemon.sample("sluice_connections"), await cutOff()];
  let attacks = 1;
  while (!(await attack())) attacks += 1;
  expect((await cutOff()) - before).toBe(attacks);
  await daemon.expectServes();
  collector.events(1n, events(1, 100));
  await collector.durable(100n);
  expect(await collector.end()).toEqual([]);
  await eventually(async () => expect(await daemon.sample("sluice_connections")).toBeLessThan(connections + 3));
  await daemon.expectWell();
  expect(await readEvents(daemon.link(), session)).toHaveLength(100);
}

/** Twice as many calls, each with its reset, as a connection may have open at once. */
function resets(): Buffer[] {
  const path = literal(":path", "/sluice.v1.IngestService/Upload");
  const block = Buffer.concat([
    POST_HTTP,
    path,
    literal(":authority", "localhost"),
    literal("content-type", "application/grpc"),
    literal("te", "trailers"),
    literal("authorization", headers.authorization),
  ]);
  return Array.from({ length: 2 * PER_CONNECTION }, (_, index) => {
    const id = 2 * index + 1;
    return Buffer.concat([frame(HEADERS, END_HEADERS, id, block), frame(RST_STREAM, 0, id, CANCEL)]);
  });
}

const POST_HTTP = Buffer.from([0x83, 0x86]);
const CANCEL = Buffer.from([0, 0, 0, constants.NGHTTP2_CANCEL]);

function ignored(): void {}
