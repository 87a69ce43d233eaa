import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { EventSchema, EventType, ScreenshotPhase } from "../../../wire/gen/sluice/v1/event_pb.ts";
import type { RecordedEvent } from "../importer.ts";
import { at, type JsonObject, number, text } from "../lenient.ts";
import { type Act, Acts, type Picture } from "./acts.ts";
import type { TraceFiles } from "./files.ts";
import type { ContextHead } from "./heads.ts";
import { KeyNames } from "./key-names.ts";
import { eventsOf, type Hands, isAimed, isNavigation } from "./methods.ts";
import { readRecords } from "./records.ts";
import { type Shot, Shots } from "./screenshots.ts";
import { textsIn } from "./texts.ts";
import { pageOf, statesOf, targetOf } from "./view.ts";

/** An event, with where in the trace it is from, and the picture it names. */
export interface TraceEvent extends RecordedEvent {
  readonly line: number;
  /** How many of the trace's records it stands for; 0 for one more event of the same. */
  readonly records: number;
  readonly shot: Shot | undefined;
}

type Fields = Omit<MessageInitShape<typeof EventSchema>, "$typeName">;

/** The events of one context, in the order in which things were done. */
export async function* readEvents(
  files: TraceFiles,
  head: ContextHead,
  signal: AbortSignal,
): AsyncGenerator<TraceEvent, void> {
  const teller = new Teller(files, head);
  const acts = new Acts();
  for await (const { line, json, value } of readRecords(files, head.file, signal)) {
    const known = value === undefined ? [] : acts.take({ line, json, value }, value);
    for (const act of known) yield* teller.tell(act, signal);
    if (value === undefined) {
      for (const act of acts.end()) yield* teller.tell(act, signal);
      yield teller.tellUnread(line, json);
    }
  }
  for (const act of acts.end()) yield* teller.tell(act, signal);
}

class Teller {
  readonly #shots: Shots;
  readonly #head: ContextHead;
  readonly #hands: Hands;
  readonly #testIdAttribute: string;
  readonly #pixelRatio: number;
  /** Pictures that are none, told once each. */
  readonly #bad = new Set<string>();
  #seq = 0n;
  #timeMs: bigint;

  constructor(files: TraceFiles, head: ContextHead) {
    this.#shots = new Shots(files);
    this.#head = head;
    this.#hands = { keys: new KeyNames(text(head.options.platform)), mouse: undefined };
    this.#testIdAttribute = text(head.options.testIdAttributeName, "data-testid");
    this.#pixelRatio = number(at(head.options, "options", "deviceScaleFactor")) ?? 0;
    this.#timeMs = this.#epoch(number(head.options.monotonicTime) ?? 0);
  }

  async *tell(act: Act, signal: AbortSignal): AsyncGenerator<TraceEvent, void> {
    const told = wasDone(act) ? eventsOf(act, this.#hands) : [{ type: EventType.CUSTOM, customType: NOT_DONE }];
    if (told.length === 0) return;
    this.#timeMs = this.#epoch(act.time);
    const { picture } = act;
    const shot = picture && (await this.#shots.read(picture.file, signal));
    if (picture !== undefined && shot === undefined) yield* this.#tellBad(picture);
    const target = targetOf(act, this.#testIdAttribute);
    const page = this.#pageOf(act);
    for (const [index, fields] of told.entries()) {
      const id = told.length === 1 ? act.callId : `${act.callId}.${index}`;
      const common = {
        ...(Buffer.byteLength(id) <= MAX_ID_BYTES && { id }),
        ...(page && { page }),
        ...(target && { target }),
        ...fields,
      };
      if (index > 0) yield this.#encode(act.line, 0, common, undefined);
      else yield this.#encode(act.line, countRecords(act), { ...common, ...this.#once(act) }, shot);
    }
  }

  /** A line that was cut off is no event that anyone can read: the daemon sets it aside. */
  tellUnread(line: number, json: string): TraceEvent {
    return this.#encode(line, 1, { rawJson: json.slice(0, MAX_UNREAD_CHARACTERS).toWellFormed() }, undefined);
  }

  /** A picture that is missing, or is none, is set aside by the daemon likewise. */
  *#tellBad({ file, json, line }: Picture): Generator<TraceEvent, void> {
    if (this.#bad.has(file) || this.#bad.size >= MAX_BAD) return;
    this.#bad.add(file);
    yield this.#encode(line, 1, { rawJson: json.slice(0, MAX_UNREAD_CHARACTERS).toWellFormed() }, undefined);
  }

  /** What the first event of an act has for all of them. */
  #once(act: Act): Fields {
    const elements = textsIn(act.frames.values(), isAimed(act.method) ? act.target?.element : undefined);
    return { ...statesOf(act), ...(elements.length > 0 && { elements }), rawJson: rawJson(act) };
  }

  /** The page it was done on; of a navigation the one that it was to lead to. */
  #pageOf(act: Act) {
    if (!wasDone(act) || !isNavigation(act.method)) return pageOf(act.page, this.#pixelRatio);
    if (act.method !== "goto") return pageOf(act.pageAfter, this.#pixelRatio);
    const url = text(act.params.url);
    const base = text(at(this.#head.options, "options", "baseURL"));
    const there = URL.parse(url, base || undefined)?.href ?? url;
    return { ...pageOf(act.page, this.#pixelRatio), url: there, title: "", scrollX: 0, scrollY: 0 };
  }

  #encode(line: number, records: number, fields: Fields, shot: Shot | undefined): TraceEvent {
    this.#seq += 1n;
    const screenshots = shot && [
      { blobId: shot.id, phase: ScreenshotPhase.BEFORE, width: shot.width, height: shot.height },
    ];
    const event = create(EventSchema, { ...fields, timeMs: this.#timeMs, ...(screenshots && { screenshots }) });
    const blobs = shot === undefined ? [] : [shot.id];
    return { seq: this.#seq, event: toBinary(EventSchema, event), blobs, line, records, shot };
  }

  #epoch(time: number): bigint {
    const ms = Math.round(this.#head.originMs + time);
    return Number.isSafeInteger(ms) ? BigInt(ms) : 0n;
  }
}

/** What failed is no act; but one that was performed, and then waited for something in vain, is. */
function wasDone({ after, isPerformed }: Act): boolean {
  return after !== undefined && (isPerformed || !isFailure(after.value));
}

function isFailure({ error }: JsonObject): boolean {
  return error !== undefined && error !== null;
}

function countRecords({ inputs, after }: Act): number {
  return 1 + inputs.length + (after === undefined ? 0 : 1);
}

/** The trace's own records of a call: how it began, what it was done with, how it ended. */
function rawJson({ before, inputs, after, method, callId }: Act): string {
  const json = `{"before":${before},"input":[${inputs.map((input) => input.json).join(",")}],"after":${after?.json ?? "null"}}`;
  if (Buffer.byteLength(json) <= MAX_RAW_BYTES) return json;
  return JSON.stringify({ callId, method, leftOut: "its records are longer than an event may be" });
}

/** The DOM's name for what went wrong; no hand makes it. */
const NOT_DONE = "error";
const MAX_ID_BYTES = 256;
const MAX_RAW_BYTES = 128 * 1024;
/** Of what the daemon sets aside. */
const MAX_UNREAD_CHARACTERS = 64 * 1024;
const MAX_BAD = 10_000;
