import type { Action, ReduceOutput, ScoreCheck, ScoreOutput } from "../../../src/core/pipeline/outputs.ts";
import type { RedactOutput, SessionEvent, SessionFacts, ValidateOutput } from "../../../src/core/pipeline/recorded.ts";
import { score } from "../../../src/core/pipeline/score.ts";
import { NO_IO, redacted, reduceEvents, SESSION } from "./acts.ts";

export interface ScoreInputs {
  readonly validate: ValidateOutput;
  readonly redact: RedactOutput;
  readonly reduce: ReduceOutput;
}

/** What the stages before give for these events, none of which had to be mended or redacted. */
export function inputsOf(events: readonly SessionEvent[], session: SessionFacts = SESSION): ScoreInputs {
  return {
    validate: { session, events, findings: [], dropped: [], quarantined: 0, missingBlobs: [] },
    redact: redacted(session, events),
    reduce: reduceEvents(session, events),
  };
}

export function withActions(inputs: ScoreInputs, change: (action: Action) => Action): ScoreInputs {
  return { ...inputs, reduce: { ...inputs.reduce, actions: inputs.reduce.actions.map(change) } };
}

export function scored(inputs: ScoreInputs, params: Readonly<Record<string, unknown>> = {}): ScoreOutput {
  const output = score.run(inputs, score.params.parse(params), NO_IO);
  if (output instanceof Promise) throw new Error("score has nothing to wait for.");
  return output;
}

export function check(name: string, inputs: ScoreInputs, params: Readonly<Record<string, unknown>> = {}): ScoreCheck {
  const found = scored(inputs, params).checks.find((each) => each.name === name);
  if (found === undefined) throw new Error(`There is no check ${name}.`);
  return found;
}
