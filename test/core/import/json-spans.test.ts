import fc from "fast-check";
import { expect, test } from "vitest";
import { elementTexts } from "../../../src/core/import/json-spans.ts";

test("each element is told exactly as it is written", () => {
  const text = ' { "a" : [9], "list":[ {"n": 1.0, "s":"]}\\"" } ,\n[ ] , -2.50e3, "x,]" ,null], "z":{"list":[7]} } ';
  expect(elementTexts(text, "list")).toEqual(['{"n": 1.0, "s":"]}\\"" }', "[ ]", "-2.50e3", '"x,]"', "null"]);
});

test("a key that is absent, is no list, or is further in, has no elements", () => {
  for (const text of ["{}", '{"list":3}', '{"a":{"list":[1]}}', '{"list":[]}', '{"b":"list"}']) {
    expect(elementTexts(text, "list")).toEqual([]);
  }
});

test("for any JSON, however it is laid out, the elements parse to those that JSON.parse gives", () => {
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue()),
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.constantFrom(undefined, 2, "\t"),
      (list, others, indent) => {
        const text = JSON.stringify({ ...others, steps: list }, undefined, indent);
        const parsed: unknown = JSON.parse(text);
        expect({ steps: elementTexts(text, "steps").map((element) => JSON.parse(element)) }).toEqual({
          steps: typeof parsed === "object" && parsed !== null && "steps" in parsed ? parsed.steps : [],
        });
      },
    ),
  );
});
