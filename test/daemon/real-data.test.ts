import { createReadStream, existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it } from "vitest";
import { type Recording, uploadRecording } from "../../src/client/recording.ts";
import { openRecordings, type RecordedBlob } from "../../src/core/import/importer.ts";
import { benchEvents } from "../bench/material.ts";
import { never } from "../fixtures.ts";
import { Link, readBlob, readEvents, TestDaemon } from "./daemon.ts";

const SHARED = fileURLToPath(new URL("../../../shared/data/", import.meta.url));
const SAMPLE = fileURLToPath(new URL("../../dev/sample", import.meta.url));

/** Streams a recording in and reads it back: the events and blobs that went in, those that came out. */
async function roundTrip(daemon: TestDaemon, recording: Recording, sent: readonly Buffer[]): Promise<void> {
  const { quarantined, reconnects } = await uploadRecording(recording, { to: { url: daemon.url } }, never);
  expect({ quarantined: Number(quarantined), reconnects }).toEqual({ quarantined: 0, reconnects: 0 });
  using link = new Link(daemon.url, {});
  const stored = await readEvents(link, recording.ref.session);
  expect(stored.map(({ seq }) => seq)).toEqual(sent.map((_, index) => BigInt(index + 1)));
  for (const [index, { event }] of stored.entries()) expect(event.equals(sent[index] ?? Buffer.of())).toBe(true);
}

describe("real recordings come back as they were sent", () => {
  describe("shopping sessions of another system", () => {
    beforeEach((context) => {
      if (!existsSync(`${SHARED}codesight`)) context.skip("no recordings at ../shared/data/codesight");
    });

    it("event by event", async () => {
      await using daemon = await TestDaemon.start();
      const sent = benchEvents("real").map((event) => Buffer.from(event));
      expect(sent.length).toBeGreaterThan(290);
      const events: Recording["events"] = async function* (fromSeq) {
        for (const [index, event] of sent.entries()) {
          const seq = BigInt(index + 1);
          if (seq >= fromSeq) yield { seq, event, blobs: [] };
        }
      };
      await roundTrip(daemon, { ref: { session: "shopping" }, events, seal: true }, sent);
    });
  });

  describe.each([
    ["the sample", SAMPLE],
    ["AgentNet's benchmark", `${SHARED}agentnet/bench`],
    ["AgentNet's training form", `${SHARED}agentnet/cot`],
  ])("%s", (_name, path) => {
    beforeEach((context) => {
      if (!existsSync(path)) context.skip("no recordings at ../shared/data/agentnet");
    });

    it("event by event and screenshot by screenshot", async () => {
      await using daemon = await TestDaemon.start();
      using link = new Link(daemon.url, {});
      let screenshots = 0;
      for await (const recording of openRecordings(path, never)) {
        const sent: Buffer[] = [];
        for await (const { event } of recording.events(1n, never)) sent.push(Buffer.from(event));
        const files: RecordedBlob[] = [];
        for await (const blob of recording.blobs(never)) files.push(blob);
        const blobs = files.map(({ id, size, mediaType, path: file }) => ({
          id,
          size,
          mediaType,
          read: (offset: number) => createReadStream(file, { start: offset }),
        }));
        const ref = { session: recording.session, stream: recording.stream };
        await roundTrip(daemon, { ref, events: recording.events.bind(recording), blobs, seal: true }, sent);
        for (const { id, path: file } of files) {
          expect((await readBlob(link, id)).equals(await readFile(file))).toBe(true);
          screenshots += 1;
        }
      }
      expect(screenshots).toBeGreaterThan(10);
    });
  });
});
