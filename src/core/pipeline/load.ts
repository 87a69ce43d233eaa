import { type AnyStage, Pipeline } from "./pipeline.ts";
import { type PipelineSettings, readPipelineSettings } from "./settings.ts";

export interface LoadedPipeline {
  readonly pipeline: Pipeline;
  readonly stages: readonly AnyStage[];
  readonly settings: PipelineSettings;
  /** URL of the module the stages are from. */
  readonly module: string;
}

/**
 * The stages with the parameters of the file that the setting `pipeline` names. `module` is the URL
 * of a module that exports STAGES; this release's when left out. Fails with `invalid_argument`
 * BAD_PIPELINE.
 */
export async function loadPipeline(file: string | undefined, module: string = RELEASED): Promise<LoadedPipeline> {
  const settings = await readPipelineSettings(file);
  const { STAGES: stages }: { readonly STAGES: readonly AnyStage[] } = await import(module);
  return { pipeline: new Pipeline(stages, settings), stages, settings, module };
}

/** Node runs the sources as they are; a build has the same files with another ending. */
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
const RELEASED = new URL(`./stages${EXTENSION}`, import.meta.url).href;
