import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { SourceBlob } from "../../src/client/source.ts";
import { openRecordings } from "../../src/core/import/importer.ts";
import { EventSchema, ScreenshotPhase } from "../../src/wire/gen/sluice/v1/event_pb.ts";
import { never } from "../fixtures.ts";

/** A stream of a session, by number. Two streams share a session. */
export interface StreamName {
  readonly session: string;
  readonly stream: string;
}

/** Streams of events and blobs in the shape of recorded ones, of any length, always the same. */
export class Source {
  readonly #events: readonly Uint8Array[];
  readonly #images: readonly Buffer[];

  private constructor(events: readonly Uint8Array[], images: readonly Buffer[]) {
    this.#events = events;
    this.#images = images;
  }

  /** From the sample, and from the computer-use recordings beside the repository where they are. */
  static async load(): Promise<Source> {
    const events: Uint8Array[] = [];
    const images: Buffer[] = [];
    for (const url of [SAMPLE, TRAJECTORIES].filter((folder) => existsSync(folder))) {
      for await (const recording of openRecordings(fileURLToPath(url), never)) {
        for await (const { event } of recording.events(1n, never)) events.push(withoutScreenshots(event));
        for await (const { path } of recording.blobs(never)) images.push(await readFile(path));
      }
    }
    if (events.length === 0 || images.length === 0) throw new Error("There is no recording to make a source from.");
    return new Source(events, images);
  }

  name(stream: number): StreamName {
    return { session: `torture-${stream >> 1}`, stream: stream % 2 === 0 ? "main" : "second" };
  }

  /** The event of that stream at that seq, from 1. No two are the same. */
  event(stream: number, seq: number): Uint8Array {
    const recorded = this.#events[(stream * 31 + seq) % this.#events.length] ?? new Uint8Array();
    const number = blobBefore(seq);
    const blobs = number === undefined ? [] : [this.blob(stream, number)];
    const screenshots = blobs.map(({ id }) => ({
      blobId: id,
      phase: ScreenshotPhase.BEFORE,
      width: 1280,
      height: 720,
    }));
    // Encoded messages that follow one another are one message: the last id counts.
    return Buffer.concat([recorded, encode({ id: `${stream}/${seq}`, screenshots })]);
  }

  /** The stream's blob of that number, from 0. No two are the same. */
  blob(stream: number, number: number): SourceBlob & { readonly bytes: Buffer } {
    // Every fifth is so large that it goes in several chunks.
    const images = Array.from({ length: number % 5 === 4 ? 8 : 1 }, (_, index) =>
      this.#image(stream * 7 + number + index),
    );
    const bytes = Buffer.concat([...images, Buffer.from(`${stream}/${number}`)]);
    return {
      id: sha256(bytes),
      size: bytes.length,
      mediaType: "image/webp",
      bytes,
      async *read(offset) {
        yield bytes.subarray(offset);
      },
    };
  }

  #image(number: number): Buffer {
    return this.#images[number % this.#images.length] ?? Buffer.alloc(0);
  }
}

/** Every so many events there is one with a screenshot. */
const EVENTS_PER_BLOB = 20;

/** The number of the blob that the event at this seq names, if it names one. */
export function blobBefore(seq: number): number | undefined {
  return seq % EVENTS_PER_BLOB === 1 ? Math.floor(seq / EVENTS_PER_BLOB) : undefined;
}

/** How many blobs the events up to `seq` name. */
export function blobsUpTo(seq: number): number {
  return Math.ceil(seq / EVENTS_PER_BLOB);
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

const SAMPLE = new URL("../../dev/sample/", import.meta.url);
const TRAJECTORIES = new URL("../../../shared/data/agentnet/bench/", import.meta.url);

function withoutScreenshots(event: Uint8Array): Uint8Array {
  return encode({ ...fromBinary(EventSchema, event), seq: 0n, screenshots: [] });
}

function encode(event: MessageInitShape<typeof EventSchema>): Uint8Array {
  return toBinary(EventSchema, create(EventSchema, event));
}
