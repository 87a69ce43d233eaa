import { PageElement, type Root } from "./page.ts";

/**
 * The elements that an XPath finds in a document; undefined when it uses more of the language than
 * recorders write: child and descendant steps by tag, each with a position or an attribute's value.
 */
export function matchXPath(path: string, page: Root): readonly PageElement[] | undefined {
  const steps = parse(path.replace(/^xpath=/, ""));
  if (steps === undefined) return undefined;
  let found: readonly (Root | PageElement)[] = [page];
  for (const step of steps) {
    const next = new Set<PageElement>();
    for (const from of found) for (const element of take(step, from)) next.add(element);
    found = [...next];
  }
  return found.filter((node) => node instanceof PageElement);
}

interface Step {
  readonly isDeep: boolean;
  readonly tag: string;
  readonly position: number | undefined;
  readonly attribute: { readonly name: string; readonly value: string } | undefined;
}

function parse(path: string): Step[] | undefined {
  const steps: Step[] = [];
  const step = /(\/\/?)([\w-]+|\*)(?:\[@([\w-]+)=(?:"([^"]*)"|'([^']*)')\])?(?:\[(\d+)\])?/y;
  while (step.lastIndex < path.length) {
    const parts = step.exec(path);
    if (parts === null) return undefined;
    const [, slashes, tag = "*", name, one, other, position] = parts;
    steps.push({
      isDeep: slashes === "//",
      tag: tag.toLowerCase(),
      position: position === undefined ? undefined : Number(position),
      attribute: name === undefined ? undefined : { name: name.toLowerCase(), value: one ?? other ?? "" },
    });
  }
  return steps.length === 0 ? undefined : steps;
}

/** A position counts among the children of one element, as XPath has it. */
function* take({ isDeep, tag, position, attribute }: Step, from: Root | PageElement): Iterable<PageElement> {
  const parents = isDeep ? [from, ...lightElementsIn(from)] : [from];
  for (const parent of parents) {
    const alike = parent.children.filter(
      (child): child is PageElement =>
        child instanceof PageElement &&
        (tag === "*" || child.name === tag) &&
        (attribute === undefined || child.attribs[attribute.name] === attribute.value),
    );
    if (position === undefined) yield* alike;
    else yield* alike.slice(position - 1, position);
  }
}

/** XPath sees no shadow root. */
function lightElementsIn(top: Root | PageElement): PageElement[] {
  const found: PageElement[] = [];
  const stack: (Root | PageElement)[] = [top];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    for (const child of node.children.toReversed()) if (child instanceof PageElement) stack.push(child);
    if (node !== top && node instanceof PageElement) found.push(node);
  }
  return found;
}
