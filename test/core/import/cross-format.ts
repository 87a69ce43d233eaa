import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readZipEntries, readZipEntry } from "../../../src/core/import/zip.ts";
import type { Action, ActionKind } from "../../../src/core/pipeline/outputs.ts";
import type { Point } from "../../../src/core/pipeline/recorded.ts";
import { never } from "../../fixtures.ts";
import { collect } from "./reading.ts";

/** What the driver of a task did, in the terms of an action. */
export interface Step {
  readonly kind: ActionKind;
  /** How the driver's log calls it. */
  readonly name: string;
  /** What it was done to is one of these tags or ids, or inside of one. */
  readonly on: readonly string[];
  readonly point?: Point | undefined;
  readonly to?: Point | undefined;
}

export interface Driven {
  /** All that was done, in order. */
  readonly all: readonly Step[];
  /** What was done and did something. */
  readonly steps: readonly Step[];
  /** Turns of the wheel over what can't be scrolled: the page stayed as it was, and there is nothing to see of them. */
  readonly idle: readonly Step[];
}

/**
 * What the driver did in a task of `cross-format/`, by its log: names and order, and what failed and
 * so was not done. Where and to what is in the calls that it made, which its trace has.
 */
export async function driven(directory: string): Promise<Driven> {
  const { actions } = JSON.parse(readFileSync(join(directory, "driver-actions.json"), "utf8"));
  const { steps, hasScrolled } = stepsOf(await readCalls(join(directory, "trace.zip")));
  const names: string[] = actions.flatMap(({ name, error }: { name: string; error?: string }) =>
    error === undefined ? (name.startsWith("type:") ? [name, name] : [name]) : [],
  );
  const kinds = names.map((name, index) => kindOf(name, index > 0 && names[index - 1] === name));
  const made = steps.map(({ kind }) => kind);
  if (made.join() !== kinds.join()) throw new Error(`The driver's log tells ${kinds}, its calls ${made}.`);
  const named = steps.map((step, index) => ({ ...step, name: names[index] ?? "" }));
  const isIdle = ({ kind }: Step): boolean => kind === "scroll" && !hasScrolled;
  return { all: named, steps: named.filter((step) => !isIdle(step)), idle: named.filter(isIdle) };
}

function kindOf(name: string, isSecond: boolean): ActionKind {
  const [what = ""] = name.split(":");
  if (what === "type") return isSecond ? "type" : "click";
  const kinds: Readonly<Record<string, ActionKind>> = {
    dblclick: "double_click",
    drag: "drag",
    scroll: "scroll",
    select: "select",
  };
  return kinds[what] ?? "click";
}

interface Call {
  readonly callId: string;
  readonly method: string;
  readonly params: { readonly selector?: string; readonly x?: number; readonly y?: number };
  point?: Point;
  failed?: boolean;
}

interface Calls {
  readonly calls: readonly Call[];
  /** Whether anything on the page ever was scrolled, as the snapshots of the page tell. */
  readonly hasScrolled: boolean;
}

async function readCalls(trace: string): Promise<Calls> {
  const entry = (await readZipEntries(trace, never)).get("trace.trace");
  if (entry === undefined) throw new Error(`${trace} has no trace.trace.`);
  const text = Buffer.concat(await collect(readZipEntry(trace, entry, never))).toString();
  const calls = new Map<string, Call>();
  for (const line of text.split("\n").filter((each) => each !== "")) {
    const event = JSON.parse(line);
    const call = calls.get(event.callId);
    if (event.type === "before") calls.set(event.callId, { ...event });
    else if (event.type === "input" && call !== undefined && event.point) call.point = event.point;
    else if (event.type === "after" && call !== undefined) call.failed = event.error !== undefined;
  }
  return {
    calls: [...calls.values()].filter(({ failed }) => failed !== true),
    hasScrolled: text.includes("__playwright_scroll_"),
  };
}

function stepsOf({ calls, hasScrolled }: Calls): { readonly steps: readonly Step[]; readonly hasScrolled: boolean } {
  const steps: Step[] = [];
  let mouse: Point = { x: 0, y: 0 };
  let pressed: Point | undefined;
  const add = (kind: ActionKind, on: readonly string[], point?: Point, to?: Point): void => {
    steps.push({ kind, name: "", on, point, to });
  };
  for (const { method, params, point } of calls) {
    const { selector = "", x = 0, y = 0 } = params;
    if (method === "click") add("click", namedBy(selector), point);
    else if (method === "type") add("type", namedBy(selector));
    else if (method === "selectOption") add("select", namedBy(selector));
    else if (method === "mouseClick") add("double_click", [], { x, y });
    else if (method === "mouseWheel" && steps.at(-1)?.kind !== "scroll") add("scroll", []);
    else if (method === "mouseMove") mouse = { x, y };
    else if (method === "mouseDown") pressed = mouse;
    else if (method === "mouseUp") add("drag", [], pressed, mouse);
  }
  return { steps, hasScrolled };
}

/** The tags, or the id, that a selector of the driver's ends in. */
function namedBy(selector: string): string[] {
  return [...selector.matchAll(/(?:^|, )(?:#area )?([#.\w-]+)/g)].map(([, name = ""]) => name.replace(/^\..*/, "a"));
}

/** What an action was, to be looked for among those of another recording. */
export function stepOf({ kind, element, targets, point, to }: Action): Step {
  const id = targets.find((target) => target.kind === "id")?.value;
  const on = id === undefined ? [element?.tag ?? []].flat() : [`#${id}`];
  // Where the mouse was while the wheel was turned is not told by what was scrolled.
  return { kind, name: on.join(), on, ...(kind !== "scroll" && { point, to }) };
}

/** What two tellings of the same task have in common, and where they differ. */
export interface Comparison {
  readonly agreed: number;
  /** In the order of the task: what one side tells and the other does not. */
  readonly differences: readonly { readonly side: "driver" | "recording"; readonly what: string }[];
}

/** Lines up what the driver did with actions that were reduced from a recording: as many as can agree in order. */
export function compare(steps: readonly Step[], actions: readonly Action[]): Comparison {
  const longest = table(steps, actions);
  const differences: Comparison["differences"][number][] = [];
  let [i, j, agreed] = [0, 0, 0];
  while (i < steps.length || j < actions.length) {
    const [step, action] = [steps[i], actions[j]];
    if (step !== undefined && action !== undefined && agrees(step, action)) {
      agreed += 1;
      i += 1;
      j += 1;
    } else if (step !== undefined && (action === undefined || at(longest, i + 1, j) >= at(longest, i, j + 1))) {
      differences.push({ side: "driver", what: `${step.kind} (${step.name})` });
      i += 1;
    } else if (action !== undefined) {
      differences.push({ side: "recording", what: `${action.kind} on ${action.element?.tag ?? "nothing"}` });
      j += 1;
    }
  }
  return { agreed, differences };
}

/** Of all actions that either tells, how many both tell: kind, order and target. */
export function shareAgreed(comparisons: readonly Comparison[]): number {
  const agreed = comparisons.reduce((sum, each) => sum + each.agreed, 0);
  const apart = comparisons.reduce((sum, { differences }) => sum + differences.length, 0);
  return agreed / (agreed + apart);
}

/** How many agree from each pair of places on. */
function table(steps: readonly Step[], actions: readonly Action[]): number[][] {
  const longest = Array.from({ length: steps.length + 1 }, () => Array<number>(actions.length + 1).fill(0));
  for (let i = steps.length - 1; i >= 0; i -= 1) {
    for (let j = actions.length - 1; j >= 0; j -= 1) {
      const [step, action, row] = [steps[i], actions[j], longest[i]];
      if (step === undefined || action === undefined || row === undefined) continue;
      const skipped = Math.max(at(longest, i + 1, j), at(longest, i, j + 1));
      row[j] = agrees(step, action) ? Math.max(at(longest, i + 1, j + 1) + 1, skipped) : skipped;
    }
  }
  return longest;
}

const at = (longest: readonly (readonly number[])[], i: number, j: number): number => longest[i]?.[j] ?? 0;

function agrees(step: Step, action: Action): boolean {
  if (step.kind !== action.kind) return false;
  if (!isNear(step.point, action.point) || !isNear(step.to, action.to)) return false;
  return step.on.length === 0 || step.on.some((name) => isOn(name, action));
}

/** A browser's click is at whole pixels. Where one side tells no place, there is nothing to hold it to. */
function isNear(a: Point | undefined, b: Point | undefined): boolean {
  return a === undefined || b === undefined || Math.hypot(a.x - b.x, a.y - b.y) < 1.5;
}

function isOn(name: string, { element, targets }: Action): boolean {
  if (name.startsWith("#")) return targets.some(({ kind, value }) => kind === "id" && `#${value}` === name);
  if (element?.tag === name) return true;
  const paths = targets.filter(({ kind }) => kind === "css" || kind === "xpath").map(({ value }) => value);
  return paths.some((path) => path.split(/[\s>/]+/).some((part) => part.replace(/[^a-z0-9].*$/i, "") === name));
}
