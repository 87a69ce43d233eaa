import { accessible, LONGEST_NAME } from "../../accessible.ts";
import type { ActionTarget } from "../outputs.ts";
import type { Box, Selector, Target } from "../recorded.ts";

/**
 * Every known way to find the element again, each once, best first. What the collector judged is
 * carried, but no kind is held for better than it can be: a path of positions breaks with the first
 * element that is added, whoever made it. Equal ones stand in the order of TARGET_KINDS. The first
 * target is the one that was acted on; others are what it stands for.
 */
export function rankTargets(targets: readonly Target[]): ActionTarget[] {
  const found = new Map<string, ActionTarget>();
  const add = (target: ActionTarget): void => {
    if (target.value === "") return;
    const key = `${target.kind} ${target.value}`;
    // What the collector told comes first, and is worth more than the same derived here.
    if (!found.has(key)) found.set(key, target);
  };
  for (const target of targets) {
    for (const selector of target.selectors) add(fromSelector(selector));
    for (const derived of derive(target)) add(derived);
  }
  // The place is the first one's: that is what was pointed at.
  const box = targets[0]?.box;
  if (box !== undefined) add({ kind: "box", value: boxValue(box) });
  return [...found.values()].toSorted(
    (a, b) => targetWorth(b) - targetWorth(a) || TARGET_KINDS.indexOf(a.kind) - TARGET_KINDS.indexOf(b.kind),
  );
}

const TARGET_KINDS = ["role", "test_id", "id", "text", "css", "xpath", "aria", "box"] as const;

/** The selector of an accessible role and name. */
function roleSelector(role: string, name: string): string {
  return `${role}[name=${JSON.stringify(name)}]`;
}

function fromSelector({ kind, value, reliability, grounding }: Selector): ActionTarget {
  const known = kind === "unknown" ? (/^[(.]*\/|^xpath=/.test(value) ? "xpath" : "css") : kind;
  const target = { kind: known, value: plainValue(known, value) };
  if (grounding === undefined) return { ...target, reliability };
  // What was looked for needs no judgement; 0 is none.
  return { ...target, ...(reliability > 0 && { reliability }), grounding };
}

/** Without what only says which kind it is, so that the same one told in two ways is one. */
function plainValue(kind: ActionTarget["kind"], value: string): string {
  if (kind === "id") return value.replace(/^#/, "");
  if (kind === "role" || kind === "text") return value.replace(/^(role|text)=/, "");
  if (kind === "test_id") return /^\[data-[\w-]+=["']?(.*?)["']?\]$/.exec(value)?.[1] ?? value;
  return value;
}

function* derive(target: Target): Iterable<ActionTarget> {
  const attribute = (name: string): string => target.attributes.find((each) => each.name === name)?.value ?? "";
  const { role, name } = accessible(target);
  if (role !== undefined && name !== undefined) yield { kind: "role", value: roleSelector(role, name) };
  for (const each of TEST_ID_ATTRIBUTES) yield { kind: "test_id", value: attribute(each) };
  yield { kind: "id", value: attribute("id") };
  yield { kind: "aria", value: attribute("aria-label") };
  if (!isDocument(target) && (target.text?.length ?? 0) <= LONGEST_NAME)
    yield { kind: "text", value: target.text ?? "" };
}

const TEST_ID_ATTRIBUTES = ["data-testid", "data-test-id", "data-test", "data-cy", "data-qa"];

/** The whole page, whose text is no name of anything. */
export function isDocument({ tag }: Target): boolean {
  return tag === "html" || tag === "body";
}

function boxValue({ x, y, width, height }: Box): string {
  return [x, y, width, height].join(",");
}

/** From 0 to 1: how likely it is to find just this element again. */
export function targetWorth(target: ActionTarget): number {
  const { reliability, grounding } = target;
  if (grounding === undefined) return Math.min(reliability ?? DERIVED, limit(target));
  if (!grounding.findsTarget) return 0;
  return Math.min(reliability ?? 1, limit(target)) / Math.max(1, grounding.matches);
}

/** What follows from what was told of an element was never looked for on its page. */
const DERIVED = 0.7;

/** How good one of its kind can be: the weights the sample's recorder gives to what finds one element. */
function limit({ kind, value }: ActionTarget): number {
  switch (kind) {
    case "test_id":
      return 0.98;
    case "id":
      return isGenerated(value) ? 0.3 : 0.95;
    case "role":
      return value.includes("[name=") ? 0.9 : 0.2;
    case "aria":
      return 0.85;
    case "css":
      return isPositional(value) ? 0.5 : isGenerated(value) ? 0.3 : 0.75;
    case "text":
      return 0.6;
    case "xpath":
      return 0.4;
    case "box":
      return 0.1;
  }
}

/** Ids that a framework makes up anew each time: UUIDs, counters, React's :r1:. */
export function isGenerated(id: string): boolean {
  return /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}|\d{5}|:r\w+:/i.test(id);
}

function isPositional(css: string): boolean {
  return /:nth-|:first-|:last-/.test(css);
}
