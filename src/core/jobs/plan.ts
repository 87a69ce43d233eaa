import { AppError } from "../errors.ts";
import { canonicalJson, sha256 } from "../pipeline/canonical.ts";
import type { Definition } from "../pipeline/definition.ts";
import { staleUnder } from "../pipeline/freshness.ts";
import { STAGE_NAMES, type StageName } from "../pipeline/stage.ts";
import type { Selection, SignatureCount } from "../store/campaigns.ts";
import type { Store } from "../store/store.ts";
import type { Where } from "./where.ts";

/** What a campaign would do, named by a hash of all that decides it. Apply runs exactly this or nothing. */
export interface Plan {
  readonly v: 1;
  readonly store: string;
  readonly selection: Selection;
  /** The stages it may run, in order. */
  readonly stages: readonly StageName[];
  /** Every stage's definition, as `2:ab12…`. */
  readonly definitions: Readonly<Record<string, string>>;
  readonly groups: readonly PlanGroup[];
}

/** Sessions that are fresh under the same definitions, and so run the same stages. */
interface PlanGroup {
  readonly signature: string;
  readonly sessions: number;
  /** Another definition made these, or none did. */
  readonly certain: readonly StageName[];
  /** These run only if what they read turns out changed. */
  readonly possible: readonly StageName[];
}

export interface PlanOptions {
  readonly definitions: readonly Definition[];
  readonly where: Where;
  /** This stage and what follows it; undefined means all. */
  readonly stage: string | undefined;
}

/** A plan, beside how many sessions the conditions match whether stale or not. */
export interface Planned {
  readonly plan: Plan;
  readonly matched: number;
}

/** Counts what is stale. Constant memory, whatever the number of sessions. Writes nothing. */
export async function makePlan(store: Store, options: PlanOptions, signal: AbortSignal): Promise<Planned> {
  const { definitions, where } = options;
  const stages = stagesFrom(definitions, options.stage);
  const counts = await store.countSessions(where.selection, signal);
  const wanted = counts.filter(({ signature }) => where.matches(signature));
  const matched = wanted.reduce((sum, { sessions }) => sum + sessions, 0);
  const selection = where.restrictsSignature
    ? { ...where.selection, signatures: wanted.map(({ signature }) => signature).sort() }
    : where.selection;
  const plan: Plan = {
    v: 1,
    store: await store.storeId(signal),
    selection,
    stages,
    definitions: printed(definitions),
    groups: groupsOf(definitions, stages, wanted),
  };
  return { plan, matched };
}

/** The same plan as it would be made now. */
export async function planAgain(
  store: Store,
  plan: Plan,
  definitions: readonly Definition[],
  signal: AbortSignal,
): Promise<Plan> {
  const counts = await store.countSessions(plan.selection, signal);
  return {
    ...plan,
    store: await store.storeId(signal),
    definitions: printed(definitions),
    groups: groupsOf(definitions, plan.stages, counts),
  };
}

function printed(definitions: readonly Definition[]): Record<string, string> {
  return Object.fromEntries(definitions.map(({ stage, version, paramsHash }) => [stage, `${version}:${paramsHash}`]));
}

function groupsOf(
  definitions: readonly Definition[],
  stages: readonly StageName[],
  counts: readonly SignatureCount[],
): PlanGroup[] {
  return counts
    .map(({ signature, sessions }) => ({ signature, sessions, ...staleUnder(definitions, signature, stages) }))
    .filter(({ certain }) => certain.length > 0)
    .sort((a, b) => (a.signature < b.signature ? -1 : 1));
}

/** A stage and all that read, directly or through others, what it gives. Fails with `invalid_argument` UNKNOWN_STAGE. */
function stagesFrom(definitions: readonly Definition[], stage: string | undefined): StageName[] {
  if (stage === undefined) return definitions.map((each) => each.stage);
  const first = definitions.find((each) => each.stage === stage);
  if (first === undefined) {
    throw new AppError("invalid_argument", `There is no stage ${stage}; the stages are ${STAGE_NAMES.join(", ")}.`, {
      reason: "UNKNOWN_STAGE",
    });
  }
  const found = new Set<string>([first.stage]);
  for (const each of definitions) if (each.inputs.some((input) => found.has(input))) found.add(each.stage);
  return definitions.map((each) => each.stage).filter((each) => found.has(each));
}

/** Equal for plans that would do the same. The end of the time range only keeps out what comes later. */
export function planHash({ selection, ...plan }: Plan): string {
  const { untilMs: _, ...rest } = selection;
  return sha256(canonicalJson({ ...plan, selection: rest })).slice(0, 16);
}

/** Sessions that would run at least one stage. */
export function plannedSessions(plan: Plan): number {
  return plan.groups.reduce((sum, { sessions }) => sum + sessions, 0);
}

export interface StageEstimate {
  readonly stage: StageName;
  readonly certain: number;
  readonly possible: number;
  /** Sessions by why the stage is stale: `new`, `version 1 to 2`, `parameters`, `inputs`. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Of one run, from the store's latest artifacts; undefined without any. Milliseconds. */
  readonly meanMs: number | undefined;
}

/** What each stage of the plan comes to. Stages with nothing to do are left out. */
export async function estimate(store: Store, plan: Plan, signal: AbortSignal): Promise<StageEstimate[]> {
  const durations = new Map((await store.stageDurations(signal)).map(({ stage, meanMs }) => [stage, meanMs]));
  return plan.stages
    .map((stage) => {
      const reasons: Record<string, number> = {};
      let certain = 0;
      let possible = 0;
      for (const group of plan.groups) {
        if (group.possible.includes(stage)) possible += group.sessions;
        if (!group.certain.includes(stage)) continue;
        certain += group.sessions;
        const why = reasonOf(plan, group.signature, stage);
        reasons[why] = (reasons[why] ?? 0) + group.sessions;
      }
      return { stage, certain, possible, reasons, meanMs: durations.get(stage) };
    })
    .filter(({ certain, possible }) => certain + possible > 0);
}

function reasonOf({ definitions }: Plan, signature: string, stage: StageName): string {
  if (signature === "") return "new";
  const made = definitionsIn(signature).get(stage);
  if (made === undefined) return "inputs";
  const was = versionOf(made);
  const now = versionOf(definitions[stage]);
  return was === now ? "parameters" : `version ${was} to ${now}`;
}

/**
 * What differs between the plan and the store as it is, a line each; empty when nothing does. Fails
 * with `failed_precondition` OTHER_STORE for a plan made on another store.
 */
export function differences(plan: Plan, now: Plan): string[] {
  if (plan.store !== now.store) {
    throw new AppError(
      "failed_precondition",
      `The plan was made on store ${plan.store}; this one is ${now.store}. Plan again here.`,
      { reason: "OTHER_STORE" },
    );
  }
  const lines: string[] = [];
  for (const stage of new Set([...Object.keys(plan.definitions), ...Object.keys(now.definitions)])) {
    const was = plan.definitions[stage];
    const is = now.definitions[stage];
    if (was === is) continue;
    const sameVersion = versionOf(was) === versionOf(is);
    lines.push(
      sameVersion ? `${stage} has other parameters` : `${stage} was version ${versionOf(was)} and is ${versionOf(is)}`,
    );
  }
  const before = new Map(plan.groups.map((group) => [group.signature, group.sessions]));
  const after = new Map(now.groups.map((group) => [group.signature, group.sessions]));
  for (const signature of new Set([...before.keys(), ...after.keys()])) {
    const was = before.get(signature) ?? 0;
    const is = after.get(signature) ?? 0;
    if (was !== is) lines.push(`sessions ${inWords(signature)}: ${was} when planned, ${is} now`);
  }
  return lines;
}

function inWords(signature: string): string {
  if (signature === "") return "never processed";
  const made = [...definitionsIn(signature)].map(([stage, definition]) => `${stage} ${versionOf(definition)}`);
  return `processed by ${made.join(", ")}`;
}

/** `2:ab12…` by stage. */
function definitionsIn(signature: string): Map<string, string> {
  return new Map(
    signature.split(",").map((part) => {
      const colon = part.indexOf(":");
      return [part.slice(0, colon), part.slice(colon + 1)];
    }),
  );
}

function versionOf(definition: string | undefined): string {
  return definition?.split(":")[0] ?? "none";
}

/** Reads back what keepPlan kept. */
export async function loadPlan(store: Store, hash: string, signal: AbortSignal): Promise<Plan> {
  const json = await store.readPlan(hash, signal);
  if (json !== undefined) return JSON.parse(json);
  throw new AppError("not_found", `This store has no plan ${hash}. Make one with: sluice reprocess plan`, {
    reason: "PLAN_NOT_FOUND",
  });
}
