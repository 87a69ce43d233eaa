import type { Point, SessionEvent } from "../recorded.ts";
import { distance, type Gesture, nameOf, retyped, type Unused } from "./gesture.ts";

const PRESS = new Set(["pointerdown", "mousedown"]);
const MOVE = new Set(["pointermove", "mousemove"]);
/** The page's own drag and drop: a browser tells no release at its end. */
const DRAGGED = new Set(["dragover"]);
const RELEASE = new Set(["pointerup", "mouseup"]);

/** The browser tells a click or a drag right after the release that made it. */
const ECHO_MS = 50;

interface Press {
  readonly event: SessionEvent;
  readonly events: SessionEvent[];
  /** Where the page's own drag and drop has taken it. */
  draggedTo?: Point;
}

/**
 * Presses and releases of a pointer's buttons, with the moves between them, put together. A press
 * and a release more than `dragPx` apart are a drag, others a click. A press that is never released
 * gets a release at its own place, and says so. Where clicks were recorded and no releases, presses
 * tell nothing more than the clicks.
 */
export class PointerPresses {
  readonly unused: Unused[] = [];
  readonly #dragPx: number;
  readonly #duplicateMs: number;
  readonly #isToldByClicks: boolean;
  readonly #unreleased: ReadonlySet<SessionEvent>;
  readonly #pressed = new Map<number, Press>();
  readonly #gestures: Gesture[] = [];
  /** The gesture that ended last, until something tells of it: an index into `#gestures`. */
  #ended: number | undefined;
  #lastRelease: SessionEvent | undefined;

  constructor(events: readonly SessionEvent[], limits: { readonly dragPx: number; readonly duplicateMs: number }) {
    const hasReleases = events.some((event) => RELEASE.has(nameOf(event)));
    this.#unreleased = findUnreleased(events);
    this.#isToldByClicks = !hasReleases && events.some(({ type }) => type === "click");
    this.#dragPx = limits.dragPx;
    this.#duplicateMs = limits.duplicateMs;
  }

  /** Whether the event is told by a gesture from here, or unused. */
  take(event: SessionEvent): boolean {
    if (event.type === "click" || event.type === "drag") return this.#echo(event);
    const name = nameOf(event);
    if (PRESS.has(name)) this.#press(event);
    else if (MOVE.has(name)) this.#move(event);
    else if (DRAGGED.has(name) && this.#pressed.size > 0) this.#drag(event);
    else if (RELEASE.has(name)) this.#release(event);
    else return false;
    return true;
  }

  end(): readonly Gesture[] {
    for (const button of [...this.#pressed.keys()]) this.#releaseUnseen(button);
    return this.#gestures;
  }

  #press(event: SessionEvent): void {
    const button = buttonOf(event);
    const open = this.#pressed.get(button)?.event;
    // A browser tells each press twice, as a pointer's and as a mouse's.
    const isTwin = open !== undefined && open.customType !== event.customType && this.#isSoonAfter(open, event);
    if (isTwin || this.#isToldByClicks) {
      this.unused.push({ event, code: "DUPLICATE_EVENT" });
      return;
    }
    this.#releaseUnseen(button);
    this.#pressed.set(button, { event, events: [event] });
  }

  #move(event: SessionEvent): void {
    const [press] = this.#pressed.values();
    if (press === undefined) this.unused.push({ event, code: "POINTER_MOVE" });
    else press.events.push(event);
  }

  #drag(event: SessionEvent): void {
    const [press] = this.#pressed.values();
    if (press === undefined) return;
    press.events.push(event);
    if (event.pointer !== undefined) press.draggedTo = { x: event.pointer.x, y: event.pointer.y };
  }

  #release(event: SessionEvent): void {
    const button = buttonOf(event);
    const press = this.#pressed.get(button);
    if (press === undefined) {
      const last = this.#lastRelease;
      const again = last !== undefined && buttonOf(last) === button && this.#isSoonAfter(last, event);
      this.unused.push({ event, code: again ? "DUPLICATE_EVENT" : "UNMATCHED_RELEASE" });
      return;
    }
    this.#pressed.delete(button);
    press.events.push(event);
    this.#lastRelease = event;
    const from = press.event.pointer;
    const to = event.pointer;
    this.#ended = this.#gestures.length;
    this.#gestures.push({
      event:
        from === undefined || to === undefined || distance(from, to) <= this.#dragPx
          ? clickOf(press.event)
          : retyped(press.event, "drag", { pointer: { ...from, to: { x: to.x, y: to.y } } }),
      events: press.events,
      endMs: event.timeMs,
      heldMs: event.timeMs - press.event.timeMs,
      inferred: [],
    });
  }

  #releaseUnseen(button: number): void {
    const press = this.#pressed.get(button);
    if (press === undefined) return;
    this.#pressed.delete(button);
    const { pointer } = press.event;
    const { draggedTo: to } = press;
    const isDrag = pointer !== undefined && to !== undefined && distance(pointer, to) > this.#dragPx;
    this.#gestures.push({
      event: isDrag ? retyped(press.event, "drag", { pointer: { ...pointer, to } }) : clickOf(press.event),
      events: press.events,
      endMs: isDrag ? (press.events.at(-1)?.timeMs ?? press.event.timeMs) : press.event.timeMs,
      inferred: ["SYNTHETIC_RELEASE"],
    });
  }

  /** The browser's own click or drag says more of what was pressed than the press. */
  #echo(event: SessionEvent): boolean {
    const button = buttonOf(event);
    const open = this.#pressed.get(button);
    if (open !== undefined && event.type === "click" && this.#endsPress(open.event, event)) {
      this.#pressed.delete(button);
      const { timeMs } = open.event;
      const events = [...open.events, event];
      this.#gestures.push({ event: { ...event, timeMs }, events, endMs: event.timeMs, inferred: [] });
      return true;
    }
    const index = this.#ended;
    const gesture = index === undefined ? undefined : this.#gestures[index];
    if (index === undefined || gesture === undefined) return false;
    if (button !== buttonOf(gesture.event) || event.timeMs - gesture.endMs > ECHO_MS) return false;
    this.#ended = undefined;
    const { timeMs } = gesture.event;
    this.#gestures[index] = {
      ...gesture,
      // A click told after a drag is the browser's doing: nobody clicked.
      event: event.type === gesture.event.type ? { ...event, timeMs } : gesture.event,
      events: [...gesture.events, event],
    };
    return true;
  }

  /** A click at the place of a press whose release was not recorded is what it came to. */
  #endsPress(press: SessionEvent, { pointer: b }: SessionEvent): boolean {
    const { pointer: a } = press;
    if (!this.#unreleased.has(press)) return false;
    return a === undefined || b === undefined || distance(a, b) <= this.#dragPx;
  }

  #isSoonAfter(before: SessionEvent, event: SessionEvent): boolean {
    return event.timeMs - before.timeMs <= this.#duplicateMs;
  }
}

/** Presses that are followed by another of the same button, or by none, before a release. */
function findUnreleased(events: readonly SessionEvent[]): Set<SessionEvent> {
  const unreleased = new Set<SessionEvent>();
  const released = new Set<number>();
  for (const event of events.toReversed()) {
    const name = nameOf(event);
    if (RELEASE.has(name)) released.add(buttonOf(event));
    else if (PRESS.has(name) && !released.delete(buttonOf(event))) unreleased.add(event);
  }
  return unreleased;
}

function clickOf(press: SessionEvent): SessionEvent {
  return retyped(press, "click", press.pointer && { pointer: { ...press.pointer, clicks: 1 } });
}

const buttonOf = (event: SessionEvent): number => event.pointer?.button ?? 0;
