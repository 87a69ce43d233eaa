import type { DescField, DescMessage, JsonValue } from "@bufbuild/protobuf";
import { fromJson } from "@bufbuild/protobuf";

/**
 * Finds the first field that keeps `json` from being a message of `schema`, so that an error can
 * name it. The library's own messages leave out the path and hold the value; these do neither.
 */
export function findDefect(schema: DescMessage, json: JsonValue, path = ""): FieldDefect {
  if (!isObject(json)) return { path, problem: `expected an object, a ${schema.name}` };
  const seen = new Set<string>();
  for (const [key, value] of Object.entries(json)) {
    const at = path === "" ? key : `${path}.${key}`;
    const field = schema.fields.find((candidate) => candidate.jsonName === key || candidate.name === key);
    if (field === undefined) return { path: at, problem: `a ${schema.name} has no such field` };
    if (seen.has(field.name)) return { path: at, problem: "the field is given twice" };
    seen.add(field.name);
    if (value !== undefined && !isValid(schema, key, value)) return describe(schema, field, key, value, at);
  }
  return { path, problem: `not a valid ${schema.name}` };
}

export interface FieldDefect {
  /** Empty for the message as a whole. */
  readonly path: string;
  readonly problem: string;
}

function describe(schema: DescMessage, field: DescField, key: string, value: JsonValue, path: string): FieldDefect {
  switch (field.fieldKind) {
    case "message":
      return findDefect(field.message, value, path);
    case "enum":
      return { path, problem: `not one of the values of ${field.enum.name}` };
    case "list": {
      if (!Array.isArray(value)) return { path, problem: "expected a list" };
      const index = value.findIndex((item) => !isValid(schema, key, [item]));
      const item = value[index];
      const at = `${path}[${index}]`;
      if (field.message !== undefined && item !== undefined) return findDefect(field.message, item, at);
      return { path: at, problem: "not a valid value" };
    }
    default:
      return { path, problem: "not a valid value for this field" };
  }
}

function isValid(schema: DescMessage, key: string, value: JsonValue): boolean {
  try {
    fromJson(schema, { [key]: value });
    return true;
  } catch {
    return false;
  }
}

function isObject(json: JsonValue): json is { [key: string]: JsonValue } {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
