import { SelectorKind } from "../../wire/gen/sluice/v1/event_pb.ts";
import { attributesOf, boxOf, identityOf, tagOf } from "./codesight-parts.ts";
import { at, isObject, type JsonObject, number, objects, text } from "./lenient.ts";

/** The element an interaction happened to, out of the groups that describe it; undefined when none does. */
export function targetOf(record: JsonObject) {
  const { element, elementDetails: details } = record;
  const target = {
    selectors: selectorsOf(record),
    role: text(at(element, "attributes", "role")),
    // By the rules for accessible names these win, if there is no aria-labelledby.
    name: text(at(element, "attributes", "aria-label"), at(element, "attributes", "alt")),
    text: longer(text(at(element, "text")), text(at(details, "text"))),
    tag: text(at(element, "tag"), at(details, "tag")).toLowerCase(),
    attributes: attributesOf(at(element, "attributes") ?? at(details, "attributes")),
    box: boxOf(at(record, "visual", "boundingBox")) ?? boxOf(at(details, "boundingBox")),
    ancestors: ancestorsOf(record),
  };
  const says = Object.values(target).some((part) => part !== undefined && !isEmpty(part));
  return says ? target : undefined;
}

function isEmpty(part: object | string): boolean {
  return (typeof part === "string" || Array.isArray(part)) && part.length === 0;
}

/** The same text is recorded twice, cut off at different lengths. */
function longer(one: string, other: string): string {
  return other.length > one.length ? other : one;
}

/** Best first, as CodeSight judged them; of those it judged alike, its primary one first. */
function selectorsOf({ selectors, elementDetails: details }: JsonObject) {
  const reliability = at(selectors, "reliability");
  const alternatives = at(selectors, "alternatives");
  const values = [
    at(selectors, "primary"),
    ...(Array.isArray(alternatives) ? alternatives : []),
    at(selectors, "cssPath"),
    at(selectors, "xpath"),
    ...(isObject(reliability) ? Object.keys(reliability) : []),
    at(details, "cssSelector"),
    at(details, "xpath"),
  ].map((value) => text(value));
  return [...new Set(values)]
    .filter((value) => value !== "")
    .map((value) => ({ kind: kindOf(value), value, reliability: number(at(reliability, value)) ?? 0 }))
    .toSorted((a, b) => b.reliability - a.reliability);
}

function kindOf(selector: string): SelectorKind {
  if (/^\(?\//.test(selector)) return SelectorKind.XPATH;
  // jQuery's, in the middle of what else is CSS: no browser takes it.
  return selector.includes(":contains(") ? SelectorKind.UNSPECIFIED : SelectorKind.CSS;
}

/** Two lists of the same elements: one goes further out, the other knows roles. */
function ancestorsOf({ element, contextData }: JsonObject) {
  const parents = objects(at(element, "parentElements"));
  const further = objects(at(contextData, "ancestors"));
  const [list, other] = further.length >= parents.length ? [further, parents] : [parents, further];
  return list.map((one, level) => {
    const tag = tagOf(one);
    const twin = tagOf(other[level]) === tag ? other[level] : undefined;
    return { tag, role: text(one.role, twin?.role), attributes: identityOf(one) };
  });
}
