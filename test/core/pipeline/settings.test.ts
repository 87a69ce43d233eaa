import { describe, expect, test } from "vitest";
import { Pipeline } from "../../../src/core/pipeline/pipeline.ts";
import { parseSettings, readPipelineSettings } from "../../../src/core/pipeline/settings.ts";
import { smallStages } from "./small-stages.ts";

const problem = (text: string): string => {
  try {
    parseSettings(text, "pipeline.yaml");
  } catch (error) {
    if (error instanceof Error) return error.message;
  }
  return "none";
};

describe("pipeline.yaml", () => {
  test("sets parameters for all projects and for single ones, key by key", () => {
    const settings = parseSettings(
      "stages: {score: {plus: 1}, reduce: {plus: 5}}\nprojects: {acme: {score: {plus: 2}}}\n",
      "x",
    );
    const pipeline = new Pipeline(smallStages(), settings);
    const plus = (project: string, stage: string) =>
      pipeline.definitions(project).find((each) => each.stage === stage)?.paramsJson;
    expect(plus("other", "score")).toBe('{"plus":1}');
    expect(plus("acme", "score")).toBe('{"plus":2}');
    expect(plus("acme", "reduce")).toBe('{"plus":5}');
    expect(plus("acme", "redact")).toBe('{"plus":0}');
    expect(plus("constructor", "score")).toBe('{"plus":1}');
  });

  test("may be empty, or not there unless it was asked for", async () => {
    expect(parseSettings("", "x")).toEqual({ stages: {}, projects: {} });
    await expect(readPipelineSettings("/nowhere/pipeline.yaml")).rejects.toMatchObject({
      code: "invalid_argument",
      reason: "BAD_PIPELINE",
    });
  });

  test("names what is wrong and what was likely meant", () => {
    expect(problem("stages: {scor: {}}")).toContain("scor (did you mean score?) in stages");
    expect(problem("projects: {acme: {redac: {}}}")).toContain("redac (did you mean redact?) in projects.acme");
    expect(problem("stage: {}")).toContain("stage (did you mean stages?)");
    expect(problem("stages: [1]")).toContain("stages: ");
    expect(problem("stages: {score: 5}")).toContain("stages.score: ");
    expect(problem("{")).toContain("pipeline.yaml");
    expect(() => new Pipeline(smallStages(), parseSettings("projects: {acme: {score: {plus: high}}}", "x"))).toThrow(
      expect.objectContaining({ reason: "BAD_PIPELINE", message: expect.stringContaining("score.plus") }),
    );
  });
});
