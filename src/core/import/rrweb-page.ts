import type { MessageInitShape } from "@bufbuild/protobuf";
import { isText } from "domhandler";
import { type EventSchema, EventType } from "../../wire/gen/sluice/v1/event_pb.ts";
import { targetOf } from "./dom/ground.ts";
import { documentOf, elementsIn, type PageElement, squeeze } from "./dom/page.ts";
import { at, isObject, type JsonObject, number, text } from "./lenient.ts";
import { Mirror } from "./rrweb-mirror.ts";

/** What an rrweb event says as an event of ours; or that it is read for others' sake, or says nothing new. */
export type Told = Omit<MessageInitShape<typeof EventSchema>, "$typeName"> | "context" | "duplicate";

type Target = ReturnType<typeof targetOf>;

interface Place {
  readonly x: number;
  readonly y: number;
}

/** One tab of a recording, as its events tell it in order: the page in it, its address and size, where the pointer is. */
export class RecordedPage {
  readonly #mirror: Mirror;
  readonly #describes: boolean;
  #url = "";
  #width = 0;
  #height = 0;
  /** In the viewport, where it is known. */
  #pointer: Place | undefined;
  /** What was told of elements, and the title, since the page changed last. */
  readonly #described = new Map<PageElement, Target>();
  #title: string | undefined;
  #doubled: { readonly timeMs: number; readonly pointer: Place | undefined } | undefined;

  /** Without `describes`, events are told by their kinds alone: what it takes to count them. */
  constructor(maxWeight: number, describes: boolean) {
    this.#mirror = new Mirror(maxWeight);
    this.#describes = describes;
  }

  take(type: EventKind, data: JsonObject, timeMs: number): Told {
    switch (type) {
      case "meta":
        this.#resize(data);
        return this.#goTo(data.href) ? this.#tell({ type: EventType.NAVIGATION }) : "context";
      case "full-snapshot":
        this.#mirror.snapshot(data);
        this.#forget();
        return "context";
      case "custom":
        return this.#custom(data);
      case "incremental":
        return this.#change(data, timeMs);
      case "load":
      case "plugin":
        return "context";
      default:
        return type satisfies never;
    }
  }

  #change(data: JsonObject, timeMs: number): Told {
    switch (data.source) {
      case MUTATION:
        this.#mirror.mutate(data);
        this.#forget();
        return "context";
      case MOUSE_MOVE:
        this.#move(data);
        return "context";
      case MOUSE_INTERACTION:
        return this.#interact(data, timeMs);
      case SCROLL:
        return this.#scroll(data);
      case VIEWPORT_RESIZE:
        this.#resize(data);
        return "context";
      case INPUT:
        return this.#input(data);
      case DRAG:
        return this.#drag(data);
      default:
        // Touches that move, media, styles, canvases, fonts, what is selected: no hand's act of its own.
        return "context";
    }
  }

  #goTo(href: unknown): boolean {
    const url = text(href);
    if (url === "" || url === this.#url) return false;
    this.#url = url;
    return true;
  }

  #resize({ width, height }: JsonObject): void {
    this.#width = number(width) ?? this.#width;
    this.#height = number(height) ?? this.#height;
  }

  /** What the application told its recorder. Where that is an address, it is where the page went. */
  #custom({ tag, payload }: JsonObject): Told {
    const name = text(tag);
    const href = text(at(payload, "href"), at(payload, "url"));
    if (href !== "" && URL.canParse(href) && TELLS_ADDRESS.test(name)) {
      return this.#goTo(href) ? this.#tell({ type: EventType.NAVIGATION }) : "context";
    }
    return name === "" ? "context" : this.#tell({ type: EventType.CUSTOM, customType: name });
  }

  #move({ positions }: JsonObject): void {
    const last = Array.isArray(positions) ? positions.at(-1) : undefined;
    if (isObject(last)) this.#pointer = this.#pointOf(last);
  }

  #interact(data: JsonObject, timeMs: number): Told {
    const act = INTERACTIONS.get(data.type);
    if (act === undefined) return "context";
    const pointer = this.#pointOf(data);
    if (pointer !== undefined) this.#pointer = pointer;
    const button = act.customType === "contextmenu" ? 2 : 0;
    const clicks = act.type === EventType.CLICK ? this.#countClicks(timeMs, pointer) : 0;
    if (act.customType === "dblclick") this.#doubled = { timeMs, pointer };
    return this.#tell({ ...act, ...(pointer && { pointer: { ...pointer, button, clicks } }) }, data.id);
  }

  /** rrweb does not say which of several clicks it is, but tells a double click after the second. */
  #countClicks(timeMs: number, pointer: Place | undefined): number {
    const { timeMs: since, pointer: place } = this.#doubled ?? {};
    if (since === undefined || timeMs - since > TRIPLE_CLICK_MS || !place || !pointer) return 1;
    return Math.hypot(place.x - pointer.x, place.y - pointer.y) < TRIPLE_CLICK_PX ? 3 : 1;
  }

  /** The page's own drag and drop has no release: where the pointer is now. */
  #drag(data: JsonObject): Told {
    const { positions } = data;
    const last = Array.isArray(positions) ? positions.at(-1) : undefined;
    const pointer = isObject(last) ? this.#pointOf(last) : undefined;
    if (!isObject(last) || pointer === undefined) return "context";
    this.#pointer = pointer;
    return this.#tell({ type: EventType.CUSTOM, customType: "dragover", pointer }, last.id);
  }

  #scroll({ id, x, y }: JsonObject): Told {
    const state = this.#mirror.state(id);
    const from = state?.scroll;
    const to = { x: number(x) ?? from?.x ?? 0, y: number(y) ?? from?.y ?? 0 };
    if (from?.x === to.x && from.y === to.y) return "duplicate";
    if (state !== undefined) state.scroll = to;
    const delta = from && { deltaX: to.x - from.x, deltaY: to.y - from.y };
    return this.#tell({ type: EventType.SCROLL, ...(delta && { pointer: { ...this.#pointer, ...delta } }) }, id);
  }

  #input(data: JsonObject): Told {
    const { id, userTriggered } = data;
    const state = this.#mirror.state(id);
    const element = this.#mirror.element(id);
    const value = text(data.text);
    const checked = data.isChecked === true;
    const kind =
      element === undefined ? "" : element.name === "input" ? (element.attribs.type ?? "text") : element.name;
    const isToggle = TOGGLES.has(kind);
    const isKnown = isToggle ? state?.checked === checked : (state?.value ?? "") === value;
    if (state !== undefined && isKnown) return "duplicate";
    if (state !== undefined) Object.assign(state, { value, checked });
    // The page's own doing: it says so, or it is the radio button that another took the mark from.
    if (userTriggered === false || (kind === "radio" && !checked)) return "context";
    const told = kind === "checkbox" ? String(checked) : value;
    return this.#tell({ type: EventType.INPUT, input: { value: told, kind, masked: MASKED.test(value) } }, id);
  }

  #tell(event: Exclude<Told, string>, id?: unknown): Told {
    if (!this.#describes) return event;
    const element = this.#mirror.element(id);
    return { ...event, page: this.#describe(), ...(element && { target: this.#target(element) }) };
  }

  #target(element: PageElement): Target {
    const known = this.#described.get(element);
    if (known !== undefined) return known;
    const target = targetOf(element);
    if (this.#described.size >= MAX_DESCRIBED) this.#described.clear();
    this.#described.set(element, target);
    return target;
  }

  #forget(): void {
    this.#described.clear();
    this.#title = undefined;
  }

  #describe() {
    const { x, y } = this.#mirror.scroll;
    this.#title ??= this.#readTitle();
    return {
      url: this.#url,
      title: this.#title,
      viewportWidth: this.#width,
      viewportHeight: this.#height,
      scrollX: x,
      scrollY: y,
    };
  }

  #readTitle(): string {
    const { document } = this.#mirror;
    if (document === undefined) return "";
    for (const element of elementsIn(document)) {
      if (element.name === "body") break;
      if (element.name !== "title") continue;
      return squeeze(element.children.map((child) => (isText(child) ? child.data : "")).join("")).trim();
    }
    return "";
  }

  /** In a frame places are the frame's own, and where that is, rrweb does not say. */
  #pointOf({ id, x, y }: JsonObject): Place | undefined {
    const element = this.#mirror.element(id);
    const [left, top] = [number(x), number(y)];
    if (left === undefined || top === undefined || element === undefined) return undefined;
    return documentOf(element) === this.#mirror.document ? { x: left, y: top } : undefined;
  }
}

/** What rrweb's numbers of types mean, as far as it matters here. */
export type EventKind = "load" | "full-snapshot" | "incremental" | "meta" | "custom" | "plugin";

export const EVENT_KINDS: ReadonlyMap<unknown, EventKind> = new Map([
  [0, "load"],
  [1, "load"],
  [2, "full-snapshot"],
  [3, "incremental"],
  [4, "meta"],
  [5, "custom"],
  [6, "plugin"],
]);

/** rrweb's IncrementalSource. */
const MUTATION = 0;
const MOUSE_MOVE = 1;
const MOUSE_INTERACTION = 2;
const SCROLL = 3;
const VIEWPORT_RESIZE = 4;
const INPUT = 5;
const DRAG = 12;

const raw = (customType: string): Act => ({ type: EventType.CUSTOM, customType });

interface Act {
  readonly type: EventType;
  readonly customType?: string;
}

/** rrweb's MouseInteractions. Those without a type of ours go by their names in the DOM, which `reduce` reads. */
const INTERACTIONS: ReadonlyMap<unknown, Act> = new Map<unknown, Act>([
  [0, raw("mouseup")],
  [1, raw("mousedown")],
  [2, { type: EventType.CLICK }],
  [3, raw("contextmenu")],
  [4, raw("dblclick")],
  [5, { type: EventType.FOCUS }],
  [6, { type: EventType.BLUR }],
  [7, raw("touchstart")],
  [9, raw("touchend")],
  [10, raw("touchcancel")],
]);

const TOGGLES: ReadonlySet<string> = new Set(["checkbox", "radio"]);
/** As rrweb masks what a field holds. */
const MASKED = /^\*+$/;
/** Names under which applications tell their recorder of a new address. */
const TELLS_ADDRESS = /url|page|route|navigat|history|location/i;
const MAX_DESCRIBED = 256;
/** As browsers count clicks. */
const TRIPLE_CLICK_MS = 500;
const TRIPLE_CLICK_PX = 4;
