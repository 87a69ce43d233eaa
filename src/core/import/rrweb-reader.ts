import { create, toBinary } from "@bufbuild/protobuf";
import { EventSchema, EventType } from "../../wire/gen/sluice/v1/event_pb.ts";
import type { Account } from "./account.ts";
import { isObject, type JsonObject, number } from "./lenient.ts";
import { Recent } from "./recent.ts";
import type { Item } from "./rrweb-items.ts";
import { EVENT_KINDS, RecordedPage, type Told } from "./rrweb-page.ts";

/** Reads the items of a recording in order and tells which are events, and counts the others. */
export class RrwebReader {
  readonly #hasTimes: boolean;
  readonly #tells: boolean;
  /** By the file's own id of a tab, the one used last at the end. */
  readonly #pages = new Map<string, RecordedPage>();
  readonly #recent = new Recent();
  #timeMs = 0;
  #counts: Account = { items: 0, told: 0, context: 0, duplicate: 0 };

  /**
   * `hasTimes`: whether the recording says when; else an event's time is its place. Without `tells`
   * items are only counted.
   */
  constructor(hasTimes: boolean, tells = true) {
    this.#hasTimes = hasTimes;
    this.#tells = tells;
  }

  get account(): Account {
    return this.#counts;
  }

  /** The encoded event; undefined of an item that is none, or none but what others need. */
  read(item: Item): Uint8Array | undefined {
    const told = this.#read(item);
    const name = typeof told === "string" ? told : "told";
    this.#counts = { ...this.#counts, items: this.#counts.items + 1, [name]: this.#counts[name] + 1 };
    if (typeof told === "string" || !this.#tells) return undefined;
    const event = create(EventSchema, { ...told, timeMs: BigInt(this.#timeMs), rawJson: item.json });
    return toBinary(EventSchema, event);
  }

  #read({ index, json, pageId, event }: Item): Told {
    // Batches that were sent again are whole, times and all.
    if (this.#hasTimes && this.#recent.isAgain(json)) return "duplicate";
    this.#timeMs = this.#hasTimes ? timeOf(event, this.#timeMs) : index + 1;
    const kind = EVENT_KINDS.get(event?.type);
    // What is no event stays without a type, and the daemon sets it aside.
    if (kind === undefined || !isObject(event?.data))
      return kind === "load" ? "context" : { type: EventType.UNSPECIFIED };
    return this.#page(pageId).take(kind, event.data, this.#timeMs);
  }

  #page(id: string): RecordedPage {
    const page = this.#pages.get(id) ?? new RecordedPage(MAX_PAGE_WEIGHT, this.#tells);
    this.#pages.delete(id);
    this.#pages.set(id, page);
    const [oldest] = this.#pages.keys();
    if (this.#pages.size > MAX_PAGES && oldest !== undefined) this.#pages.delete(oldest);
    return page;
  }
}

/** The event's own, or else that of the one before. */
function timeOf(event: JsonObject | undefined, before: number): number {
  const time = number(event?.timestamp);
  return time === undefined || Math.abs(time) > MAX_TIME_MS ? before : Math.trunc(time);
}

/** A date has no more. */
const MAX_TIME_MS = 8.64e15;
const MAX_PAGES = 16;
/** Characters of a page: some ten times what the largest pages have. */
const MAX_PAGE_WEIGHT = 32 * 1024 * 1024;
