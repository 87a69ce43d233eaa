import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { type DeclaredStage, type Definition, define } from "../../../src/core/pipeline/definition.ts";
import { explainStages } from "../../../src/core/pipeline/explain.ts";
import { artifactKey, currentInputs, headsByStage, nextStale } from "../../../src/core/pipeline/freshness.ts";
import { STAGE_NAMES, type StageName } from "../../../src/core/pipeline/stage.ts";
import type { ArtifactHead } from "../../../src/core/store/artifacts.ts";

const PARAMS = z.object({ depth: z.number().default(3) });
const STAGES: readonly DeclaredStage[] = [
  { name: "validate", version: 1, inputs: ["recording"], params: PARAMS },
  { name: "redact", version: 1, inputs: ["validate"], params: PARAMS },
  { name: "reduce", version: 1, inputs: ["redact"], params: PARAMS },
  { name: "score", version: 1, inputs: ["validate", "reduce"], params: PARAMS },
  { name: "assemble", version: 1, inputs: ["reduce", "score"], params: PARAMS },
];

function release(
  change: Partial<Record<StageName, Partial<DeclaredStage>>> = {},
  depth: Partial<Record<StageName, number>> = {},
) {
  const stages = STAGES.map((stage) => ({ ...stage, ...change[stage.name] }));
  const params = Object.fromEntries(Object.entries(depth).map(([stage, value]) => [stage, { depth: value }]));
  return define(stages, params);
}

/** Runs what is stale, at most `runs` stages; what a stage gives depends on its key. */
function run(definitions: readonly Definition[], before: readonly ArtifactHead[] = [], runs = 10): ArtifactHead[] {
  const heads = new Map(before.map((head) => [head.stage, head]));
  for (let count = 0; count < runs; count++) {
    const stage = nextStale(definitions, heads, undefined);
    const definition = definitions.find((each) => each.stage === stage);
    if (stage === undefined || definition === undefined) break;
    const inputs = currentInputs(definition, heads) ?? [{ name: "recording", hash: "recorded" }];
    const key = artifactKey(definition, inputs);
    const { version, paramsHash: params } = definition;
    heads.set(stage, { stage, version, params, key, inputs, output: `of ${key}` });
  }
  return [...heads.values()];
}

function explain(definitions: readonly Definition[], heads: readonly ArtifactHead[]): Record<string, string> {
  const explained = explainStages(definitions, headsByStage(heads));
  return Object.fromEntries(explained.map(({ stage, state, why }) => [stage, [state, ...why].join(": ")]));
}

describe("why a stage is as it is", () => {
  test("is that nothing ran yet, or what it reads is not there", () => {
    expect(explain(release(), [])).toEqual({
      validate: "missing: it never ran on this session",
      redact: "missing: validate has given nothing yet",
      reduce: "missing: redact has given nothing yet",
      score: "missing: validate has given nothing yet: reduce has given nothing yet",
      assemble: "missing: reduce has given nothing yet: score has given nothing yet",
    });
    expect(explain(release(), run(release(), [], 1))).toMatchObject({
      validate: "fresh",
      redact: "missing: it never ran on this session",
    });
  });

  test("is another version or other parameters, and for those after it what may come of that", () => {
    const heads = run(release());
    expect(explain(release({ reduce: { version: 2 } }, { score: 4 }), heads)).toEqual({
      validate: "fresh",
      redact: "fresh",
      reduce: "stale: version 1 made it, this release has 2",
      score: "stale: other parameters made it",
      assemble: "fresh: stale if reduce or score gives something else when it runs",
    });
  });

  test("is that what it read has changed since", () => {
    const newer = release({ validate: { version: 2 } });
    const heads = run(newer, run(release()), 1);
    expect(explain(newer, heads)).toMatchObject({
      validate: "fresh",
      redact: "stale: validate has given something else since",
      reduce: "fresh: stale if redact gives something else when it runs",
    });
  });

  test("is that it reads something else now, or the same in another order", () => {
    const heads = run(release());
    const more = { score: { inputs: ["validate", "redact"] }, assemble: { inputs: ["score", "reduce"] } } as const;
    expect(explain(release(more), heads)).toMatchObject({
      score: "stale: it reads redact now: it reads reduce no more",
      assemble: "stale: it reads the same in another order",
    });
  });

  test("is that a newer release ran it", () => {
    const heads = run(release({ reduce: { version: 3 } }));
    expect(explain(release(), heads)).toMatchObject({
      reduce: "ahead: version 3 of a newer release made it; this one has 1",
    });
  });

  test("agrees with what would be run", () => {
    const change = fc.record({
      stage: fc.constantFrom(...STAGE_NAMES),
      version: fc.integer({ min: 1, max: 3 }),
      depth: fc.integer({ min: 2, max: 4 }),
    });
    const history = fc.array(fc.record({ change, runs: fc.integer({ min: 0, max: 6 }) }), { maxLength: 5 });
    fc.assert(
      fc.property(history, (steps) => {
        let heads: ArtifactHead[] = [];
        const versions: Partial<Record<StageName, number>> = {};
        let definitions = release();
        for (const { change: changed, runs } of steps) {
          // A release's versions never go back.
          versions[changed.stage] = Math.max(versions[changed.stage] ?? 1, changed.version);
          const declared = Object.fromEntries(Object.entries(versions).map(([stage, version]) => [stage, { version }]));
          definitions = release(declared, { [changed.stage]: changed.depth });
          heads = run(definitions, heads, runs);
        }
        const explained = explainStages(definitions, headsByStage(heads));
        const first = explained.find(
          ({ stage, state }) =>
            state === "stale" ||
            (state === "missing" &&
              STAGES.find(({ name }) => name === stage)?.inputs.every(
                (name) => name === "recording" || heads.some((head) => head.stage === name),
              )),
        );
        expect(first?.stage).toBe(nextStale(definitions, headsByStage(heads), undefined));
        for (const { state, why } of explained) if (state !== "fresh") expect(why).not.toEqual([]);
      }),
    );
  });
});
