import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { EventSchema, EventType, type PageSchema } from "../../wire/gen/sluice/v1/event_pb.ts";
import { at, type JsonObject, number, objects, text } from "./lenient.ts";
import { selectorsOf } from "./recorder-selectors.ts";

type Told = Omit<MessageInitShape<typeof EventSchema>, "$typeName">;

/**
 * Reads the steps of a Chrome DevTools recording in order, and knows what those before say of the
 * page: address, size, where it is scrolled to, which modifiers are held.
 */
export class StepReader {
  #viewport: { readonly width: number; readonly height: number; readonly ratio: number } | undefined;
  /** By what steps call the page: "main", or the address of a window. */
  readonly #pages = new Map<string, OpenPage>();
  readonly #held = new Set<string>();

  /** The encoded event of a step; undefined when it is none: it only says how the page is, or waits for it. */
  read(step: JsonObject, json: string, seq: bigint): Uint8Array | undefined {
    const told = this.#read(step);
    if (told === undefined) return undefined;
    const selectors = selectorsOf(step.selectors);
    const led = landings(step).at(-1);
    const page = this.#describe(step);
    const event = create(EventSchema, {
      ...told,
      // The format has no times. They only tell the order, and the session's labels say so.
      timeMs: seq,
      ...(page && { page }),
      ...(selectors.length > 0 && { target: { selectors } }),
      ...(led !== undefined && step.type !== "navigate" && { after: { url: text(led.url) } }),
      rawJson: json,
    });
    if (step.type !== "navigate") this.#land(step, led);
    return toBinary(EventSchema, event);
  }

  #read(step: JsonObject): Told | undefined {
    const type = text(step.type);
    switch (type) {
      case "setViewport":
        this.#viewport = {
          width: number(step.width) ?? 0,
          height: number(step.height) ?? 0,
          ratio: number(step.deviceScaleFactor) ?? 0,
        };
        return undefined;
      case "emulateNetworkConditions":
      case "waitForElement":
      case "waitForExpression":
        return undefined;
      case "navigate":
        this.#land(step, { url: step.url, title: landings(step).at(-1)?.title });
        return { type: EventType.NAVIGATION };
      case "click":
        return click(step);
      case "doubleClick":
        // Its place is not told, and a click can't say how many it is without one.
        return { type: EventType.CUSTOM, customType: "dblclick" };
      case "hover":
        return { type: EventType.HOVER };
      case "change":
        return { type: EventType.INPUT, input: { value: text(step.value) } };
      case "keyDown":
        return this.#press(text(step.key));
      case "keyUp":
        this.#held.delete(text(step.key));
        return undefined;
      case "scroll":
        return this.#scroll(step);
      case "customStep":
        return { type: EventType.CUSTOM, customType: text(step.name, type) };
      default:
        // A step without a type stays without one, and the daemon sets it aside.
        return type === "" ? {} : { type: EventType.CUSTOM, customType: type };
    }
  }

  #press(key: string): Told | undefined {
    if (MODIFIERS.includes(key)) {
      this.#held.add(key);
      return undefined;
    }
    const held = (name: string) => this.#held.has(name);
    const modifiers = { alt: held("Alt"), ctrl: held("Control"), meta: held("Meta"), shift: held("Shift") };
    return { type: EventType.KEY, key: { key, ...modifiers } };
  }

  /** Steps say where to; how far that is follows where it is known from where. */
  #scroll(step: JsonObject): Told {
    const page = this.#pages.get(nameOf(step));
    const scrolled = JSON.stringify(step.selectors ?? []);
    const from = page?.scrolled.get(scrolled);
    const to = { x: number(step.x) ?? from?.x, y: number(step.y) ?? from?.y };
    if (to.x === undefined || to.y === undefined) return { type: EventType.SCROLL };
    page?.scrolled.set(scrolled, { x: to.x, y: to.y });
    if (from === undefined) return { type: EventType.SCROLL };
    return { type: EventType.SCROLL, pointer: { deltaX: to.x - from.x, deltaY: to.y - from.y } };
  }

  /** A page that was loaded is at its beginning, unless its address has a fragment to jump to. */
  #land(step: JsonObject, landing: JsonObject | undefined): void {
    const url = text(landing?.url);
    if (url === "") return;
    const scrolled = new Map(url.includes("#") ? [] : [[WHOLE_PAGE, { x: 0, y: 0 }]]);
    this.#pages.set(nameOf(step), { url, title: text(landing?.title), scrolled });
  }

  #describe(step: JsonObject): MessageInitShape<typeof PageSchema> | undefined {
    const name = nameOf(step);
    const page = this.#pages.get(name);
    const url = page?.url ?? (name === MAIN ? "" : name);
    if (url === "" && this.#viewport === undefined) return undefined;
    const { x = 0, y = 0 } = page?.scrolled.get(WHOLE_PAGE) ?? {};
    return {
      url,
      title: page?.title ?? "",
      viewportWidth: this.#viewport?.width ?? 0,
      viewportHeight: this.#viewport?.height ?? 0,
      devicePixelRatio: this.#viewport?.ratio ?? 0,
      scrollX: x,
      scrollY: y,
    };
  }
}

interface OpenPage {
  readonly url: string;
  readonly title: string;
  /** Where the page and lists in it are scrolled to, by their selectors, as far as it is known. */
  readonly scrolled: Map<string, { readonly x: number; readonly y: number }>;
}

/** A click of the main button has no more to say; of the others the DOM's event does. */
function click(step: JsonObject): Told {
  const customType = BUTTONS.get(text(step.button));
  return customType === undefined ? { type: EventType.CLICK } : { type: EventType.CUSTOM, customType };
}

const BUTTONS: ReadonlyMap<string, string> = new Map([
  ["secondary", "contextmenu"],
  ["auxiliary", "auxclick"],
  ["back", "back"],
  ["forward", "forward"],
]);

/** Where the step led, as the Recorder saw. */
function landings(step: JsonObject): JsonObject[] {
  return objects(at(step, "assertedEvents")).filter(({ type }) => type === "navigation");
}

function nameOf(step: JsonObject): string {
  return text(step.target) || MAIN;
}

const MAIN = "main";
const WHOLE_PAGE = "[]";
const MODIFIERS: readonly string[] = ["Alt", "Control", "Meta", "Shift"];
