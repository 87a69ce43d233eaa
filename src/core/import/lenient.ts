/** Reads JSON whose shape can't be relied on: what is of another type is as if it were absent. */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What is at `path` of a value, if objects lead there. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let found = value;
  for (const key of path) found = isObject(found) && Object.hasOwn(found, key) ? found[key] : undefined;
  return found;
}

/** Empty when it is no list. What in it is no object is left out. */
export function objects(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** The first that is a text with something in it; "" when none is. Half a surrogate pair has no UTF-8: it is U+FFFD. */
export function text(...values: readonly unknown[]): string {
  const found = values.find((value) => typeof value === "string" && value !== "");
  return typeof found === "string" ? found.toWellFormed() : "";
}

/** undefined when it is no number, or none that is finite. */
export function number(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/** JSON that was written into a JSON string; undefined when it is no object. */
export function objectIn(value: unknown): JsonObject | undefined {
  if (typeof value !== "string" || !value.trimStart().startsWith("{")) return undefined;
  try {
    const inner: unknown = JSON.parse(value);
    return isObject(inner) ? inner : undefined;
  } catch {
    return undefined;
  }
}
