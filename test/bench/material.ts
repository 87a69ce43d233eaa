import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { EventSchema, EventType } from "../../src/wire/gen/sluice/v1/event_pb.ts";

/** What the benches send: events of real recordings, or 1.5 KB of random bytes each. */
export type Kind = "real" | "random";

/** Encoded events, to be sent again and again. */
export function benchEvents(kind: Kind): Uint8Array[] {
  return kind === "random" ? randomEvents(1000) : realEvents();
}

function randomEvents(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) =>
    encode({
      timeMs: BigInt(1_700_000_000_000 + index),
      type: EventType.CLICK,
      rawJson: randomBytes(1125).toString("base64"),
    }),
  );
}

const RECORDINGS = new URL("../../../shared/data/codesight/", import.meta.url);
const SAMPLE = new URL("../../dev/sample/", import.meta.url);

/** The 299 interactions of real shopping sessions where they are at hand, else the sample's events. */
function realEvents(): Uint8Array[] {
  if (!existsSync(RECORDINGS))
    throw new Error(
      `the ingest bench needs the recordings in ${RECORDINGS.pathname} (${SAMPLE.pathname} is too small)`,
    );
  const files = ["sessions-retail-3.json", "session-nordstrom-with-screenshot-rows.json"];
  return files.flatMap((file) => {
    const parsed: unknown = JSON.parse(readFileSync(new URL(file, RECORDINGS), "utf8"));
    return find(parsed).map(eventOf);
  });
}

interface Interaction {
  readonly id?: string;
  readonly type?: string;
  readonly timestamp?: number;
  readonly context?: { readonly url?: string; readonly pageTitle?: string };
}

function find(value: unknown): Interaction[] {
  if (Array.isArray(value)) return value.flatMap(find);
  if (value === null || typeof value !== "object") return [];
  if ("enhancedInteractions" in value && Array.isArray(value.enhancedInteractions)) return value.enhancedInteractions;
  return Object.values(value).flatMap(find);
}

function eventOf(interaction: Interaction): Uint8Array {
  const { id = "", type = "", timestamp = 1, context } = interaction;
  const known = Object.entries(EventType).find(([name]) => name === type)?.[1];
  return encode({
    id,
    timeMs: BigInt(timestamp),
    ...(known === undefined ? { type: EventType.CUSTOM, customType: type } : { type: known }),
    page: { url: context?.url ?? "", title: context?.pageTitle ?? "" },
    rawJson: JSON.stringify(interaction),
  });
}

function encode(init: MessageInitShape<typeof EventSchema>): Uint8Array {
  return toBinary(EventSchema, create(EventSchema, init));
}

/** A batch of `size` events that begins somewhere in the material. */
export function batchOf(material: readonly Uint8Array[], start: number, size: number): Uint8Array[] {
  return Array.from({ length: size }, (_, index) => material[(start + index) % material.length] ?? new Uint8Array());
}

/** A blob no one has seen: 1 MiB of random bytes made from a seed block, and its id. */
export function blobOf(seed: Buffer, number: number): { id: string; data: Buffer } {
  const data = Buffer.from(seed);
  data.writeUInt32LE(number, 0);
  return { id: createHash("sha256").update(data).digest("hex"), data };
}
