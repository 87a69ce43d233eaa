import type { z } from "zod";
import { AppError } from "../errors.ts";
import { type Definition, define } from "./definition.ts";
import type { PipelineSettings } from "./settings.ts";
import type { StageInput, StageIo, StageName } from "./stage.ts";

/** A stage whatever its types. */
export interface AnyStage {
  readonly name: StageName;
  readonly version: number;
  readonly inputs: readonly StageInput[];
  readonly params: z.ZodType;
  run(inputs: unknown, params: unknown, io: StageIo): unknown;
}

/** The stages with the parameters each project has set for them. */
export class Pipeline {
  readonly #stages: readonly AnyStage[];
  readonly #settings: PipelineSettings;
  readonly #byProject = new Map<string, readonly Definition[]>();

  /** Fails with `invalid_argument` BAD_PIPELINE when a project's parameters don't fit. */
  constructor(stages: readonly AnyStage[], settings: PipelineSettings) {
    this.#stages = stages;
    this.#settings = settings;
    for (const project of ["", ...Object.keys(settings.projects)]) this.definitions(project);
  }

  /** In the order they run. A project's own parameters stand in place of the common ones, stage by stage, key by key. */
  definitions(project: string): readonly Definition[] {
    const own = Object.hasOwn(this.#settings.projects, project) ? this.#settings.projects[project] : undefined;
    // Projects without parameters of their own share one set: their number has no bound.
    const name = own === undefined ? "" : project;
    const known = this.#byProject.get(name);
    if (known !== undefined) return known;
    const params = Object.fromEntries(
      this.#stages.map(({ name: stage }) => [stage, { ...this.#settings.stages[stage], ...own?.[stage] }]),
    );
    const made = define(this.#stages, params);
    this.#byProject.set(name, made);
    return made;
  }

  /** `inputs` are what `definition.inputs` names. */
  async run(name: StageName, inputs: ReadonlyMap<StageInput, unknown>, params: unknown, io: StageIo): Promise<unknown> {
    const stage = this.#stages.find((each) => each.name === name);
    if (stage === undefined) {
      throw new AppError("failed_precondition", `This release has no stage ${name}.`, { reason: "UNKNOWN_STAGE" });
    }
    return await stage.run(Object.fromEntries(inputs), params, io);
  }
}
