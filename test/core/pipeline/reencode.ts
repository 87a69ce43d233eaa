import { create, toBinary } from "@bufbuild/protobuf";
import type { Recorded, RecordedBytes, SessionEvent, ValidateOutput } from "../../../src/core/pipeline/recorded.ts";
import { EventSchema, EventType, ScreenshotPhase, SelectorKind } from "../../../src/wire/gen/sluice/v1/event_pb.ts";

/** What validate gave, as if a collector had sent it so: each stream in the order it has now. */
export function reencode({ session, events, missingBlobs, quarantined }: ValidateOutput): Recorded {
  const streams = Map.groupBy(events, ({ ref }) => ref.stream);
  const names = [...streams.keys()].toSorted();
  const recorded = names.flatMap((stream) =>
    (streams.get(stream) ?? []).map(
      (event, index): RecordedBytes => ({ stream, seq: index + 1, event: encode(event) }),
    ),
  );
  const ends = names.map((stream) => ({ stream, lastSeq: BigInt(streams.get(stream)?.length ?? 0) }));
  const info = { ...session, rawJson: "" };
  return { session: session.id, info, streams: ends, missingBlobs, events: recorded, quarantined };
}

function encode(event: SessionEvent): Uint8Array {
  const { page, target, pointer, screenshots, elements = [] } = event;
  const init = {
    timeMs: BigInt(event.timeMs),
    type: numberOf(EventType, event.type),
    ...(event.customType !== undefined && { customType: event.customType }),
    ...(page && {
      page: {
        url: page.url,
        title: page.title,
        viewportWidth: page.viewport?.width ?? 0,
        viewportHeight: page.viewport?.height ?? 0,
        devicePixelRatio: page.devicePixelRatio ?? 0,
        scrollX: page.scroll.x,
        scrollY: page.scroll.y,
      },
    }),
    ...(target && {
      target: {
        ...target,
        selectors: target.selectors.map((selector) => ({
          ...selector,
          kind: numberOf(SelectorKind, selector.kind),
        })),
        attributes: target.attributes.map((attribute) => ({ ...attribute })),
        ancestors: target.ancestors.map((ancestor) => ({ ...ancestor, attributes: [...ancestor.attributes] })),
      },
    }),
    ...(event.input && { input: event.input }),
    ...(pointer && {
      pointer: {
        x: pointer.x,
        y: pointer.y,
        button: pointer.button,
        clicks: pointer.clicks,
        deltaX: pointer.delta?.x ?? 0,
        deltaY: pointer.delta?.y ?? 0,
        toX: pointer.to?.x ?? 0,
        toY: pointer.to?.y ?? 0,
      },
    }),
    ...(event.key && { key: event.key }),
    ...(event.before && { before: event.before }),
    ...(event.after && { after: event.after }),
    screenshots: screenshots.map(({ blob, phase, size }) => ({
      blobId: blob,
      phase: numberOf(ScreenshotPhase, phase),
      width: size?.width ?? 0,
      height: size?.height ?? 0,
    })),
    elements: elements.map((element) => ({ ...element, attributes: [...element.attributes] })),
  };
  return toBinary(EventSchema, create(EventSchema, init));
}

/** The number that a generated enum has for a word in lower case; 0, which is "unspecified", for any other. */
function numberOf<Value extends number>(names: Readonly<Record<string, Value>>, word: string): Value | 0 {
  return Object.entries(names).find(([name]) => name.toLowerCase() === word)?.[1] ?? 0;
}
