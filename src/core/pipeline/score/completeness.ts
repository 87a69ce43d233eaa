import type { Action } from "../outputs.ts";
import { type Check, type Evidence, nothing, onElements, shareOf, type Verdict } from "./check.ts";

/** Whether all that an example needs is there. */
export const COMPLETENESS: readonly Check[] = [
  { name: "actions_present", dimension: "completeness", look: actionsPresent },
  { name: "screenshots_present", dimension: "completeness", look: screenshotsPresent },
  { name: "blobs_present", dimension: "completeness", look: blobsPresent },
  { name: "pages_present", dimension: "completeness", look: pagesPresent },
  { name: "task_present", dimension: "completeness", look: taskPresent },
  { name: "targets_present", dimension: "completeness", look: targetsPresent },
  { name: "values_present", dimension: "completeness", look: valuesPresent },
];

function actionsPresent({ reduce, redact, params: { minActions } }: Evidence): Verdict {
  const count = reduce.actions.length;
  const reason = `${count} actions came of ${redact.events.length} events; ${minActions} are enough`;
  return { share: Math.min(1, count / minActions), reason };
}

function screenshotsPresent({ reduce, redact }: Evidence): Verdict {
  const has = ({ screenshot }: Action): boolean => screenshot !== undefined;
  const found = shareOf(reduce.actions, "actions", has, "have a screenshot from just before");
  const withheld = redact.report.screenshots.withheld.length;
  return withheld === 0 ? found : { ...found, reason: `${found.reason}; redaction withheld ${withheld}` };
}

function blobsPresent({ validate }: Evidence): Verdict {
  const present = new Set(validate.events.flatMap(({ screenshots }) => screenshots.map(({ blob }) => blob))).size;
  const missing = validate.missingBlobs.length;
  if (present + missing === 0) return nothing("screenshots");
  return { share: present / (present + missing), reason: `${missing} of ${present + missing} screenshots never came` };
}

function pagesPresent({ reduce, isDesktop }: Evidence): Verdict {
  if (isDesktop) return nothing("pages on a whole screen");
  // Where the browser was before its first address nobody knows.
  const actions = reduce.actions.filter(({ kind }, index) => index > 0 || kind !== "navigate");
  return shareOf(actions, "actions", ({ page }) => page !== undefined, "have their page");
}

function taskPresent({ redact: { session }, params: { minTaskLength } }: Evidence): Verdict {
  const length = session.task.trim().length;
  const reason = `the task has ${length} characters; ${minTaskLength} are enough`;
  return { share: Math.min(1, length / minTaskLength), reason };
}

function targetsPresent(evidence: Evidence): Verdict {
  const { isDesktop } = evidence;
  // On a screen text goes where the focus is.
  const actions = onElements(evidence).filter(({ kind }) => !isDesktop || (kind !== "type" && kind !== "select"));
  const isFound = ({ targets, point }: Action) => targets.length > 0 || (isDesktop && point !== undefined);
  return shareOf(actions, "actions on elements", isFound, "say which");
}

function valuesPresent({ reduce }: Evidence): Verdict {
  const actions = reduce.actions.filter(({ kind }) => kind === "type" || kind === "select");
  return shareOf(actions, "actions that fill fields", ({ value }) => value !== undefined, "say with what");
}
