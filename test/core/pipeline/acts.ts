import type { ReduceOutput } from "../../../src/core/pipeline/outputs.ts";
import type {
  Page,
  Pointer,
  RedactOutput,
  SessionEvent,
  SessionFacts,
  Target,
} from "../../../src/core/pipeline/recorded.ts";
import { reduce as stage } from "../../../src/core/pipeline/reduce.ts";
import type { StageIo } from "../../../src/core/pipeline/stage.ts";
import { never } from "../../fixtures.ts";

/** An event but for its place: what a test says of it. */
export type Told = Partial<SessionEvent> & Pick<SessionEvent, "type" | "timeMs">;

export const SESSION: SessionFacts = {
  id: "session",
  task: "Buy a lamp.",
  startUrl: "https://shop.example/",
  userAgent: "",
  collector: "test/1",
  labels: [],
};

export const HOME: Page = {
  url: "https://shop.example/",
  title: "Shop",
  viewport: { width: 1280, height: 720 },
  devicePixelRatio: 1,
  scroll: { x: 0, y: 0 },
};

export const pageAt = (url: string): Page => ({ ...HOME, url });

/** A page's element, told apart by its id. */
export function element(id: string, more: Partial<Target> = {}): Target {
  return {
    selectors: [{ kind: "id", value: id, reliability: 0.95 }],
    role: "button",
    name: id,
    tag: "button",
    attributes: [],
    ancestors: [],
    ...more,
  };
}

export const field = (id: string, more: Partial<Target> = {}): Target =>
  element(id, { role: "textbox", tag: "input", ...more });

export const pointAt = (x: number, y: number, more: Partial<Pointer> = {}): Pointer => ({
  x,
  y,
  button: 0,
  clicks: 1,
  ...more,
});

export const key = (name: string, held: Partial<SessionEvent["key"]> = {}): SessionEvent["key"] & object => ({
  key: name,
  code: "",
  alt: false,
  ctrl: false,
  meta: false,
  shift: false,
  ...held,
});

export const state = (more: Partial<SessionEvent["after"]> = {}): SessionEvent["after"] & object => ({
  checked: false,
  focused: false,
  disabled: false,
  visible: true,
  expanded: false,
  selected: false,
  ...more,
});

export const shot = (name: string, phase: "before" | "after" | "unknown" = "before") => ({
  blob: name.repeat(64).slice(0, 64),
  phase,
});

/** The events of one stream, on one page unless they say otherwise. */
export function eventsOf(told: readonly Told[]): SessionEvent[] {
  return told.map((event, index) => ({
    ref: { stream: "main", seq: index + 1 },
    page: HOME,
    screenshots: [],
    ...event,
  }));
}

export function reduce(
  told: readonly Told[],
  params: Readonly<Record<string, unknown>> = {},
  session: Partial<SessionFacts> = {},
): ReduceOutput {
  return reduceEvents({ ...SESSION, ...session }, eventsOf(told), params);
}

export function reduceEvents(
  session: SessionFacts,
  events: readonly SessionEvent[],
  params: Readonly<Record<string, unknown>> = {},
): ReduceOutput {
  const output = stage.run({ redact: redacted(session, events) }, stage.params.parse(params), NO_IO);
  if (output instanceof Promise) throw new Error("reduce has nothing to wait for.");
  return output;
}

/** A session in which `redact` found nothing. */
export function redacted(session: SessionFacts, events: readonly SessionEvent[]): RedactOutput {
  const screenshots = { painted: 0, clean: 0, withheld: [], boxes: 0 };
  return { session, events, report: { values: {}, places: [], screenshots } };
}

/** Stages that are given this touch nothing but their inputs. */
export const NO_IO: StageIo = {
  readBlob: () => Promise.reject(new Error("This stage reads no blob.")),
  writeDerived: () => Promise.reject(new Error("This stage writes no blob.")),
  signal: never,
};
