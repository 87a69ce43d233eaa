import { type AnyNode, Document, Element, isText, type ParentNode } from "domhandler";

/** The tree of a document or of a shadow root. */
export class Root extends Document {
  /** Of a shadow root, the element it belongs to. */
  host: PageElement | undefined;
  /** Of the document in a frame, the frame. */
  frame: PageElement | undefined;
}

/** An element of a recorded page. Names of tags and attributes are in lower case. */
export class PageElement extends Element {
  shadow: Root | undefined;
  /** Of a frame, the document in it, where that was recorded. */
  content: Root | undefined;

  constructor(tag: string, attributes: Iterable<readonly [name: string, value: string]>) {
    // Without a prototype: a recorded attribute may have any name.
    super(tag, Object.assign(Object.create(null), Object.fromEntries(attributes)));
  }
}

/** The document that an element is in, out of all shadow roots; undefined when it was taken out of the page. */
export function documentOf(element: PageElement): Root | undefined {
  let node: PageElement | undefined = element;
  while (node !== undefined) {
    const root = rootOf(node);
    if (root?.host === undefined) return root;
    node = root.host;
  }
  return undefined;
}

/** The tree it is in; undefined when it was taken out of it. */
export function rootOf(element: PageElement): Root | undefined {
  let node: ParentNode | null = element;
  while (node !== null && !(node instanceof Root)) node = node.parent;
  return node ?? undefined;
}

/** The element around it, out of shadow roots too. */
export function parentOf(element: PageElement): PageElement | undefined {
  const { parent } = element;
  if (parent instanceof PageElement) return parent;
  return parent instanceof Root ? parent.host : undefined;
}

export function* ancestorsOf(element: PageElement): Iterable<PageElement> {
  for (let node = parentOf(element); node !== undefined; node = parentOf(node)) yield node;
}

/** Every element in it in document order, those of its shadow roots too, those of frames not. */
export function* elementsIn(top: Root | PageElement): Iterable<PageElement> {
  for (const node of nodesIn(top)) if (node instanceof PageElement) yield node;
}

/** The same, all at once. */
export function allElementsIn(top: Root | PageElement): PageElement[] {
  const found: PageElement[] = [];
  const stack: AnyNode[] = [];
  pushChildren(stack, top);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (!(node instanceof PageElement)) continue;
    found.push(node);
    pushChildren(stack, node);
  }
  return found;
}

/** Every text in it that can be seen on a page. */
export function* textsIn(top: Root | PageElement): Iterable<{ readonly text: string; readonly parent: PageElement }> {
  if (top instanceof PageElement && UNSEEN.has(top.name)) return;
  for (const node of nodesIn(top, UNSEEN)) {
    if (isText(node) && node.parent instanceof PageElement) yield { text: node.data, parent: node.parent };
  }
}

/** What is inside an element of these is no text of the page; what a field holds is its value. */
const UNSEEN: ReadonlySet<string> = new Set(["head", "noscript", "script", "style", "template", "textarea", "title"]);

function* nodesIn(top: Root | PageElement, without: ReadonlySet<string> = new Set()): Iterable<AnyNode> {
  // A stack, not calls: a page may be nested deeper than calls can.
  const stack: AnyNode[] = [];
  pushChildren(stack, top);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    yield node;
    if (node instanceof PageElement && !without.has(node.name)) pushChildren(stack, node);
  }
}

/** Last first; a shadow root stands before the children that are put into it. */
function pushChildren(stack: AnyNode[], node: Root | PageElement): void {
  for (let index = node.children.length - 1; index >= 0; index -= 1) {
    const child = node.children[index];
    if (child !== undefined) stack.push(child);
  }
  if (node instanceof PageElement && node.shadow !== undefined) pushChildren(stack, node.shadow);
}

/**
 * The text of an element as a page shows it, blanks run together; what styles hide is not known, and
 * is there. At most `most` characters.
 */
export function textOf(element: PageElement, most: number): string {
  let text = "";
  let block: PageElement | undefined;
  for (const { text: part, parent } of textsIn(element)) {
    const own = blockAround(parent, element);
    // Between a cell and the next, or a paragraph, there is room though no blank is written.
    text = squeeze(own === block ? text + part : `${text} ${part}`);
    block = own;
    if (text.length > most) break;
  }
  return text.trim().slice(0, most).toWellFormed();
}

export function squeeze(text: string): string {
  return text.replace(/\s+/g, " ");
}

function blockAround(from: PageElement, top: PageElement): PageElement {
  let node: PageElement | undefined = from;
  while (node !== undefined && node !== top && INLINE.has(node.name)) node = parentOf(node);
  return node ?? top;
}

const INLINE: ReadonlySet<string> = new Set(
  "a abbr b bdi bdo cite code data dfn em font i kbd label mark q s samp small span strong sub sup time u var wbr".split(
    " ",
  ),
);
