import type { ElementState, PageElement, SessionEvent, Target } from "../recorded.ts";
import type { Gesture } from "./gesture.ts";
import { isSameElement } from "./identity.ts";
import { attributeOf } from "./keys.ts";

/** What is done to an element; a page also scrolls by itself. */
const ACTS: ReadonlySet<string> = new Set(["click", "input", "hover", "drag", "touch", "key"]);

/**
 * The hovers that showed something: the element changed its state, or what is done next is done to
 * something that was not there before, or that stands in what the element opens. Others are a
 * pointer at rest.
 */
export function findRevealing(gestures: readonly Gesture[]): Set<Gesture> {
  const revealing = new Set<Gesture>();
  let next: Gesture | undefined;
  for (let index = gestures.length - 1; index >= 0; index -= 1) {
    const gesture = gestures[index];
    if (gesture === undefined || !ACTS.has(gesture.event.type)) continue;
    if (gesture.event.type === "hover") {
      if (isSameHover(gesture, next) || !reveals(gesture.event, next?.event, gestures[index - 1]?.event)) continue;
      revealing.add(gesture);
    }
    next = gesture;
  }
  return revealing;
}

/** Resting on one element twice in a row shows nothing new. */
function isSameHover({ event }: Gesture, next: Gesture | undefined): boolean {
  return next?.event.type === "hover" && isSameElement(event.target, next.event.target);
}

function reveals(hover: SessionEvent, next: SessionEvent | undefined, before: SessionEvent | undefined): boolean {
  if (opened(hover.before, hover.after)) return true;
  if (next?.target === undefined || next.page?.url !== hover.page?.url) return false;
  return standsInWhatOpens(hover.target, next.target) || isAmongAppeared(hover, before, next.target);
}

function opened(before: ElementState | undefined, after: ElementState | undefined): boolean {
  if (before === undefined || after === undefined) return false;
  return (!before.expanded && after.expanded) || (!before.visible && after.visible);
}

const POPUPS = new Set(["menu", "listbox", "tree", "grid", "dialog", "tooltip", "menubar"]);

/** The element says that it opens something, and the next one stands in it, or in such a thing. */
function standsInWhatOpens(hovered: Target | undefined, next: Target): boolean {
  const popup = attributeOf(hovered, "aria-haspopup");
  if (hovered === undefined || popup === undefined || popup === "false" || isSameElement(hovered, next)) return false;
  const controlled = attributeOf(hovered, "aria-controls");
  return next.ancestors.some(({ role, attributes }) => {
    const id = attributes.find(({ name }) => name === "id")?.value;
    return POPUPS.has(role ?? "") || (id !== undefined && id === controlled);
  });
}

/** Among the elements told with the hover, and not among those told right before. */
function isAmongAppeared(hover: SessionEvent, before: SessionEvent | undefined, next: Target): boolean {
  const known = before?.page?.url === hover.page?.url ? before?.elements : undefined;
  if (known === undefined || hover.elements === undefined) return false;
  const names = new Set(known.map(signature));
  return hover.elements.some((element) => !names.has(signature(element)) && isElement(element, next));
}

function signature({ tag, role, name, text }: PageElement | Target): string {
  return JSON.stringify([tag, role, name, text]);
}

function isElement(element: PageElement, target: Target): boolean {
  const { name, text } = element;
  const says = (name !== undefined && name !== "") || (text !== undefined && text !== "");
  return says && signature(element) === signature(target);
}
