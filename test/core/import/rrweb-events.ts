import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { onTestFinished } from "vitest";
import { openRecordings, type Recording } from "../../../src/core/import/importer.ts";
import { type Event, EventSchema } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { never } from "../../fixtures.ts";
import { collect } from "./reading.ts";

export const START = 1_700_000_000_000;

export type Json = Readonly<Record<string, unknown>>;

/** A file with these bytes, or with these events as a list. It is gone when the test is. */
export function fileOf(content: string | Buffer | readonly unknown[], name = "events.json"): string {
  const directory = mkdtempSync(join(tmpdir(), "sluice-rrweb-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, name);
  writeFileSync(path, typeof content === "string" || Buffer.isBuffer(content) ? content : JSON.stringify(content));
  return path;
}

export async function opened(path: string): Promise<Recording> {
  const [recording] = await collect(openRecordings(path, never));
  if (recording === undefined) throw new Error(`${path} holds no recording.`);
  return recording;
}

export async function told(path: string): Promise<Event[]> {
  const events = await collect((await opened(path)).events(1n, never));
  return events.map(({ event }) => fromBinary(EventSchema, event));
}

/** What is told of these events after a page was recorded. */
export async function toldAfter(body: readonly Json[], ...events: readonly Json[]): Promise<Event[]> {
  return (await told(fileOf([...page(body), ...timed(events)]))).slice(1);
}

/** Each a second after the one before. */
export function timed(events: readonly Json[]): Json[] {
  return events.map((event, index) => ({ ...event, timestamp: START + (index + 1) * 1000 }));
}

export const meta = (href: string, more: Json = {}): Json => ({
  type: 4,
  data: { href, width: 800, height: 600 },
  timestamp: START,
  ...more,
});

export const snapshot = (body: readonly Json[], more: Json = {}): Json => ({
  type: 2,
  data: { node: documentOf(1, body), initialOffset: { left: 0, top: 0 } },
  timestamp: START,
  ...more,
});

/** A page and what is in its body. Numbers up to 9 are those of what is around it. */
export const page = (body: readonly Json[]): Json[] => [meta("https://shop.example/a"), snapshot(body)];

export function documentOf(id: number, body: readonly Json[]): Json {
  const title = el(id + 3, "title", {}, text(id + 4, " The\n shop "));
  const html = el(id + 1, "html", {}, el(id + 2, "head", {}, title), el(id + 5, "body", {}, ...body));
  return { type: 0, id, childNodes: [html] };
}

export const BODY = 6;

export const el = (id: number, tagName: string, attributes: Json = {}, ...childNodes: readonly Json[]): Json => ({
  type: 2,
  id,
  tagName,
  attributes,
  childNodes,
});

export const text = (id: number, textContent: string): Json => ({ type: 3, id, textContent });

const change = (source: number, data: Json): Json => ({ type: 3, data: { source, ...data } });

const MOUSE = ["mouseup", "mousedown", "click", "contextmenu", "dblclick", "focus", "blur", "touchstart"] as const;

export const mouse = (type: (typeof MOUSE)[number], id: number, place: Json = { x: 10, y: 20 }): Json =>
  change(2, { type: MOUSE.indexOf(type), id, ...place });

export const scroll = (id: number, x: number, y: number): Json => change(3, { id, x, y });

export const input = (id: number, value: string, more: Json = {}): Json =>
  change(5, { id, text: value, isChecked: false, ...more });

export const dragged = (...positions: readonly Json[]): Json => change(12, { positions });

export const mutation = (more: Json): Json => change(0, { adds: [], removes: [], texts: [], attributes: [], ...more });

export const add = (parentId: number, node: Json, nextId: number | null = null): Json => ({ parentId, nextId, node });
