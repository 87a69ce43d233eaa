import { AppError } from "../errors.ts";
import { pack } from "../session/segment.ts";
import type { ArtifactHead, ArtifactInput, NewArtifact } from "../store/artifacts.ts";
import type { Store } from "../store/store.ts";
import { canonicalJson, sha256 } from "./canonical.ts";
import type { Definition } from "./definition.ts";
import { artifactKey, type Heads, headsByStage, nextStale } from "./freshness.ts";
import type { Pipeline } from "./pipeline.ts";
import { hashOf, readRecorded } from "./recording.ts";
import type { Outputs, StageInput, StageIo, StageName } from "./stage.ts";

export interface StageTask {
  readonly project: string;
  readonly session: string;
  readonly stage: string;
  /** The stages the session may go on with; undefined means all. */
  readonly stages: readonly string[] | undefined;
}

/** What a run came to, as the ledger's settle takes it. */
export interface StageRun {
  /** undefined when the stage's artifact is already what it would give. */
  readonly artifact: NewArtifact | undefined;
  /** The stage to go on with; undefined when the session is done. */
  readonly next: StageName | undefined;
}

export interface StageWorld {
  readonly store: Store;
  readonly pipeline: Pipeline;
  /** `writeDerived` notes what it wrote in `derived`. */
  readonly io: (project: string, derived: Set<string>) => StageIo;
  /** Monotonic milliseconds. */
  readonly elapsed: () => number;
}

/**
 * Runs one stage on one session: reads its inputs, leaves it when the same key was made before, and
 * says which stage follows. Changes nothing but derived blobs, which are named by their content.
 * Fails with what reading fails with, `failed_precondition` UNKNOWN_STAGE or STAGE_VERSION_BACK,
 * `data_loss` ARTIFACT_GONE, the stage's own AppErrors, and `internal` STAGE_FAILED for whatever
 * else the stage throws.
 */
export async function runStage(world: StageWorld, task: StageTask, signal: AbortSignal): Promise<StageRun> {
  const { store, pipeline } = world;
  const { project, session } = task;
  const definitions = pipeline.definitions(project);
  const definition = definitions.find(({ stage }) => stage === task.stage);
  if (definition === undefined) throw unknownStage(task.stage);
  const { stage } = definition;
  const heads = headsByStage(await store.readHeads(project, session, signal));
  // The task may be older than what others have done since.
  nextStale(definitions, heads, task.stages);
  const begun = world.elapsed();
  const inputs = await readInputs(store, definition, task, heads, signal);
  if (inputs === undefined) return { artifact: undefined, next: nextStale(definitions, heads, task.stages) };
  const key = artifactKey(definition, inputs.hashes);
  const after = (head: ArtifactHead) => nextStale(definitions, new Map([...heads, [stage, head]]), task.stages);
  const head = heads.get(stage);
  if (head?.key === key) return { artifact: undefined, next: after(head) };

  const earlier = await store.readArtifact(project, session, key, signal);
  if (earlier !== undefined) {
    const { data: _, ...known } = earlier;
    return { artifact: { reuse: true, key, stage, score: scoreOf(stage, earlier.data) }, next: after(known) };
  }
  const derived = new Set<string>();
  const data = await outputOf(pipeline, definition, inputs.values, world.io(project, derived), signal);
  const made: ArtifactHead = {
    key,
    stage,
    version: definition.version,
    params: definition.paramsHash,
    inputs: inputs.hashes,
    output: sha256(data),
  };
  const { encoding, payload } = pack(data);
  const artifact: NewArtifact = {
    reuse: false,
    ...made,
    paramsJson: definition.paramsJson,
    durationMs: Math.round(world.elapsed() - begun),
    encoding,
    payload,
    bytes: data.length,
    blobs: [...derived].sort(),
    score: scoreOf(stage, data),
  };
  return { artifact, next: after(made) };
}

interface Inputs {
  readonly hashes: readonly ArtifactInput[];
  readonly values: ReadonlyMap<StageInput, unknown>;
}

/** undefined when an artifact the stage reads is not there yet. */
async function readInputs(
  store: Store,
  definition: Definition,
  { project, session }: StageTask,
  heads: Heads,
  signal: AbortSignal,
): Promise<Inputs | undefined> {
  const hashes: ArtifactInput[] = [];
  const values = new Map<StageInput, unknown>();
  for (const name of definition.inputs) {
    if (name === "recording") {
      const recorded = await readRecorded(store, project, session, signal);
      values.set(name, recorded);
      hashes.push({ name, hash: hashOf(recorded) });
      continue;
    }
    const head = heads.get(name);
    if (head === undefined) return undefined;
    const artifact = await store.readArtifact(project, session, head.key, signal);
    if (artifact === undefined) throw artifactGone(name);
    values.set(name, JSON.parse(Buffer.from(artifact.data).toString("utf8")));
    hashes.push({ name, hash: head.output });
  }
  return { hashes, values };
}

/** What the stage gives, as canonical JSON. */
async function outputOf(
  pipeline: Pipeline,
  { stage, params }: Definition,
  inputs: ReadonlyMap<StageInput, unknown>,
  io: StageIo,
  signal: AbortSignal,
): Promise<Buffer> {
  try {
    return Buffer.from(canonicalJson(await pipeline.run(stage, inputs, params, io)));
  } catch (error) {
    if (error instanceof AppError) throw error;
    if (signal.aborted) throw AppError.aborted(signal);
    throw stageFailed(stage, error);
  }
}

/** The session's overall score stands in its row, so that many can be selected by it. */
function scoreOf(stage: StageName, data: Uint8Array): number | undefined {
  if (stage !== "score") return undefined;
  const { overall }: Outputs["score"] = JSON.parse(Buffer.from(data).toString("utf8"));
  return overall;
}

/**
 * Whatever a stage threw that is no AppError. Its message may hold a recorded value (JSON.parse
 * quotes what it can't read), so only the kind of error and the stack's frames are kept.
 */
export function stageFailed(stage: string, error: unknown): AppError {
  const kind = error instanceof Error ? error.name : `a thrown ${typeof error}`;
  const frames = error instanceof Error ? (error.stack?.match(/^ {4}at .*$/gm) ?? []) : [];
  const place = frames.map((frame) => /([^/\\( ]+:\d+):\d+\)?$/.exec(frame)?.[1]).find((found) => found !== undefined);
  const cause = new Error(kind);
  cause.stack = [kind, ...frames].join("\n");
  return new AppError("internal", `Stage ${stage} failed: ${kind}${place === undefined ? "" : ` at ${place}`}.`, {
    reason: "STAGE_FAILED",
    metadata: { stage },
    cause,
  });
}

function unknownStage(stage: string): AppError {
  return new AppError("failed_precondition", `This release has no stage ${stage}.`, { reason: "UNKNOWN_STAGE" });
}

function artifactGone(stage: string): AppError {
  return new AppError("data_loss", `The artifact of ${stage} is named as the current one and is not there.`, {
    reason: "ARTIFACT_GONE",
  });
}
