import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { openRecordings } from "../../../src/core/import/importer.ts";
import type { Finding, Recorded, RecordedBytes, ValidateOutput } from "../../../src/core/pipeline/recorded.ts";
import type { StageIo } from "../../../src/core/pipeline/stage.ts";
import { validate } from "../../../src/core/pipeline/validate.ts";
import { EventSchema, EventType } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { never } from "../../fixtures.ts";

export type EventInit = MessageInitShape<typeof EventSchema>;

/** The time of the first event that is given none; those after it are a second apart. */
export const START = 1_700_000_000_000;

/** A sealed session with these events in a stream of each name; one without a type is a click. */
export function recordingOf(
  streams: Readonly<Record<string, readonly EventInit[]>>,
  more: Partial<Recorded> = {},
): Recorded {
  const ends = Object.entries(streams).map(([stream, events]) => ({ stream, lastSeq: BigInt(events.length) }));
  const events = Object.entries(streams).flatMap(([stream, inits]) =>
    inits.map((init, index): RecordedBytes => ({ stream, seq: index + 1, event: encode(init, index) })),
  );
  return { session: "s", info: undefined, streams: ends, missingBlobs: [], events, quarantined: 0, ...more };
}

function encode(init: EventInit, index: number): Uint8Array {
  const event = create(EventSchema, init);
  if (init.timeMs === undefined) event.timeMs = BigInt(START + index * 1000);
  if (init.type === undefined) event.type = EventType.CLICK;
  return toBinary(EventSchema, event);
}

/** The recordings at a path as they are once they are sealed, none of their blobs missing. */
export async function importedFrom(path: string): Promise<Recorded[]> {
  const found: Recorded[] = [];
  for await (const recording of openRecordings(path, never)) {
    const { session, stream, info } = recording;
    const events: RecordedBytes[] = [];
    for await (const { seq, event } of recording.events(1n, never)) events.push({ stream, seq: Number(seq), event });
    const streams = [{ stream, lastSeq: BigInt(events.length) }];
    found.push({ session, info, streams, missingBlobs: [], events, quarantined: 0 });
  }
  return found;
}

export async function validated(recording: Recorded): Promise<ValidateOutput> {
  return await validate.run({ recording }, {}, NO_IO);
}

/** How often each code is among them, by name. */
export function countCodes(findings: readonly Finding[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { code } of findings) counts.set(code, (counts.get(code) ?? 0) + 1);
  return Object.fromEntries([...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** For stages that touch nothing beyond their inputs. */
const NO_IO: StageIo = {
  readBlob: () => Promise.reject(new Error("the stage read a blob")),
  writeDerived: () => Promise.reject(new Error("the stage wrote a blob")),
  signal: never,
};
