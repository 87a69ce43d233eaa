import { AppError } from "../../errors.ts";
import type { EventRef, RedactionReport, Screenshot, SessionEvent } from "../recorded.ts";
import type { StageIo } from "../stage.ts";
import { type Coverage, coverageOf, type Rectangle } from "./boxes.ts";
import { type DecodedImage, decodeImage, encodeImage, type ImageDefect, stripped } from "./image.ts";
import { type PageState, type Sightings, stateOf } from "./sightings.ts";

/** Why a screenshot is not in the output. */
type WithheldCode = ImageDefect | NonNullable<Coverage["doubt"]> | "BLOB_MISSING" | "BLOB_CORRUPT";

/** A screenshot that may be shown: its derived blob, and how many boxes were painted over. */
interface Shown {
  readonly blob: string;
  readonly size: { readonly width: number; readonly height: number };
  readonly boxes: number;
}

export interface RedactedScreenshots {
  /** Of each event, in order. */
  readonly screenshots: readonly (readonly Screenshot[])[];
  readonly report: RedactionReport["screenshots"];
}

/**
 * Paints over what screenshots show of a person. One picture that several events name is painted for
 * all of them at once: what one of them knows must not be left for another to show. All that is left
 * is kept as derived blobs, those with nothing to paint too, so that the recorded ones can go.
 */
export async function redactScreenshots(
  events: readonly SessionEvent[],
  sightings: Sightings,
  unlocated: "keep" | "withhold",
  io: StageIo,
): Promise<RedactedScreenshots> {
  const results = new Map<string, Shown | WithheldCode>();
  for (const [blob, uses] of usesOf(events)) results.set(blob, await redactOne(blob, uses, sightings, unlocated, io));
  const withheld: { ref: EventRef; code: string }[] = [];
  const report = { painted: 0, clean: 0, boxes: 0 };
  const screenshots = events.map(({ ref, screenshots: named }) =>
    named.flatMap(({ blob, phase }): Screenshot[] => {
      const result = results.get(blob) ?? "BLOB_MISSING";
      if (typeof result === "string") {
        withheld.push({ ref, code: result });
        return [];
      }
      report[result.boxes === 0 ? "clean" : "painted"]++;
      report.boxes += result.boxes;
      return [{ blob: result.blob, phase, size: result.size }];
    }),
  );
  return { screenshots, report: { ...report, withheld } };
}

/** A screenshot as one event names it, with what it may show. */
interface Use {
  readonly at: number;
  readonly states: readonly PageState[];
}

function usesOf(events: readonly SessionEvent[]): Map<string, Use[]> {
  const uses = new Map<string, Use[]>();
  for (const [at, event] of events.entries()) {
    for (const { blob, phase } of event.screenshots) {
      const others = uses.get(blob) ?? [];
      uses.set(blob, others);
      others.push({ at, states: statesShown(events, at, phase) });
    }
  }
  return uses;
}

/**
 * A picture from before a step may show what the step before left, one from after it what the next
 * found: a click's shows the page it led to, or the one it was made on, depending on who was faster.
 */
function statesShown(events: readonly SessionEvent[], at: number, phase: Screenshot["phase"]): PageState[] {
  const first = phase === "after" ? at : at - 1;
  const last = phase === "before" ? at : at + 1;
  return events.slice(Math.max(0, first), last + 1).map((event, index) => stateOf(event, Math.max(0, first) + index));
}

async function redactOne(
  blob: string,
  uses: readonly Use[],
  sightings: Sightings,
  unlocated: "keep" | "withhold",
  io: StageIo,
): Promise<Shown | WithheldCode> {
  const bytes = await readBlob(blob, io);
  if (typeof bytes === "string") return bytes;
  const image = await decodeImage(bytes);
  if (typeof image === "string") return image;
  const coverages = uses.map(({ at, states }) => coverageOf(image.size, at, states, sightings));
  const doubt = coverages.find((coverage) => coverage.doubt !== undefined)?.doubt;
  if (doubt !== undefined && unlocated === "withhold") return doubt;
  const rectangles = [
    ...new Map(coverages.flatMap((each) => each.rectangles).map((each) => [JSON.stringify(each), each])).values(),
  ];
  const kept = await keep(bytes, image, rectangles, io);
  return { blob: kept, size: image.size, boxes: rectangles.length };
}

/** A picture with nothing to hide keeps its pixels as they were compressed; one with nothing beside it its bytes, and so its name. */
async function keep(
  bytes: Uint8Array,
  image: DecodedImage,
  rectangles: readonly Rectangle[],
  io: StageIo,
): Promise<string> {
  if (rectangles.length === 0) {
    const bare = image.bare ? bytes : await stripped(bytes, image);
    if (bare !== undefined) return await io.writeDerived(bare, image.mediaType);
  }
  return await io.writeDerived(await encodeImage(image, rectangles), "image/webp");
}

/** Fails with `failed_precondition` BLOB_EXPIRED: a session can't be redacted again from less than it was. */
async function readBlob(blob: string, io: StageIo): Promise<Uint8Array | "BLOB_MISSING" | "BLOB_CORRUPT"> {
  try {
    return await io.readBlob(blob);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error.reason === "BLOB_NOT_FOUND") return "BLOB_MISSING";
    if (error.reason === "BLOB_CORRUPT") return "BLOB_CORRUPT";
    if (error.reason !== "BLOB_EXPIRED") throw error;
    throw new AppError(
      "failed_precondition",
      "Recorded screenshots of this session have been removed for their age, so that it can't be redacted anew; what was made of them before stays.",
      { reason: "BLOB_EXPIRED", metadata: error.metadata, cause: error },
    );
  }
}
