import { assemble } from "./assemble.ts";
import type { AnyStage } from "./pipeline.ts";
import { redact } from "./redact.ts";
import { reduce } from "./reduce.ts";
import { score } from "./score.ts";
import { validate } from "./validate.ts";

/** The stages of this release, in the order they run. */
export const STAGES: readonly AnyStage[] = [validate, redact, reduce, score, assemble];
