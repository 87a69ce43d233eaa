import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type SnapshotElement, type SnapshotNode, Snapshots } from "../../../src/core/import/trace/snapshots.ts";

/** HTML of a node, as a person would write it. */
function write(node: SnapshotNode | undefined): string | undefined {
  if (node === undefined) return undefined;
  return "text" in node ? node.text : `<${node.name}>${node.children.map(write).join("")}</${node.name}>`;
}

function add(snapshots: Snapshots, html: unknown, frameId = "f"): string | undefined {
  return write(snapshots.add({ frameId, html }).root);
}

describe("a snapshot of a frame", () => {
  test("has what changed, and the rest from where it was, counted children first", () => {
    const snapshots = new Snapshots();
    // 0 "a", 1 P, 2 "b", 3 Q, 4 BODY
    expect(add(snapshots, ["BODY", {}, ["P", {}, "a"], ["Q", {}, "b"]])).toBe("<BODY><P>a</P><Q>b</Q></BODY>");
    expect(add(snapshots, ["BODY", {}, [[1, 3]], "c"])).toBe("<BODY><Q>b</Q>c</BODY>");
    // Of the one before, its own nodes alone have numbers: 0 "c", 1 BODY.
    expect(add(snapshots, ["BODY", {}, [[2, 1]], [[1, 0]]])).toBe("<BODY><P>a</P>c</BODY>");
    expect(add(snapshots, [[2, 1]])).toBe("<BODY><Q>b</Q>c</BODY>");
  });

  test("is another frame's for itself", () => {
    const snapshots = new Snapshots();
    add(snapshots, ["BODY", {}, "one"], "one");
    add(snapshots, ["BODY", {}, "other"], "other");
    expect(add(snapshots, [[1, 1]], "one")).toBe("<BODY>one</BODY>");
  });

  test("that refers to what never was is none, and what refers into it is whole where that is", () => {
    const snapshots = new Snapshots();
    expect(add(snapshots, ["BODY", {}, ["P", {}, "a"], [[7, 7]]])).toBeUndefined();
    expect(add(snapshots, ["BODY", {}, [[1, 1]]])).toBe("<BODY><P>a</P></BODY>");
    expect(add(snapshots, [[2, 2]])).toBeUndefined();
    expect(add(snapshots, [[-1, 0]])).toBeUndefined();
    for (const html of [null, 7, {}, [], [[]], [["x", 1]], [[1]], "text", [[0, 0]]]) {
      expect(add(new Snapshots(), html)).toBeUndefined();
    }
  });

  test("may be nested as deep as it likes", () => {
    let html: unknown = "deep";
    for (let depth = 0; depth < 200_000; depth += 1) html = ["P", {}, html];
    let node: SnapshotNode | undefined = new Snapshots().add({ frameId: "f", html }).root;
    let depth = 0;
    for (; node !== undefined && "children" in node; depth += 1) node = node.children[0];
    expect(depth).toBe(200_000);
    expect(node).toEqual({ text: "deep" });
  });

  test("keeps of attributes the texts, under any name", () => {
    const { root } = new Snapshots().add({
      frameId: "f",
      html: ["P", { id: "x", n: 7, __proto__: null, "\ud800": "\udc00" }],
    });
    expect(root?.attributes).toEqual({ id: "x", "\uFFFD": "\uFFFD" });
  });
});

describe("a trace of any length", () => {
  /** As Playwright numbers nodes, and refers to them. */
  class Writer {
    readonly #numbers = new Map<SnapshotElement, [snapshot: number, node: number]>();
    #snapshot = -1;

    write(root: SnapshotElement): unknown {
      this.#snapshot += 1;
      let count = 0;
      const visit = (node: SnapshotNode): unknown => {
        if ("text" in node) {
          count += 1;
          return node.text;
        }
        const known = this.#numbers.get(node);
        if (known !== undefined) return [[this.#snapshot - known[0], known[1]]];
        const written = [node.name, {}, ...node.children.map(visit)];
        this.#numbers.set(node, [this.#snapshot, count]);
        count += 1;
        return written;
      };
      return visit(root);
    }
  }

  const page = (...children: SnapshotNode[]): SnapshotElement => ({ name: "BODY", attributes: {}, children });
  const item = (text: string): SnapshotElement => ({ name: "LI", attributes: {}, children: [{ text }] });

  test("is resolved as it was written, whatever is forgotten of what is not shown", () => {
    const edit = fc.record({ at: fc.nat(9), text: fc.string({ maxLength: 3 }) });
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 60 }), (edits) => {
        const writer = new Writer();
        // Room for the page twice: most of what was is forgotten.
        const snapshots = new Snapshots(50);
        const shown = Array.from({ length: 10 }, (_, at) => item(String(at)));
        for (const { at, text } of edits) {
          shown[at] = item(text);
          const root = page(...shown);
          expect(add(snapshots, writer.write(root))).toBe(write(root));
        }
      }),
    );
  });

  test("forgets what is not shown any more when there is no room", () => {
    const items = (from: string) => Array.from({ length: 40 }, (_, at) => ["LI", {}, `${from}${at}`]);
    const snapshots = new Snapshots(100);
    add(snapshots, ["BODY", {}, ...items("a")]);
    expect(add(snapshots, ["BODY", {}, [[1, 1]], ...items("b")])).toBeDefined();
    expect(add(snapshots, ["BODY", {}, [[2, 1]]])).toBe("<BODY><LI>a0</LI></BODY>");
    expect(add(snapshots, ["BODY", {}, [[3, 3]]])).toBeUndefined();
    const roomy = new Snapshots(1_000);
    for (const from of ["a", "b", "c"]) add(roomy, ["BODY", {}, ...items(from)]);
    expect(add(roomy, ["BODY", {}, [[3, 3]]])).toBe("<BODY><LI>a1</LI></BODY>");
  });

  test("forgets a page that was left when there is no room, and says that it has none", () => {
    const snapshots = new Snapshots(100);
    const items = Array.from({ length: 40 }, (_, at) => ["LI", {}, String(at)]);
    expect(add(snapshots, ["BODY", {}, ...items], "left")).toBeDefined();
    expect(add(snapshots, ["BODY", {}, ...items], "now")).toBeDefined();
    expect(add(snapshots, [[1, 80]], "left")).toBeUndefined();
  });
});
