import type { Box, Size } from "../recorded.ts";
import type { Listing, PageState, Sighting, Sightings, Unlocated } from "./sightings.ts";
import type { PersonalValue } from "./vault.ts";

/** Physical pixels of an image, whole. */
export interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** What has to be painted over on one screenshot. */
export interface Coverage {
  readonly rectangles: readonly Rectangle[];
  /** Why that may not be all: a value stands somewhere unknown, or how boxes lie on the image is. */
  readonly doubt: "UNLOCATED_VALUE" | "GEOMETRY_UNKNOWN" | undefined;
}

/**
 * The places of a screenshot that show something personal. It may show any of `states`: what was
 * taken around a step shows the page before or after it. An element known from other events of the
 * same page is covered where it must be now, given how far the page was scrolled then and now.
 */
export function coverageOf(
  image: Size,
  at: number,
  states: readonly PageState[],
  { located, listings, unlocated }: Sightings,
): Coverage {
  const rectangles: Rectangle[] = [];
  let doubt: Coverage["doubt"];
  for (const state of states) {
    const here = located.filter((each) => each.state.url === state.url);
    const seen = new Set<PersonalValue>(here.flatMap(({ values }) => [...values]));
    const isUnknown = (each: Unlocated) => each.elsewhere || !seen.has(each.value);
    if (unlocated.some((each) => each.url === state.url && each.from <= at && isUnknown(each))) {
      doubt = "UNLOCATED_VALUE";
    }
    const listed = listings.filter((each) => each.state.url === state.url);
    const boxes = boxesOn(here, listed, state).filter((box) => isInView(box, state));
    if (boxes.length === 0) continue;
    const scale = scaleOf(image, state);
    if (!scale.sure) doubt ??= "GEOMETRY_UNKNOWN";
    rectangles.push(...boxes.map((box) => rectangleOf(scale.place(box), image)).filter((each) => each !== undefined));
  }
  return { rectangles: distinct(rectangles), doubt };
}

/** Of each element the last place until then, and the first after it unless it is known to have shown nothing yet. */
function boxesOn(here: readonly Sighting[], listed: readonly Listing[], state: PageState): Box[] {
  const now = listed.find((each) => each.state.at === state.at)?.elements;
  const byElement = Map.groupBy(here, ({ element }) => element);
  return [...byElement].flatMap(([element, sightings]) => {
    const before = sightings.findLast((each) => each.state.at <= state.at);
    const after = now?.get(element) === false ? undefined : sightings.find((each) => each.state.at > state.at);
    const fixed = isFixed(element, sightings, listed);
    return [before, after].filter((each) => each !== undefined).flatMap((each) => placesOf(each, state, fixed));
  });
}

/** Where an element is when the page is scrolled otherwise: it goes along, or stays, as a header does; both when unknown. */
function placesOf({ box, state: then }: Sighting, now: PageState, fixed: boolean | undefined): Box[] {
  const moved = { ...box, x: box.x + then.scroll.x - now.scroll.x, y: box.y + then.scroll.y - now.scroll.y };
  if (fixed === undefined) return moved.x === box.x && moved.y === box.y ? [box] : [box, moved];
  return [fixed ? box : moved];
}

/**
 * Whether an element stays where it is when the page is scrolled. It does when it was seen at the
 * same place at another offset, and does not when it was at another place, or not in view any more.
 */
function isFixed(element: string, sightings: readonly Sighting[], listed: readonly Listing[]): boolean | undefined {
  const [first] = sightings;
  if (first === undefined) return undefined;
  const other = sightings.find(({ state }) => isScrolled(state, first.state));
  if (other !== undefined) {
    return Math.abs(first.box.y - other.box.y) <= 2 && Math.abs(first.box.x - other.box.x) <= 2;
  }
  const left = listed.some(({ state, elements }) => isScrolled(state, first.state) && !elements.has(element));
  return left ? false : undefined;
}

function isScrolled(a: PageState, b: PageState): boolean {
  return a.scroll.x !== b.scroll.x || a.scroll.y !== b.scroll.y;
}

function isInView(box: Box, { viewport }: PageState): boolean {
  if (box.width <= 0 || box.height <= 0) return false;
  if (viewport === undefined) return true;
  return box.x < viewport.width && box.y < viewport.height && box.x + box.width > 0 && box.y + box.height > 0;
}

interface Scale {
  /** False when the image is neither the viewport nor the whole page. */
  readonly sure: boolean;
  /** CSS pixels of the viewport to physical pixels of the image. */
  readonly place: (box: Box) => Box;
}

/** The image's real size is believed before the nominal ratio: browsers zoom, collectors scale down. */
function scaleOf(image: Size, { viewport, devicePixelRatio, scroll }: PageState): Scale {
  if (viewport === undefined) return scaled(true, devicePixelRatio ?? 1, devicePixelRatio ?? 1, 0, 0);
  const x = image.width / viewport.width;
  const y = image.height / viewport.height;
  if (Math.abs(x / y - 1) <= TOLERANCE) return scaled(true, x, y, 0, 0);
  // As wide as the viewport and longer: the whole page.
  const whole = y > x && (devicePixelRatio === undefined || Math.abs(x / devicePixelRatio - 1) <= TOLERANCE);
  return whole ? scaled(true, x, x, scroll.x, scroll.y) : scaled(false, x, y, 0, 0);
}

/** Scrollbars and rounding. */
const TOLERANCE = 0.02;

function scaled(sure: boolean, x: number, y: number, left: number, top: number): Scale {
  return {
    sure,
    place: (box) => ({ x: (box.x + left) * x, y: (box.y + top) * y, width: box.width * x, height: box.height * y }),
  };
}

/** Glyphs and outlines reach out of their box. Physical pixels. */
const MARGIN = 4;

function rectangleOf(box: Box, image: Size): Rectangle | undefined {
  const left = Math.max(0, Math.floor(box.x) - MARGIN);
  const top = Math.max(0, Math.floor(box.y) - MARGIN);
  const right = Math.min(image.width, Math.ceil(box.x + box.width) + MARGIN);
  const bottom = Math.min(image.height, Math.ceil(box.y + box.height) + MARGIN);
  return left < right && top < bottom ? { left, top, right, bottom } : undefined;
}

function distinct(rectangles: readonly Rectangle[]): Rectangle[] {
  return [...new Map(rectangles.map((each) => [Object.values(each).join(), each])).values()];
}
