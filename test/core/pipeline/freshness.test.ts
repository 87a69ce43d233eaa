import { describe, expect, test } from "vitest";
import { z } from "zod";
import { canonicalJson } from "../../../src/core/pipeline/canonical.ts";
import { type DeclaredStage, type Definition, define } from "../../../src/core/pipeline/definition.ts";
import {
  artifactKey,
  currentInputs,
  headsByStage,
  nextStale,
  signatureOf,
  staleUnder,
} from "../../../src/core/pipeline/freshness.ts";
import type { StageName } from "../../../src/core/pipeline/stage.ts";
import type { ArtifactHead } from "../../../src/core/store/artifacts.ts";

const PARAMS = z.object({ depth: z.number().default(3), words: z.array(z.string()).default([]) });
const STAGES: readonly DeclaredStage[] = [
  { name: "validate", version: 1, inputs: ["recording"], params: PARAMS },
  { name: "redact", version: 1, inputs: ["validate"], params: PARAMS },
  { name: "reduce", version: 1, inputs: ["redact"], params: PARAMS },
  { name: "score", version: 1, inputs: ["validate", "reduce"], params: PARAMS },
  { name: "assemble", version: 1, inputs: ["reduce", "score"], params: PARAMS },
];
const CURRENT = define(STAGES, {});

/** The definitions with a stage at another version. */
function at(version: number, stage: StageName): Definition[] {
  return define(
    STAGES.map((each) => (each.name === stage ? { ...each, version } : each)),
    {},
  );
}

/** A session that was run under `definitions`; what a stage gives is `outputs` or a word for its inputs. */
function run(
  definitions: readonly Definition[],
  before: readonly ArtifactHead[] = [],
  outputs: Partial<Record<StageName, string>> = {},
): { heads: ArtifactHead[]; ran: string[] } {
  const heads = new Map(before.map((head) => [head.stage, head]));
  const ran: string[] = [];
  for (;;) {
    const stage = nextStale(definitions, heads, undefined);
    const definition = definitions.find((each) => each.stage === stage);
    if (stage === undefined || definition === undefined) return { heads: [...heads.values()], ran };
    const inputs = currentInputs(definition, heads) ?? [{ name: "recording", hash: "recorded" }];
    const key = artifactKey(definition, inputs);
    const { version, paramsHash: params } = definition;
    heads.set(stage, { stage, version, params, key, inputs, output: outputs[stage] ?? `${stage} of ${key}` });
    ran.push(stage);
  }
}

describe("what has to be run", () => {
  test("is everything for a session that has nothing, in order, and then nothing", () => {
    const { heads, ran } = run(CURRENT);
    expect(ran).toEqual(["validate", "redact", "reduce", "score", "assemble"]);
    expect(run(CURRENT, heads).ran).toEqual([]);
  });

  test("is a stage of another version and what follows it", () => {
    const { heads } = run(CURRENT);
    expect(run(at(2, "score"), heads).ran).toEqual(["score", "assemble"]);
    expect(run(at(2, "redact"), heads).ran).toEqual(["redact", "reduce", "score", "assemble"]);
  });

  test("stops where an output did not change", () => {
    const { heads } = run(CURRENT, [], { reduce: "the same" });
    expect(run(at(2, "reduce"), heads, { reduce: "the same" }).ran).toEqual(["reduce"]);
  });

  test("is nothing for a parameter set to what it is by default, and the stage for one set to another", () => {
    const { heads } = run(CURRENT);
    expect(run(define(STAGES, { score: { depth: 3 } }), heads).ran).toEqual([]);
    expect(run(define(STAGES, { score: { words: [], depth: 3 } }), heads).ran).toEqual([]);
    expect(run(define(STAGES, { score: { depth: 4 } }), heads).ran).toEqual(["score", "assemble"]);
  });

  test("is only among the stages allowed", () => {
    const { heads } = run(CURRENT);
    const both = define(
      STAGES.map((each) => (each.name === "validate" || each.name === "score" ? { ...each, version: 2 } : each)),
      {},
    );
    expect(nextStale(both, headsByStage(heads), ["score", "assemble"])).toBe("score");
    expect(nextStale(CURRENT, new Map(), ["score", "assemble"])).toBeUndefined();
  });

  test("is refused when a newer release has been there", () => {
    const { heads } = run(at(3, "reduce"));
    expect(() => nextStale(CURRENT, headsByStage(heads), undefined)).toThrow(
      expect.objectContaining({ code: "failed_precondition", reason: "STAGE_VERSION_BACK" }),
    );
    expect(() => staleUnder(CURRENT, signatureOf(headsByStage(heads)), undefined)).toThrow(
      expect.objectContaining({ reason: "STAGE_VERSION_BACK" }),
    );
  });
});

describe("a session's signature", () => {
  test("names every stage it is fresh under, and leaves out what its inputs have overtaken", () => {
    const { heads } = run(CURRENT);
    const all = headsByStage(heads);
    const params = CURRENT[0]?.paramsHash;
    expect(signatureOf(all)).toBe(
      ["validate", "redact", "reduce", "score", "assemble"].map((stage) => `${stage}:1:${params}`).join(","),
    );
    const reduce = all.get("reduce");
    if (reduce === undefined) throw new Error("reduce did not run");
    const overtaken = new Map([...all, ["reduce", { ...reduce, output: "another" }]]);
    expect(signatureOf(overtaken)).toBe(`validate:1:${params},redact:1:${params},reduce:1:${params}`);
    expect(signatureOf(new Map())).toBe("");
  });

  test("tells what would run as nextStale finds it, session by session", () => {
    const { heads } = run(CURRENT);
    for (const stage of ["validate", "redact", "reduce", "score", "assemble"] as const) {
      const changed = at(2, stage);
      const { certain, possible } = staleUnder(changed, signatureOf(headsByStage(heads)), undefined);
      expect(certain).toEqual([stage]);
      expect([...certain, ...possible]).toEqual(run(changed, heads).ran);
    }
    expect(staleUnder(CURRENT, "", undefined).certain).toEqual(run(CURRENT).ran);
    expect(staleUnder(CURRENT, "", ["score", "assemble"])).toEqual({ certain: [], possible: ["score", "assemble"] });
  });
});

test("canonical JSON is the same for the same value, and refuses what JSON can't say", () => {
  expect(canonicalJson({ b: [1, { d: undefined, c: "é" }], a: 1e21 })).toBe('{"a":1e+21,"b":[1,{"c":"é"}]}');
  for (const bad of [Number.NaN, { a: Number.POSITIVE_INFINITY }, "\ud800", undefined]) {
    expect(() => canonicalJson(bad)).toThrow();
  }
});

test("parameters that don't fit name themselves", () => {
  expect(() => define(STAGES, { score: { depth: "deep" } })).toThrow(
    expect.objectContaining({ reason: "BAD_PIPELINE", message: expect.stringContaining("score.depth") }),
  );
});
