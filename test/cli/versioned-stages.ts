import { z } from "zod";
import type { AnyStage } from "../../src/core/pipeline/pipeline.ts";
import type { Recorded } from "../../src/core/pipeline/recorded.ts";

const { SCORE_VERSION = "1", REDUCE_VERSION = "1" } = process.env;
const params = z.object({ weight: z.number().default(1) });
const RECORDING = z.object({ recording: z.custom<Recorded>() });
const REDACTED = z.object({ redact: z.object({ session: z.string() }) });

/**
 * Small stages. `score` says its version, so that another one gives another output; `reduce` says
 * it only of sessions whose name begins with `moves`; sessions that begin with `fails` fail.
 */
export const STAGES: readonly AnyStage[] = [
  {
    name: "validate",
    version: 1,
    inputs: ["recording"],
    params,
    run: (inputs) => {
      const { session, events } = RECORDING.parse(inputs).recording;
      return { session, events: events.length };
    },
  },
  {
    name: "redact",
    version: 1,
    inputs: ["validate"],
    params,
    run: (inputs) => z.object({ validate: z.unknown() }).parse(inputs).validate,
  },
  {
    name: "reduce",
    version: Number(REDUCE_VERSION),
    inputs: ["redact"],
    params,
    run: (inputs) => {
      const { session } = REDACTED.parse(inputs).redact;
      if (session.startsWith("fails")) throw new TypeError("this session can't be reduced");
      return { session, by: session.startsWith("moves") ? REDUCE_VERSION : "any" };
    },
  },
  {
    name: "score",
    version: Number(SCORE_VERSION),
    inputs: ["validate", "reduce"],
    params,
    run: (_inputs, given) => ({ overall: 50 * params.parse(given).weight, by: SCORE_VERSION }),
  },
  { name: "assemble", version: 1, inputs: ["reduce", "score"], params, run: (inputs) => inputs },
];
