import type { Action, ActionTarget } from "../outputs.ts";
import { isGenerated, targetWorth } from "../reduce/targets.ts";
import { type Check, type Evidence, nothing, onElements, shareLeft, shareOf, type Verdict } from "./check.ts";

/** Whether the actions can be done again, and how much of the recording they rest on. */
export const RELIABILITY: readonly Check[] = [
  { name: "targets_named", dimension: "reliability", look: targetsNamed },
  { name: "targets_reliable", dimension: "reliability", look: targetsReliable },
  { name: "targets_grounded", dimension: "reliability", look: targetsGrounded },
  { name: "events_accepted", dimension: "reliability", look: eventsAccepted },
  { name: "events_kept", dimension: "reliability", look: eventsKept },
  { name: "actions_seen", dimension: "reliability", look: actionsSeen },
];

function targetsNamed(evidence: Evidence): Verdict {
  if (evidence.isDesktop) return nothing("elements on a whole screen");
  const isKnown = ({ targets }: Action): boolean => targets.some(isNamed);
  return shareOf(onElements(evidence), "elements", isKnown, "have a role with a name, or an id made to last");
}

/** What a page's next version is likely to keep: not a place in the tree, nor on the screen. */
function isNamed({ kind, value }: ActionTarget): boolean {
  if (kind === "role") return value.includes("[name=");
  return kind === "test_id" || kind === "aria" || (kind === "id" && !isGenerated(value));
}

function targetsReliable(evidence: Evidence): Verdict {
  const { isDesktop, params } = evidence;
  if (isDesktop) return nothing("elements on a whole screen");
  const actions = onElements(evidence);
  const found = shareOf(actions, "elements", (action) => Math.min(1, bestOf(action) / params.goodTarget), "");
  const sure = actions.filter((action) => bestOf(action) >= params.goodTarget).length;
  if (found.share === undefined) return found;
  return { ...found, reason: `${sure} of ${actions.length} elements are sure to be found again, the others less so` };
}

/** Half where the best selector finds others too, nothing where none finds the element or its box is elsewhere. */
function targetsGrounded(evidence: Evidence): Verdict {
  const grounded = onElements(evidence).flatMap(({ targets }) => {
    const proofs = targets.flatMap(({ grounding }) => grounding ?? []);
    return proofs.length === 0 ? [] : [proofs];
  });
  const isFound = (proofs: (typeof grounded)[number]): number => {
    const good = proofs.filter(({ findsTarget, boxHoldsPointer }) => findsTarget && boxHoldsPointer !== false);
    return good.some(({ matches }) => matches === 1) ? 1 : good.length > 0 ? 0.5 : 0;
  };
  return shareOf(grounded, "elements looked for in the page as it was", isFound, "were found, and no other");
}

const bestOf = ({ targets: [best] }: Action): number => (best === undefined ? 0 : Math.max(0, targetWorth(best)));

function eventsAccepted({ validate, params }: Evidence): Verdict {
  const { quarantined } = validate;
  const all = validate.events.length + quarantined;
  const reason = `${quarantined} of ${all} events were quarantined`;
  return { share: shareLeft(quarantined, all, params.maxQuarantined), reason };
}

function eventsKept({ validate, params }: Evidence): Verdict {
  const dropped = validate.dropped.length;
  const all = validate.events.length + dropped;
  return {
    share: shareLeft(dropped, all, params.maxDropped),
    reason: `${dropped} of ${all} events said nothing and were dropped`,
  };
}

function actionsSeen({ reduce }: Evidence): Verdict {
  // Keys were seen; what else the field holds was not.
  const isSeen = ({ inferred = [] }: Action): boolean => inferred.every((mark) => mark === "VALUE_FROM_KEYS");
  return shareOf(reduce.actions, "actions", isSeen, "were seen whole, nothing in them inferred");
}
