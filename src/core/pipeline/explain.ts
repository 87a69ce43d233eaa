import type { ArtifactHead, ArtifactInput } from "../store/artifacts.ts";
import type { Definition } from "./definition.ts";
import { artifactKey, currentInputs, type Heads } from "./freshness.ts";
import type { StageName } from "./stage.ts";

/**
 * fresh: its artifact is what it would give now. stale: it would be run again. missing: it never
 * ran, or waits for what it reads. ahead: a newer release than this one ran it.
 */
type StageState = "fresh" | "stale" | "missing" | "ahead";

export interface StageExplanation {
  readonly stage: StageName;
  /** This release's. */
  readonly version: number;
  readonly state: StageState;
  /** For people, a clause each; empty when there is nothing to say. */
  readonly why: readonly string[];
}

/** Why each stage of a session is as it is, given the session's current artifacts. */
export function explainStages(definitions: readonly Definition[], heads: Heads): StageExplanation[] {
  const moving = new Set<string>();
  return definitions.map((definition) => {
    const { stage, version, inputs } = definition;
    const explained = explain(definition, heads);
    const before = inputs.filter((name) => moving.has(name));
    if (explained.state !== "fresh" || before.length > 0) moving.add(stage);
    if (explained.state !== "fresh" || before.length === 0) return { stage, version, ...explained };
    return {
      stage,
      version,
      state: "fresh",
      why: [`stale if ${before.join(" or ")} gives something else when it runs`],
    };
  });
}

function explain(definition: Definition, heads: Heads): Pick<StageExplanation, "state" | "why"> {
  const { stage, version, inputs } = definition;
  const head = heads.get(stage);
  if (head === undefined) {
    const lacking = inputs.filter((name) => name !== "recording" && !heads.has(name));
    const why = lacking.map((name) => `${name} has given nothing yet`);
    return { state: "missing", why: why.length > 0 ? why : ["it never ran on this session"] };
  }
  if (head.version > version) {
    return { state: "ahead", why: [`version ${head.version} of a newer release made it; this one has ${version}`] };
  }
  const now = currentInputs(definition, heads) ?? [];
  if (head.key === artifactKey(definition, now)) return { state: "fresh", why: [] };
  const why = [...changedDefinition(definition, head), ...changedInputs(head, now)];
  return { state: "stale", why: why.length > 0 ? why : ["it reads the same in another order"] };
}

function changedDefinition({ version, paramsHash }: Definition, head: ArtifactHead): string[] {
  return [
    ...(head.version === version ? [] : [`version ${head.version} made it, this release has ${version}`]),
    ...(head.params === paramsHash ? [] : ["other parameters made it"]),
  ];
}

function changedInputs({ inputs }: ArtifactHead, now: readonly ArtifactInput[]): string[] {
  const before = new Map(inputs.map(({ name, hash }) => [name, hash]));
  const reads = new Set(now.map(({ name }) => name));
  return [
    ...now.filter(({ name }) => !before.has(name)).map(({ name }) => `it reads ${name} now`),
    ...inputs.filter(({ name }) => !reads.has(name)).map(({ name }) => `it reads ${name} no more`),
    ...now
      .filter(({ name, hash }) => before.has(name) && before.get(name) !== hash)
      .map(({ name }) => `${name} has given something else since`),
  ];
}
