import type { z } from "zod";
import { AppError } from "../errors.ts";
import { canonicalJson, sha256 } from "./canonical.ts";
import type { StageInput, StageName } from "./stage.ts";

/** What a stage is declared with, whatever types it works on. */
export interface DeclaredStage {
  readonly name: StageName;
  readonly version: number;
  readonly inputs: readonly StageInput[];
  readonly params: z.ZodType;
}

/** A stage as it is to be run for one project: everything but its inputs that decides what it gives. */
export interface Definition {
  readonly stage: StageName;
  readonly version: number;
  readonly inputs: readonly StageInput[];
  /** Parsed, with every default filled in. */
  readonly params: unknown;
  /** The same as canonical JSON: a parameter set to its default changes nothing. */
  readonly paramsJson: string;
  /** The first 16 hexadecimal digits of its sha256: enough to tell a few hundred apart, short in a signature. */
  readonly paramsHash: string;
}

/** The stages' definitions in the order they run. Fails with `invalid_argument` BAD_PIPELINE, naming the parameter. */
export function define(
  stages: readonly DeclaredStage[],
  given: Readonly<Partial<Record<StageName, unknown>>>,
): Definition[] {
  return stages.map(({ name, version, inputs, params: schema }) => {
    const parsed = schema.safeParse(given[name] ?? {});
    if (!parsed.success) throw badParameters(name, parsed.error);
    const paramsJson = canonicalJson(parsed.data ?? {});
    return {
      stage: name,
      version,
      inputs,
      params: parsed.data,
      paramsJson,
      paramsHash: sha256(paramsJson).slice(0, 16),
    };
  });
}

function badParameters(stage: StageName, error: z.ZodError): AppError {
  const lines = error.issues.map(({ path, message }) => `  ${[stage, ...path].join(".")}: ${message}`);
  return new AppError("invalid_argument", `The pipeline's parameters have a problem:\n${lines.join("\n")}`, {
    reason: "BAD_PIPELINE",
    cause: error,
  });
}
