import { attributesOf, boxOf, identityOf, tagOf } from "./codesight-parts.ts";
import { at, type JsonObject, objects, text } from "./lenient.ts";

/**
 * The elements around the target that held text, each once: several lists tell of the same ones, some
 * with their boxes. Those of the page's outline come last.
 */
export function neighboursOf({ element, contextData, context }: JsonObject) {
  const told = new Set<string>();
  return [
    ...objects(at(element, "siblingElements")),
    ...objects(at(element, "nearbyElements")),
    ...objects(at(contextData, "siblings")),
    ...objects(at(contextData, "nearestClickable")),
    ...objects(at(element, "parentElements")),
    ...outline(at(context, "pageContext", "domSnapshot")),
  ]
    .map(describe)
    .filter(({ tag, text: shown, box }) => {
      const key = `${tag} ${shown}`;
      if (shown === "" || (box === undefined && told.has(key))) return false;
      told.add(key);
      return true;
    });
}

function describe(one: JsonObject) {
  return {
    tag: tagOf(one),
    role: text(one.role, at(one, "attributes", "role")),
    text: text(one.text),
    attributes: one.attributes === undefined ? identityOf(one) : attributesOf(one.attributes),
    box: boxOf(one.boundingBox),
  };
}

/** The nodes of the outline, outer before inner, however deep it is. */
function* outline(root: unknown): Generator<JsonObject> {
  const waiting = objects([root]);
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    yield node;
    waiting.push(...objects(node.children).toReversed());
  }
}
