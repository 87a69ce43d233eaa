import { z } from "zod";
import type { AnyStage } from "../../../src/core/pipeline/pipeline.ts";
import type { Recorded } from "../../../src/core/pipeline/recorded.ts";
import type { StageName } from "../../../src/core/pipeline/stage.ts";

/** What may be changed of the stages below. */
export interface Change {
  readonly version?: number;
  readonly run?: AnyStage["run"];
}

/** Five real stages that each do a little: they count a recording's events and bytes, and add up. */
export function smallStages(changes: Partial<Record<StageName, Change>> = {}): AnyStage[] {
  const stages: readonly AnyStage[] = [
    {
      name: "validate",
      version: 1,
      inputs: ["recording"],
      params: z.object({ least: z.number().default(0) }),
      run: (inputs) => measure(RECORDING.parse(inputs).recording),
    },
    sum("redact", ["validate"]),
    sum("reduce", ["redact"]),
    {
      ...sum("score", ["validate", "reduce"]),
      run: (inputs) => ({ overall: total(inputs) % 100 }),
    },
    sum("assemble", ["reduce", "score"]),
  ];
  return stages.map((stage) => ({ ...stage, ...changes[stage.name] }));
}

const RECORDING = z.object({ recording: z.custom<Recorded>() });

function measure({ events, quarantined }: Recorded): unknown {
  return { events: events.length, bytes: events.reduce((sum, { event }) => sum + event.length, 0), quarantined };
}

function sum(name: StageName, inputs: AnyStage["inputs"]): AnyStage {
  const params = z.object({ plus: z.number().default(0) });
  return {
    name,
    version: 1,
    inputs,
    params,
    run: (given, settings) => ({ stage: name, total: total(given) + params.parse(settings).plus }),
  };
}

/** The sum of every number in there. */
function total(value: unknown): number {
  if (typeof value === "number") return value;
  if (typeof value !== "object" || value === null) return 0;
  return Object.values(value).reduce((sum: number, each) => sum + total(each), 0);
}
