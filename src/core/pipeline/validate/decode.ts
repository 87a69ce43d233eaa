import { fromBinary } from "@bufbuild/protobuf";
import * as wire from "../../../wire/gen/sluice/v1/event_pb.ts";
import { AppError } from "../../errors.ts";
import type {
  Ancestor,
  Attribute,
  Box,
  ElementState,
  EventRef,
  EventTypeName,
  Grounding,
  Input,
  Key,
  Page,
  PageElement,
  Pointer,
  RecordedBytes,
  Screenshot,
  Selector,
  SelectorKind,
  SessionEvent,
  Target,
} from "../recorded.ts";
import { withoutEmpty } from "./absent.ts";

/** Fails with `data_loss` EVENT_UNREADABLE: what was taken in was well-formed. */
export function readEvent({ stream, seq, event }: RecordedBytes): wire.Event {
  try {
    return fromBinary(wire.EventSchema, event);
  } catch (cause) {
    throw new AppError("data_loss", `Event ${seq} of stream ${stream} can't be decoded; it was damaged in the store.`, {
      reason: "EVENT_UNREADABLE",
      metadata: { stream, seq: String(seq) },
      cause,
    });
  }
}

/** The event as the stages see it, nothing mended yet. */
export function decodeEvent(ref: EventRef, event: wire.Event): SessionEvent {
  const { page, target, input, pointer, key, before, after } = event;
  return withoutEmpty({
    ref: { stream: ref.stream, seq: ref.seq },
    timeMs: Number(event.timeMs),
    type: TYPES[event.type] ?? "custom",
    ...(event.type === wire.EventType.CUSTOM && { customType: event.customType }),
    ...(page && { page: pageOf(page) }),
    ...(target && { target: targetOf(target) }),
    ...(input && { input: inputOf(input) }),
    ...(pointer && { pointer: pointerOf(pointer) }),
    ...(key && { key: keyOf(key) }),
    ...(before && { before: stateOf(before) }),
    ...(after && { after: stateOf(after) }),
    screenshots: event.screenshots.map(screenshotOf),
    elements: event.elements.map(elementOf),
  });
}

/** Enums are open: a number of a later vocabulary has no name here. */
const TYPES: Readonly<Record<number, EventTypeName>> = {
  [wire.EventType.CLICK]: "click",
  [wire.EventType.INPUT]: "input",
  [wire.EventType.SCROLL]: "scroll",
  [wire.EventType.NAVIGATION]: "navigation",
  [wire.EventType.HOVER]: "hover",
  [wire.EventType.FOCUS]: "focus",
  [wire.EventType.BLUR]: "blur",
  [wire.EventType.SUBMIT]: "submit",
  [wire.EventType.KEY]: "key",
  [wire.EventType.DRAG]: "drag",
  [wire.EventType.DROP]: "drop",
  [wire.EventType.TOUCH]: "touch",
  [wire.EventType.CUSTOM]: "custom",
};

/** Whether this vocabulary has the event's type. */
export function isKnownType(event: wire.Event): boolean {
  return TYPES[event.type] !== undefined;
}

const SELECTOR_KINDS: Readonly<Record<number, SelectorKind>> = {
  [wire.SelectorKind.CSS]: "css",
  [wire.SelectorKind.XPATH]: "xpath",
  [wire.SelectorKind.TEST_ID]: "test_id",
  [wire.SelectorKind.ROLE]: "role",
  [wire.SelectorKind.TEXT]: "text",
  [wire.SelectorKind.ARIA]: "aria",
  [wire.SelectorKind.ID]: "id",
};

const PHASES: Readonly<Record<number, Screenshot["phase"]>> = {
  [wire.ScreenshotPhase.BEFORE]: "before",
  [wire.ScreenshotPhase.AFTER]: "after",
};

function pageOf({ url, title, viewportWidth, viewportHeight, devicePixelRatio, scrollX, scrollY }: wire.Page): Page {
  return {
    url,
    title,
    viewport: { width: viewportWidth, height: viewportHeight },
    devicePixelRatio,
    scroll: { x: scrollX, y: scrollY },
  };
}

function targetOf({ selectors, role, name, text, tag, attributes, box, ancestors }: wire.Target): Target {
  return {
    selectors: selectors.map(selectorOf),
    role,
    name,
    text,
    tag,
    attributes: attributes.map(attributeOf),
    ...(box && { box: boxOf(box) }),
    ancestors: ancestors.map(ancestorOf),
  };
}

function selectorOf({ kind, value, reliability, grounding }: wire.Selector): Selector {
  return {
    kind: SELECTOR_KINDS[kind] ?? "unknown",
    value,
    reliability,
    ...(grounding && { grounding: groundingOf(grounding) }),
  };
}

function groundingOf({ matches, findsTarget, boxHoldsPointer }: wire.Grounding): Grounding {
  return { matches, findsTarget, ...(boxHoldsPointer !== undefined && { boxHoldsPointer }) };
}

function attributeOf({ name, value }: wire.Attribute): Attribute {
  return { name, value };
}

function ancestorOf({ tag, role, name, attributes }: wire.Ancestor): Ancestor {
  return { tag, role, name, attributes: attributes.map(attributeOf) };
}

function elementOf({ tag, role, name, text, value, attributes, box }: wire.Element): PageElement {
  return { tag, role, name, text, value, attributes: attributes.map(attributeOf), ...(box && { box: boxOf(box) }) };
}

function boxOf({ x, y, width, height }: wire.Box): Box {
  return { x, y, width, height };
}

function inputOf({ value, masked, kind }: wire.Input): Input {
  return { value, masked, kind };
}

function pointerOf({ x, y, button, clicks, deltaX, deltaY, toX, toY }: wire.Pointer): Pointer {
  return {
    x,
    y,
    button,
    clicks,
    ...((deltaX !== 0 || deltaY !== 0) && { delta: { x: deltaX, y: deltaY } }),
    ...((toX !== 0 || toY !== 0) && { to: { x: toX, y: toY } }),
  };
}

function keyOf({ key, code, alt, ctrl, meta, shift }: wire.Key): Key {
  return { key, code, alt, ctrl, meta, shift };
}

function stateOf(state: wire.ElementState): ElementState {
  const { url, value, text, checked, focused, disabled, visible, expanded, selected } = state;
  return { url, value, text, checked, focused, disabled, visible, expanded, selected };
}

function screenshotOf({ blobId, phase, width, height }: wire.Screenshot): Screenshot {
  return {
    blob: blobId,
    phase: PHASES[phase] ?? "unknown",
    ...(width > 0 && height > 0 && { size: { width, height } }),
  };
}
