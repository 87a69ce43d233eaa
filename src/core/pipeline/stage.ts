import type { z } from "zod";
import type { AssembleOutput, ReduceOutput, ScoreOutput } from "./outputs.ts";
import type { Recorded, RedactOutput, ValidateOutput } from "./recorded.ts";

/** The stages in the order they run. A stage reads only what stands before it. */
export const STAGE_NAMES = ["validate", "redact", "reduce", "score", "assemble"] as const;

export type StageName = (typeof STAGE_NAMES)[number];

/** What each stage gives. Plain JSON: its canonical form is hashed, compared and stored. */
export interface Outputs {
  readonly validate: ValidateOutput;
  readonly redact: RedactOutput;
  readonly reduce: ReduceOutput;
  readonly score: ScoreOutput;
  readonly assemble: AssembleOutput;
}

/** What a stage reads: the recording itself, or what an earlier stage gave. */
export type StageInput = "recording" | StageName;

export type InputsOf<I extends StageInput> = {
  readonly [K in I]: K extends StageName ? Outputs[K] : Recorded;
};

/**
 * One step of the pipeline: a pure function of its inputs and its parameters. Nothing it gives may
 * depend on time, chance, the machine or what ran before.
 */
export interface Stage<
  Name extends StageName = StageName,
  Input extends StageInput = StageInput,
  Params extends z.ZodType = z.ZodType,
> {
  readonly name: Name;
  /** Grows with every change that may give another output for the same inputs and parameters. */
  readonly version: number;
  readonly inputs: readonly Input[];
  /** Parameters with their defaults; `{}` parses. */
  readonly params: Params;
  /**
   * Fails with an AppError of code `failed_precondition` or `data_loss` when it can never succeed on
   * these inputs; whatever else it throws is tried again.
   */
  run(inputs: InputsOf<Input>, params: z.output<Params>, io: StageIo): Promise<Outputs[Name]> | Outputs[Name];
}

/** What a stage may touch beyond its inputs, all of it named by content. */
export interface StageIo {
  /** A recorded screenshot's bytes. Fails with `not_found` BLOB_NOT_FOUND, BLOB_EXPIRED, `data_loss` BLOB_CORRUPT. */
  readBlob(id: string): Promise<Uint8Array>;
  /** Keeps bytes made from recorded ones, apart from these. Returns their sha256. Idempotent. */
  writeDerived(data: Uint8Array, mediaType: string): Promise<string>;
  readonly signal: AbortSignal;
}
