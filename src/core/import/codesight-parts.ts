import { at, isObject, type JsonObject, number, text } from "./lenient.ts";

export function attributesOf(attributes: unknown) {
  if (!isObject(attributes)) return [];
  return Object.entries(attributes)
    .filter(([, value]) => ["string", "number", "boolean"].includes(typeof value))
    .map(([name, value]) => ({ name: name.toWellFormed(), value: String(value).toWellFormed() }));
}

export function boxOf(box: unknown) {
  const x = number(at(box, "x") ?? at(box, "left"));
  const y = number(at(box, "y") ?? at(box, "top"));
  const width = number(at(box, "width"));
  const height = number(at(box, "height"));
  return x === undefined || y === undefined || width === undefined || height === undefined
    ? undefined
    : { x, y, width, height };
}

/** Lower case; "" when it is not told. */
export function tagOf(element: JsonObject | undefined): string {
  return text(element?.tagName, element?.tag).toLowerCase();
}

/** The attributes that are told of elements around the target. */
export function identityOf({ id, className, classes }: JsonObject) {
  const joined = Array.isArray(classes) ? classes.filter((name) => typeof name === "string").join(" ") : "";
  return attributesOf({ id: text(id) || undefined, class: text(className, joined) || undefined });
}
