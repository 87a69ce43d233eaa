import { fromBinary } from "@bufbuild/protobuf";
import { expect } from "vitest";
import { openRecordings, type Recording } from "../../../src/core/import/importer.ts";
import { type Event, EventSchema, EventType } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { never } from "../../fixtures.ts";

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The one recording at a path. */
export async function only(path: string): Promise<Recording> {
  const [recording, ...rest] = await collect(openRecordings(path, never));
  expect(rest).toEqual([]);
  if (recording === undefined) throw new Error("no recording");
  return recording;
}

export async function eventsOf(recording: Recording): Promise<Event[]> {
  return (await collect(recording.events(1n, never))).map(({ event }) => fromBinary(EventSchema, event));
}

/** "CLICK". */
export function nameOf(type: EventType): string {
  return Object.entries(EventType).find(([, number]) => number === type)?.[0] ?? "";
}
