import type { Box, Point, Pointer, Selector, SessionEvent, Size } from "../recorded.ts";
import type { Mend } from "./mends.ts";

/** Mends of places and sizes, in an order in which each finds what the one before leaves. */
export const GEOMETRY_MENDS: readonly Mend[] = [
  { code: "VIEWPORT_IMPOSSIBLE", mend: dropViewport },
  { code: "PIXEL_RATIO_IMPOSSIBLE", mend: dropPixelRatio },
  { code: "BOX_NEGATIVE", mend: (event, found) => mapBoxes(event, turnAround, found) },
  { code: "NUMBER_NOT_FINITE", mend: dropNotFinite },
  { code: "BOX_EMPTY", mend: (event, found) => mapBoxes(event, dropEmpty, found) },
  { code: "BOX_OFF_SCREEN", mend: checkOnScreen },
  { code: "RELIABILITY_OUT_OF_RANGE", mend: clampReliability },
];

type Found = (path: string) => void;

function dropViewport(event: SessionEvent, found: Found): SessionEvent {
  const { page } = event;
  if (page?.viewport === undefined || (isSide(page.viewport.width) && isSide(page.viewport.height))) return event;
  found("page.viewport");
  const { viewport: _, ...rest } = page;
  return { ...event, page: rest };
}

/** From one pixel to more than any browser lays out for a window or a page taken whole. */
function isSide(pixels: number): boolean {
  return pixels >= 1 && pixels <= 100_000;
}

function dropPixelRatio(event: SessionEvent, found: Found): SessionEvent {
  const { page } = event;
  if (page?.devicePixelRatio === undefined || isPixelRatio(page.devicePixelRatio)) return event;
  found("page.device_pixel_ratio");
  const { devicePixelRatio: _, ...rest } = page;
  return { ...event, page: rest };
}

/** Browsers zoom from 0.25 to 5, and displays are scaled up to 5. */
function isPixelRatio(ratio: number): boolean {
  return ratio >= 0.1 && ratio <= 25;
}

/** A box given from another corner: the DOM reads a negative size so. */
function turnAround(box: Box): Box {
  if (!(box.width < 0 || box.height < 0)) return box;
  return {
    x: box.width < 0 ? box.x + box.width : box.x,
    y: box.height < 0 ? box.y + box.height : box.y,
    width: Math.abs(box.width),
    height: Math.abs(box.height),
  };
}

/** An element without an extent can't be seen or hit. */
function dropEmpty(box: Box): Box | undefined {
  return box.width === 0 || box.height === 0 ? undefined : box;
}

function mapBoxes(event: SessionEvent, map: (box: Box) => Box | undefined, found: Found): SessionEvent {
  let next = event;
  if (event.target !== undefined) {
    const target = mapBox(event.target, map);
    if (target !== event.target) {
      found("target.box");
      next = { ...next, target };
    }
  }
  if (event.elements !== undefined) {
    const elements = event.elements.map((element) => mapBox(element, map));
    if (elements.some((element, index) => element !== event.elements?.[index])) {
      found("elements.box");
      next = { ...next, elements };
    }
  }
  return next;
}

function mapBox<T extends { readonly box?: Box }>(boxed: T, map: (box: Box) => Box | undefined): T {
  if (boxed.box === undefined) return boxed;
  const box = map(boxed.box);
  if (box === boxed.box) return boxed;
  return box === undefined ? withoutBox(boxed) : { ...boxed, box };
}

function withoutBox<T extends { readonly box?: Box }>(boxed: T): T {
  const copy: T & { box?: Box } = { ...boxed };
  delete copy.box;
  return copy;
}

function dropNotFinite(event: SessionEvent, found: Found): SessionEvent {
  let next = mapBoxes(event, (box) => (isFiniteBox(box) ? box : undefined), found);
  if (next.page !== undefined && !isFinitePoint(next.page.scroll)) {
    found("page.scroll");
    next = { ...next, page: { ...next.page, scroll: { x: 0, y: 0 } } };
  }
  if (next.pointer !== undefined) next = finitePointer(next, next.pointer, found);
  if (next.target?.selectors.some(({ reliability }) => !Number.isFinite(reliability)) === true) {
    found("target.selectors.reliability");
    next = withSelectors(next, (selector) =>
      Number.isFinite(selector.reliability) ? selector : { ...selector, reliability: 0 },
    );
  }
  return next;
}

function isFiniteBox({ x, y, width, height }: Box): boolean {
  return Number.isFinite(x) && Number.isFinite(y) && Number.isFinite(width) && Number.isFinite(height);
}

function isFinitePoint({ x, y }: Point): boolean {
  return Number.isFinite(x) && Number.isFinite(y);
}

/** Without a place there is no pointer; without the rest there may be one. */
function finitePointer(event: SessionEvent, pointer: Pointer, found: Found): SessionEvent {
  if (!isFinitePoint(pointer)) {
    found("pointer");
    const { pointer: _, ...rest } = event;
    return rest;
  }
  const { delta, to, ...place } = pointer;
  const lost = [delta, to].some((point) => point !== undefined && !isFinitePoint(point));
  if (!lost) return event;
  found("pointer");
  return {
    ...event,
    pointer: {
      ...place,
      ...(delta !== undefined && isFinitePoint(delta) && { delta }),
      ...(to !== undefined && isFinitePoint(to) && { to }),
    },
  };
}

/** Other elements of a page are often scrolled away; the one something happened to should be in view. */
function checkOnScreen(event: SessionEvent, found: Found): SessionEvent {
  const viewport = event.page?.viewport;
  const box = event.target?.box;
  if (viewport !== undefined && box !== undefined && !meets(box, viewport)) found("target.box");
  return event;
}

function meets({ x, y, width, height }: Box, viewport: Size): boolean {
  return x < viewport.width && y < viewport.height && x + width > 0 && y + height > 0;
}

function clampReliability(event: SessionEvent, found: Found): SessionEvent {
  if (event.target?.selectors.some(({ reliability }) => reliability < 0 || reliability > 1) !== true) return event;
  found("target.selectors.reliability");
  return withSelectors(event, (selector) => ({
    ...selector,
    reliability: Math.min(1, Math.max(0, selector.reliability)),
  }));
}

function withSelectors(event: SessionEvent, map: (selector: Selector) => Selector): SessionEvent {
  if (event.target === undefined) return event;
  return { ...event, target: { ...event.target, selectors: event.target.selectors.map(map) } };
}
