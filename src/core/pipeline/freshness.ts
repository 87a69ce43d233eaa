import { AppError } from "../errors.ts";
import type { ArtifactHead, ArtifactInput } from "../store/artifacts.ts";
import { canonicalJson, sha256 } from "./canonical.ts";
import type { Definition } from "./definition.ts";
import { STAGE_NAMES, type StageName } from "./stage.ts";

/** A session's current artifacts by stage. */
export type Heads = ReadonlyMap<string, ArtifactHead>;

export function headsByStage(heads: readonly ArtifactHead[]): Heads {
  return new Map(heads.map((head) => [head.stage, head]));
}

/** The name of what a stage gives for these inputs: equal keys mean equal outputs. */
export function artifactKey({ stage, version, paramsJson }: Definition, inputs: readonly ArtifactInput[]): string {
  return sha256(canonicalJson({ stage, version, params: paramsJson, inputs }));
}

/**
 * What the stage would read now, with its hashes; undefined when an artifact it needs is not there.
 * A sealed recording is immutable, so its hash is the one the first stage found.
 */
export function currentInputs(definition: Definition, heads: Heads): ArtifactInput[] | undefined {
  const inputs: ArtifactInput[] = [];
  for (const name of definition.inputs) {
    const hash =
      name === "recording"
        ? heads.get(definition.stage)?.inputs.find((input) => input.name === name)?.hash
        : heads.get(name)?.output;
    if (hash === undefined) return undefined;
    inputs.push({ name, hash });
  }
  return inputs;
}

/** Whether the stage's current artifact is what it would give now. */
function isFresh(definition: Definition, heads: Heads): boolean {
  const head = heads.get(definition.stage);
  const inputs = head && currentInputs(definition, heads);
  return inputs !== undefined && head?.key === artifactKey(definition, inputs);
}

/**
 * The first of `stages` that has to be run, given what the session has: one without an artifact, or
 * whose artifact another definition or other inputs made. undefined when all is fresh, or what is
 * stale waits for a stage that is not among `stages`. Fails with `failed_precondition`
 * STAGE_VERSION_BACK when a newer release than this one made an artifact.
 */
export function nextStale(
  definitions: readonly Definition[],
  heads: Heads,
  stages: readonly string[] | undefined,
): StageName | undefined {
  for (const definition of definitions) {
    checkVersion(definition, heads.get(definition.stage));
    if (stages !== undefined && !stages.includes(definition.stage)) continue;
    const ready = definition.inputs.every((name) => name === "recording" || heads.has(name));
    if (ready && !isFresh(definition, heads)) return definition.stage;
  }
  return undefined;
}

function checkVersion({ stage, version }: Definition, head: ArtifactHead | undefined): void {
  if (head === undefined || head.version <= version) return;
  throw new AppError(
    "failed_precondition",
    `A newer release ran ${stage} ${head.version} on this session; this one has ${stage} ${version}. Use the newer release.`,
    { reason: "STAGE_VERSION_BACK", metadata: { stage, version: String(version), found: String(head.version) } },
  );
}

/**
 * The definitions the session's artifacts are fresh under, relative to one another, as
 * `validate:2:ab12cd34ab12cd34,reduce:…`. What another input has overtaken is left out.
 */
export function signatureOf(heads: Heads): string {
  const asRead = ({ inputs }: ArtifactHead): boolean =>
    inputs.every(({ name, hash }) => name === "recording" || heads.get(name)?.output === hash);
  return STAGE_NAMES.map((stage) => heads.get(stage))
    .filter((head) => head !== undefined)
    .filter(asRead)
    .map(({ stage, version, params }) => `${stage}:${version}:${params}`)
    .join(",");
}

/**
 * Which of `stages` a session of this signature would run: `certain` those another definition made,
 * `possible` those that run only if what they read turns out changed, or is there at all.
 */
export function staleUnder(
  definitions: readonly Definition[],
  signature: string,
  stages: readonly string[] | undefined,
): { readonly certain: readonly StageName[]; readonly possible: readonly StageName[] } {
  const fresh = new Map(
    signature.split(",").map((part) => {
      const [stage = "", version = "", params = ""] = part.split(":");
      return [stage, { version: Number(version), params }];
    }),
  );
  const certain: StageName[] = [];
  const possible: StageName[] = [];
  const moved = new Set<string>();
  for (const { stage, version, paramsHash, inputs } of definitions) {
    const found = fresh.get(stage);
    if (found !== undefined && found.version > version) {
      throw new AppError(
        "failed_precondition",
        `A newer release ran ${stage} ${found.version} on some of these sessions; this one has ${stage} ${version}. Use the newer release.`,
        { reason: "STAGE_VERSION_BACK", metadata: { stage, version: String(version), found: String(found.version) } },
      );
    }
    if (stages !== undefined && !stages.includes(stage)) continue;
    const given = inputs.every((name) => name === "recording" || fresh.has(name) || moved.has(name));
    if (found?.version !== version || found.params !== paramsHash) (given ? certain : possible).push(stage);
    else if (inputs.some((name) => moved.has(name))) possible.push(stage);
    else continue;
    moved.add(stage);
  }
  return { certain, possible };
}
