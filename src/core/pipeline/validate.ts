import { z } from "zod";
import type { EventRef, Recorded, SessionEvent, ValidateOutput } from "./recorded.ts";
import type { Stage } from "./stage.ts";
import { decodeEvent, isKnownType, readEvent } from "./validate/decode.ts";
import { namesOf, respell } from "./validate/event-type.ts";
import { Findings, type Report } from "./validate/findings.ts";
import { type Around, mendEvent } from "./validate/mends.ts";
import { mergeStreams, orderStream, type Placed } from "./validate/order.ts";
import { fillPages } from "./validate/pages.ts";
import { readRaw } from "./validate/raw.ts";
import { sessionFacts } from "./validate/session-facts.ts";
import { substanceOf } from "./validate/shell.ts";

const PARAMS = z.strictObject({});

/**
 * Reads what collectors sent: decodes it, mends known dirt and tells of each, and puts the events of
 * all streams in one order. Takes any events that decode, in time that grows with their size (and as
 * n log n with their number where they are out of order). Fails with `data_loss` EVENT_UNREADABLE.
 */
export const validate: Stage<"validate", "recording", typeof PARAMS> = {
  name: "validate",
  version: 1,
  inputs: ["recording"],
  params: PARAMS,
  run({ recording }): ValidateOutput {
    const findings = new Findings();
    const session = sessionFacts(recording, findings.reporter());
    const missingBlobs = new Set(recording.missingBlobs);
    const dropped: Dropped[] = [];
    const streams = decodeStreams(recording, findings).map((stream) => {
      const placed = mendStream(stream, { missingBlobs }, dropped);
      return orderStream(placed, findings.add);
    });
    return {
      session,
      events: mergeStreams(fillAll(streams, findings)),
      findings: findings.list(),
      dropped,
      quarantined: recording.quarantined,
      missingBlobs: recording.missingBlobs,
    };
  },
};

type Dropped = ValidateOutput["dropped"][number];

interface Decoded {
  readonly event: SessionEvent;
  readonly sequence: number | undefined;
  readonly report: Report;
}

/** By stream, in the order of their names. */
function decodeStreams(recording: Recorded, findings: Findings): Decoded[][] {
  const streams = new Map<string, Decoded[]>();
  for (const recorded of recording.events) {
    const ref: EventRef = { stream: recorded.stream, seq: recorded.seq };
    const report = findings.reporter(ref);
    const { sent, sequence } = readRaw(readEvent(recorded), report);
    if (!isKnownType(sent)) report("TYPE_UNKNOWN", "type");
    const stream = streams.get(ref.stream) ?? [];
    streams.set(ref.stream, stream);
    stream.push({ event: decodeEvent(ref, sent), sequence, report });
  }
  return [...streams.values()];
}

/** The stream's events with each mended, but for those that say nothing. */
function mendStream(stream: readonly Decoded[], around: Around, dropped: Dropped[]): Placed[] {
  const mended = stream.map((each) => ({ ...each, event: mendEvent(each.event, around, each.report) }));
  const names = namesOf(mended.map(({ event }) => event));
  const placed: Placed[] = [];
  for (const { event: named, sequence, report } of mended) {
    const event = respell(named, names);
    if (event !== named) report("TYPE_RESPELLED", "custom_type");
    const substance = substanceOf(event);
    if (substance === "nothing") {
      report("EMPTY_SHELL");
      dropped.push({ ref: event.ref, code: "EMPTY_SHELL" });
      continue;
    }
    if (substance === "only page") report("ONLY_PAGE");
    placed.push({ event, sequence });
  }
  return placed;
}

/** A recording of a desktop has no pages at all: that is said once. */
function fillAll(streams: readonly SessionEvent[][], findings: Findings): readonly SessionEvent[][] {
  if (streams.some((events) => events.some(({ page }) => page !== undefined))) {
    return streams.map((events) => fillPages(events, findings.add));
  }
  if (streams.some((events) => events.length > 0)) findings.add(undefined, "PAGE_MISSING", "page");
  return streams;
}
