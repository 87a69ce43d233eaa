import { accessible } from "../../accessible.ts";
import type { Action } from "../outputs.ts";
import type { EventRef, Page, Screenshot, Size, Target } from "../recorded.ts";
import type { Draft } from "./draft.ts";
import { isDocument, rankTargets } from "./targets.ts";

/** What the session tells of an action besides its own events. */
export interface Surroundings {
  /** Its events in the session's order, whatever order they joined in. */
  readonly events: readonly EventRef[];
  readonly screenshot: Screenshot | undefined;
  /** The page that was there before it. */
  readonly page: Page | undefined;
  readonly longPressMs: number;
}

/** The finished action. Only what is known is there. */
export function actionOf(draft: Draft, { events, screenshot, page, longPressMs }: Surroundings): Action {
  const { kind, lead, inferred, value } = draft;
  const told = isAimed(draft) ? lead.target : undefined;
  const isLong = draft.heldMs !== undefined && draft.heldMs > longPressMs && kind === "click";
  const durationMs = kind === "wait" ? draft.endMs - draft.startMs : isLong ? draft.heldMs : 0;
  return {
    kind,
    events,
    startMs: draft.startMs,
    endMs: draft.endMs,
    ...(page && { page: pageOf(page) }),
    targets: rankTargets([told, draft.field].filter((target) => target !== undefined)),
    ...elementOf(told, draft.field),
    ...(told?.box && { box: told.box }),
    ...(draft.point && { point: draft.point }),
    ...(draft.button !== undefined && { button: draft.button }),
    ...(draft.clicks > 3 && { clicks: draft.clicks }),
    ...(value !== undefined && { value }),
    ...(draft.masked && { masked: true }),
    ...(draft.delta && { delta: draft.delta }),
    ...(draft.to && { to: draft.to }),
    ...(durationMs !== undefined && durationMs > 0 && { durationMs }),
    ...(draft.navigatedTo !== undefined && { navigatedTo: draft.navigatedTo }),
    ...(draft.name !== undefined && { name: draft.name }),
    ...(screenshot && { screenshot }),
    ...(inferred.size > 0 && { inferred: [...inferred].toSorted() }),
  };
}

/** A page is scrolled as a whole: the element that stands for it says nothing. */
function isAimed({ kind, lead: { target } }: Draft): boolean {
  if (kind === "navigate" || kind === "wait" || target === undefined) return false;
  return kind !== "scroll" || !isDocument(target);
}

function pageOf({ url, title, viewport }: Page): { url: string; title: string; viewport?: Size } {
  return { url, title, ...(viewport && { viewport }) };
}

/** What the element is; a label is what the field is that it stands for. */
function elementOf(target: Target | undefined, field: Target | undefined): Pick<Action, "element"> {
  if (target === undefined) return field === undefined ? {} : elementOf(field, undefined);
  const own = accessible(target);
  const { tag } = target;
  const stands = field !== undefined && (own.role === undefined || tag === "label");
  const { role, name } = stands ? accessible(field) : own;
  const text = isDocument(target) ? undefined : target.text;
  const element = { ...(role && { role }), ...(name && { name }), ...(text && { text }), ...(tag && { tag }) };
  return Object.keys(element).length === 0 ? {} : { element };
}
