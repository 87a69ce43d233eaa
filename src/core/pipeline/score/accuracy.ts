import type { Action } from "../outputs.ts";
import type { Box, Point, SessionEvent, Size } from "../recorded.ts";
import { type Check, type Evidence, onElements, shareOf, type Verdict } from "./check.ts";

/** Whether what was recorded of one moment fits together. */
export const ACCURACY: readonly Check[] = [
  { name: "pointer_in_box", dimension: "accuracy", look: pointerInBox },
  { name: "targets_on_screen", dimension: "accuracy", look: targetsOnScreen },
  { name: "values_match_state", dimension: "accuracy", look: valuesMatchState },
  { name: "screenshots_match_viewport", dimension: "accuracy", look: screenshotsMatchViewport },
];

function pointerInBox(evidence: Evidence): Verdict {
  const { boxTolerancePx } = evidence.params;
  const pointed = onElements(evidence).flatMap(({ point, box }) => (point && box ? [{ point, box }] : []));
  const isIn = ({ point, box }: (typeof pointed)[number]): boolean => isWithin(point, box, boxTolerancePx);
  return shareOf(pointed, "pointers with a box", isIn, "are in it");
}

function targetsOnScreen(evidence: Evidence): Verdict {
  const { boxTolerancePx } = evidence.params;
  const placed = onElements(evidence).flatMap((action) => {
    const screen = screenOf(action);
    return screen !== undefined && (action.point ?? action.box) !== undefined ? [{ ...action, screen }] : [];
  });
  const isOn = ({ point, box, screen }: (typeof placed)[number]): boolean => {
    const all = { x: 0, y: 0, ...screen };
    return (!point || isWithin(point, all, boxTolerancePx)) && (!box || overlaps(box, all, boxTolerancePx));
  };
  return shareOf(placed, "elements with a place", isOn, "are on the screen");
}

/** The viewport, or the whole screen where there is no page. */
function screenOf({ page, screenshot }: Action): Size | undefined {
  return page?.viewport ?? (page === undefined ? screenshot?.size : undefined);
}

function valuesMatchState(evidence: Evidence): Verdict {
  const told = evidence.reduce.actions.flatMap((action) => {
    const { kind, value, masked } = action;
    if ((kind !== "type" && kind !== "select") || masked === true || value === undefined) return [];
    const held = lastTold(evidence, action)?.after?.value;
    return held === undefined ? [] : [{ value, held }];
  });
  return shareOf(told, "values", ({ value, held }) => value === held, "are what the field then held");
}

function lastTold({ eventAt }: Evidence, { events }: Action): SessionEvent | undefined {
  return events.map(eventAt).findLast((event) => event?.type === "input");
}

function screenshotsMatchViewport({ reduce, eventAt, params: { sizeTolerancePx } }: Evidence): Verdict {
  const sized = reduce.actions.flatMap(({ screenshot, page, events: [first] }) => {
    const ratio = first && eventAt(first)?.page?.devicePixelRatio;
    const { viewport } = page ?? {};
    return screenshot?.size && viewport && ratio ? [{ size: screenshot.size, viewport, ratio }] : [];
  });
  const isNear = (a: number, b: number): boolean => Math.abs(a - b) <= sizeTolerancePx;
  const fits = ({ size, viewport, ratio }: (typeof sized)[number]): boolean =>
    isNear(size.width, viewport.width * ratio) && isNear(size.height, viewport.height * ratio);
  return shareOf(sized, "screenshots with a size", fits, "are as large as the viewport");
}

function isWithin({ x, y }: Point, box: Box, slack: number): boolean {
  return x >= box.x - slack && x <= box.x + box.width + slack && y >= box.y - slack && y <= box.y + box.height + slack;
}

function overlaps(a: Box, b: Box, slack: number): boolean {
  const beside = a.x + a.width < b.x - slack || a.x > b.x + b.width + slack;
  return !beside && !(a.y + a.height < b.y - slack || a.y > b.y + b.height + slack);
}
