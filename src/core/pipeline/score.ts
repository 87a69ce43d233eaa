import { SCORE_DIMENSIONS, type ScoreCheck, type ScoreDimension, type ScoreOutput } from "./outputs.ts";
import { ACCURACY } from "./score/accuracy.ts";
import { type Check, type Evidence, placeOf } from "./score/check.ts";
import { COMPLETENESS } from "./score/completeness.ts";
import { CONSISTENCY } from "./score/consistency.ts";
import { SCORE_PARAMS, type ScoreParams } from "./score/params.ts";
import { RELIABILITY } from "./score/reliability.ts";
import type { InputsOf, Stage } from "./stage.ts";

/**
 * How good a session is to learn from, 0 to 100: four dimensions, each of named checks that say why
 * they did not get all. A check that has nothing to look at counts nothing; a dimension without any
 * evidence is 0, and so is a session without actions.
 */
export const score: Stage<"score", "validate" | "redact" | "reduce", typeof SCORE_PARAMS> = {
  name: "score",
  version: 2,
  inputs: ["validate", "redact", "reduce"],
  params: SCORE_PARAMS,
  run: (inputs, params) => scoreSession(inputs, params),
};

const CHECKS: readonly Check[] = [...COMPLETENESS, ...RELIABILITY, ...ACCURACY, ...CONSISTENCY];

function scoreSession(inputs: InputsOf<"validate" | "redact" | "reduce">, params: ScoreParams): ScoreOutput {
  const evidence = gather(inputs, params);
  const isEmpty = inputs.reduce.actions.length === 0;
  const looked = isEmpty ? CHECKS.filter(({ name }) => name === "actions_present") : CHECKS;
  const checks = looked.map((check) => result(check, evidence));
  const dimensions = (dimension: ScoreDimension): number => {
    const own = checks.filter((check) => check.dimension === dimension);
    const most = sum(own.map(({ of }) => of));
    return most === 0 ? 0 : (100 * sum(own.map(({ points }) => points))) / most;
  };
  const overall = sum(SCORE_DIMENSIONS.map((dimension) => dimensions(dimension) * params.weights[dimension]));
  return {
    overall: toTenths(Math.min(100, overall)),
    dimensions: {
      completeness: toTenths(dimensions("completeness")),
      reliability: toTenths(dimensions("reliability")),
      accuracy: toTenths(dimensions("accuracy")),
      consistency: toTenths(dimensions("consistency")),
    },
    checks,
  };
}

function gather(
  { validate, redact, reduce }: InputsOf<"validate" | "redact" | "reduce">,
  params: ScoreParams,
): Evidence {
  const events = new Map(redact.events.map((event) => [placeOf(event.ref), event]));
  return {
    validate,
    redact,
    reduce,
    params,
    eventAt: (ref) => events.get(placeOf(ref)),
    isDesktop: redact.events.every(({ page, target }) => page === undefined && (target?.selectors.length ?? 0) === 0),
  };
}

function result({ name, dimension, look }: Check, evidence: Evidence): ScoreCheck {
  const { share, reason } = look(evidence);
  const of = share === undefined ? 0 : evidence.params.points[name];
  return { name, dimension, points: Number((of * (share ?? 0)).toFixed(3)), of, reason };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
const toTenths = (value: number): number => Math.round(value * 10) / 10;
