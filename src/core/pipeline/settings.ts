import { readFile } from "node:fs/promises";
import { parse, YAMLParseError } from "yaml";
import { z } from "zod";
import { closest } from "../closest.ts";
import { AppError } from "../errors.ts";
import { STAGE_NAMES, type StageName } from "./stage.ts";

/** Parameters of stages, for all projects and for single ones. Each stage's schema checks its own. */
export interface PipelineSettings {
  readonly stages: StageParameters;
  readonly projects: Readonly<Record<string, StageParameters>>;
}

export type StageParameters = {
  readonly [S in StageName]?: Readonly<Record<string, unknown>> | undefined;
};

/** pipeline.yaml is looked for here when the setting names no other. */
const STANDARD_FILE = "pipeline.yaml";

/**
 * Reads the file that the setting `pipeline` names; without the setting, pipeline.yaml if there is
 * one. Fails with `invalid_argument` BAD_PIPELINE.
 */
export async function readPipelineSettings(file: string | undefined): Promise<PipelineSettings> {
  const name = file ?? STANDARD_FILE;
  let text: string;
  try {
    text = await readFile(name, "utf8");
  } catch (cause) {
    const missing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    if (missing && file === undefined) return { stages: {}, projects: {} };
    throw bad(name, missing ? "there is no such file" : "it can't be read", cause);
  }
  return parseSettings(text, name);
}

/** `file` is for errors alone. */
export function parseSettings(text: string, file: string): PipelineSettings {
  let document: unknown;
  try {
    document = parse(text) ?? {};
  } catch (cause) {
    throw bad(file, cause instanceof YAMLParseError ? cause.message : "it is no YAML", cause);
  }
  const parsed = SCHEMA.safeParse(document);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => {
    const at = issue.path.join(".");
    if (issue.code !== "unrecognized_keys") return `${at}: ${issue.message}`;
    const unknown = issue.keys.map((key) => {
      const near = closest(key, at === "" ? Object.keys(SCHEMA.shape) : STAGE_NAMES);
      return near === undefined ? key : `${key} (did you mean ${near}?)`;
    });
    const place = at === "" ? "" : ` in ${at}`;
    return `there is no ${unknown.join(", ")}${place}; ${at === "" ? "stages and projects" : STAGE_NAMES.join(", ")} are what there is`;
  });
  throw bad(file, lines.join("\n  "), parsed.error);
}

const PARAMETERS = z.record(z.string(), z.unknown());
const STAGES = z.strictObject({
  validate: PARAMETERS.optional(),
  redact: PARAMETERS.optional(),
  reduce: PARAMETERS.optional(),
  score: PARAMETERS.optional(),
  assemble: PARAMETERS.optional(),
} satisfies Record<StageName, z.ZodType>);
const SCHEMA = z.strictObject({
  stages: STAGES.default({}),
  projects: z.record(z.string(), STAGES).default({}),
});

function bad(file: string, what: string, cause: unknown): AppError {
  return new AppError("invalid_argument", `The pipeline's settings in ${file} have a problem:\n  ${what}`, {
    reason: "BAD_PIPELINE",
    cause,
  });
}
