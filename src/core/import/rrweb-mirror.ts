import { type ChildNode, Comment, hasChildren, Text } from "domhandler";
import { appendChild, prepend, removeElement } from "domutils";
import { PageElement, Root } from "./dom/page.ts";
import { at, isObject, type JsonObject, number, objects, text } from "./lenient.ts";

/** A node as rrweb numbers it, with what its attributes don't tell. */
interface Mirrored {
  readonly node: Root | ChildNode;
  /** What a field holds. */
  value?: string;
  checked?: boolean;
  /** Where it is scrolled to. */
  scroll: { readonly x: number; readonly y: number };
  readonly weight: number;
}

/**
 * A page as rrweb's snapshots and changes tell it. What refers to a node that is not there changes
 * nothing, as in rrweb's own replayer. Styles, images and canvases are left out. A page of more than
 * `maxWeight` characters is given up: nothing is known of it until its next snapshot.
 */
export class Mirror {
  readonly #maxWeight: number;
  readonly #nodes = new Map<number, Mirrored>();
  readonly #ids = new WeakMap<Root | ChildNode, number>();
  #weight = 0;
  #isGivenUp = false;
  #document: Root | undefined;

  constructor(maxWeight: number) {
    this.#maxWeight = maxWeight;
  }

  /** undefined until a snapshot was seen. */
  get document(): Root | undefined {
    return this.#document;
  }

  element(id: unknown): PageElement | undefined {
    const node = this.#get(id)?.node;
    // A document is scrolled as its outermost element; in a frame, as the frame.
    if (node instanceof Root) return node.frame ?? node.children.find((child) => child instanceof PageElement);
    return node instanceof PageElement ? node : undefined;
  }

  /** What is known of a node besides its place in the tree, to be read and changed. */
  state(id: unknown): Pick<Mirrored, "value" | "checked" | "scroll"> | undefined {
    return this.#get(id);
  }

  /** Where the whole page is scrolled to. */
  get scroll(): Mirrored["scroll"] {
    return this.#get(this.#document && this.#ids.get(this.#document))?.scroll ?? { x: 0, y: 0 };
  }

  /** Begins anew with a whole page. */
  snapshot(data: JsonObject): void {
    this.#clear();
    this.#isGivenUp = false;
    if (!isObject(data.node)) return;
    const node = this.#build(data.node);
    if (this.#isGivenUp) return;
    this.#document = node instanceof Root ? node : undefined;
    const top = this.#get(number(data.node.id));
    if (top) top.scroll = offset(at(data, "initialOffset", "left"), at(data, "initialOffset", "top"));
  }

  /** What was taken out, put in and changed, in the order in which rrweb's replayer takes it. */
  mutate(data: JsonObject): void {
    for (const { id } of objects(data.removes)) this.#remove(id);
    this.#addAll(objects(data.adds));
    for (const { id, value } of objects(data.texts)) {
      const node = this.#get(id)?.node;
      if (node instanceof Text) node.data = text(value);
    }
    for (const { id, attributes } of objects(data.attributes)) {
      const mirrored = this.#get(id);
      if (mirrored && isObject(attributes)) this.#change(mirrored, attributes);
    }
  }

  #get(id: unknown): Mirrored | undefined {
    return typeof id === "number" ? this.#nodes.get(id) : undefined;
  }

  #clear(): void {
    this.#nodes.clear();
    this.#document = undefined;
    this.#weight = 0;
  }

  #giveUp(): void {
    this.#clear();
    this.#isGivenUp = true;
  }

  /** A node may be told before its parent or its next sibling: those wait until there is nothing left to wait for. */
  #addAll(adds: readonly JsonObject[]): void {
    let waiting = adds;
    while (waiting.length > 0) {
      const left = waiting.filter((add) => !this.#isPlaced(add) || !this.#add(add));
      if (left.length === waiting.length) break;
      waiting = left;
    }
    // Siblings that never came: at the end of their parent, then.
    for (const add of waiting) this.#add(add);
  }

  #isPlaced({ parentId, nextId }: JsonObject): boolean {
    return this.#get(parentId) !== undefined && (typeof nextId !== "number" || this.#get(nextId) !== undefined);
  }

  #add({ parentId, nextId, node: told }: JsonObject): boolean {
    const parent = this.#get(parentId)?.node;
    if (!isObject(told) || !(parent instanceof PageElement || parent instanceof Root)) return false;
    const known = this.#get(told.id)?.node;
    if (known !== undefined && isWithin(parent, known)) return false;
    // One that is moved comes as a node of its own, and what is in it may come after it.
    const node = known !== undefined && objects(told.childNodes).length === 0 ? known : this.#build(told);
    if (node === undefined) return false;
    this.#place(parent, node, told, this.#get(nextId)?.node);
    return true;
  }

  #place(parent: PageElement | Root, node: Root | ChildNode, told: JsonObject, next?: Root | ChildNode): void {
    if (node instanceof Root) {
      if (!(parent instanceof PageElement)) return;
      this.#forgetTree(parent.content);
      parent.content = node;
      node.frame = parent;
      return;
    }
    const into = told.isShadow === true && parent instanceof PageElement ? shadowOf(parent) : parent;
    removeElement(node);
    if (next !== undefined && !(next instanceof Root) && next.parent === into && next !== node) prepend(next, node);
    else appendChild(into, node);
  }

  #remove(id: unknown): void {
    const node = this.#get(id)?.node;
    if (node === undefined) return;
    if (node instanceof Root) {
      if (node.frame?.content === node) node.frame.content = undefined;
    } else {
      removeElement(node);
    }
    this.#forgetTree(node);
  }

  /** The node and all in it, which comes in the same form. */
  #build(told: JsonObject): Root | ChildNode | undefined {
    const top = this.#make(told);
    const stack = top === undefined ? [] : [{ node: top, told }];
    for (let open = stack.pop(); open !== undefined; open = stack.pop()) {
      const { node } = open;
      if (!(node instanceof PageElement || node instanceof Root)) continue;
      for (const child of objects(open.told.childNodes)) {
        const made = this.#make(child);
        if (made === undefined) continue;
        this.#place(node, made, child);
        stack.push({ node: made, told: child });
      }
    }
    return top;
  }

  #make(told: JsonObject): Root | ChildNode | undefined {
    const id = number(told.id);
    if (id === undefined || this.#isGivenUp) return undefined;
    const node = makeNode(told);
    if (node === undefined) return undefined;
    const old = this.#nodes.get(id);
    // A number used again is another node from here on.
    if (old !== undefined && !(old.node instanceof Root)) removeElement(old.node);
    if (old !== undefined) this.#forgetTree(old.node);
    const weight = node instanceof PageElement ? weightOf(node) : node instanceof Text ? node.data.length : 0;
    const mirrored: Mirrored = { node, scroll: { x: 0, y: 0 }, weight: weight + NODE_WEIGHT };
    this.#nodes.set(id, mirrored);
    this.#ids.set(node, id);
    this.#weight += mirrored.weight;
    if (isObject(told.attributes)) this.#remember(mirrored, told.attributes);
    if (this.#weight > this.#maxWeight) this.#giveUp();
    return node;
  }

  #remember(mirrored: Mirrored, attributes: JsonObject): void {
    const { node } = mirrored;
    mirrored.scroll = offset(attributes.rr_scrollLeft, attributes.rr_scrollTop);
    if (!(node instanceof PageElement) || !HOLDS.has(node.name)) return;
    if (typeof attributes.value === "string") mirrored.value = text(attributes.value);
    mirrored.checked = attributes.checked === true || attributes.checked === "";
  }

  #change(mirrored: Mirrored, attributes: JsonObject): void {
    const { node } = mirrored;
    if (!(node instanceof PageElement)) return;
    for (const [name, told] of Object.entries(attributes)) {
      if (isState(node.name, name, node.attribs.type)) {
        if (name === "value" && typeof told === "string") mirrored.value = text(told);
        continue;
      }
      const value = attributeValue(name, told);
      const key = name.toLowerCase();
      if (value !== undefined) node.attribs[key] = value;
      else if (told === null) delete node.attribs[key];
    }
  }

  #forgetTree(top: Root | ChildNode | undefined): void {
    const stack: (Root | ChildNode)[] = top === undefined ? [] : [top];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      const id = this.#ids.get(node);
      const mirrored = this.#get(id);
      if (id !== undefined && mirrored?.node === node) {
        this.#nodes.delete(id);
        this.#weight -= mirrored.weight;
      }
      if (hasChildren(node)) for (const child of node.children) stack.push(child);
      if (node instanceof PageElement) for (const root of [node.shadow, node.content]) if (root) stack.push(root);
    }
  }
}

function makeNode(told: JsonObject): Root | ChildNode | undefined {
  switch (told.type) {
    case DOCUMENT:
      return new Root([]);
    case ELEMENT: {
      const attributes = Object.entries(isObject(told.attributes) ? told.attributes : {});
      const tag = text(told.tagName).toLowerCase();
      const type = attributes.find(([name]) => name === "type")?.[1];
      const kept = attributes.flatMap(([name, value]) => {
        const plain = attributeValue(name, value);
        return plain === undefined || isState(tag, name, type) ? [] : [[name.toLowerCase(), plain] as const];
      });
      return new PageElement(tag === "" ? "unknown" : tag, kept);
    }
    case TEXT:
    case CDATA:
      return new Text(told.isStyle === true ? "" : text(told.textContent));
    case DOCTYPE:
    case COMMENT:
      return new Comment("");
    default:
      return undefined;
  }
}

const DOCUMENT = 0;
const DOCTYPE = 1;
const ELEMENT = 2;
const TEXT = 3;
const CDATA = 4;
const COMMENT = 5;

/** As HTML would have it; undefined of what is no attribute of the page, or is content. */
function attributeValue(name: string, value: unknown): string | undefined {
  if (name.startsWith("rr_") || name === "_cssText") return undefined;
  if (value === true) return "";
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value.length <= MAX_ATTRIBUTE ? value.toWellFormed() : undefined;
}

/** rrweb writes what a field holds, and which option is chosen, as attributes. */
function isState(tag: string, name: string, type: unknown): boolean {
  if (name === "checked" || name === "selected") return true;
  if (name !== "value" || !HOLDS.has(tag)) return false;
  return tag !== "input" || typeof type !== "string" || !OWN_VALUE.has(type.toLowerCase());
}

const HOLDS: ReadonlySet<string> = new Set(["input", "select", "textarea"]);
/** Fields whose value is what the page's author wrote. */
const OWN_VALUE: ReadonlySet<string> = new Set(["button", "checkbox", "hidden", "image", "radio", "reset", "submit"]);

function shadowOf(host: PageElement): Root {
  if (host.shadow === undefined) {
    host.shadow = new Root([]);
    host.shadow.host = host;
  }
  return host.shadow;
}

/** Whether `inner` is `outer` or in it. */
function isWithin(inner: PageElement | Root, outer: Root | ChildNode): boolean {
  let node: Root | ChildNode | null | undefined = inner;
  while (node) {
    if (node === outer) return true;
    node = node instanceof Root ? (node.host ?? node.frame) : node.parent;
  }
  return false;
}

function offset(x: unknown, y: unknown): { readonly x: number; readonly y: number } {
  return { x: number(x) ?? 0, y: number(y) ?? 0 };
}

function weightOf({ name, attribs }: PageElement): number {
  return Object.entries(attribs).reduce((sum, [key, value]) => sum + key.length + value.length, name.length);
}

/** Images and styles are written into attributes. */
const MAX_ATTRIBUTE = 4096;
/** About what a node takes by itself. */
const NODE_WEIGHT = 200;
