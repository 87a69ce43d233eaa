import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AncestorSchema, BoxSchema, ElementSchema, TargetSchema } from "../../../wire/gen/sluice/v1/event_pb.ts";
import { at, type JsonObject, number, objects, text } from "../lenient.ts";

/** Trees of accessible elements as Windows' UI Automation has them: Name, ControlType, BoundingRectangle, Children. */

type Box = Required<Pick<MessageInitShape<typeof BoxSchema>, "x" | "y" | "width" | "height">>;

/**
 * The element at a place: the innermost that has a name, or else the innermost, with what it stands
 * in. undefined where the tree is not around the place: the recorder asked for another one, as where
 * the screen is scaled and the two count its pixels otherwise.
 */
export function targetAt(
  tree: JsonObject,
  place: { readonly x: number; readonly y: number },
): MessageInitShape<typeof TargetSchema> | undefined {
  const path: JsonObject[] = [];
  for (let node: JsonObject | undefined = holds(tree, place) ? tree : undefined; node !== undefined; ) {
    path.unshift(node);
    const inner: JsonObject[] = objects(node.Children).filter((child) => holds(child, place));
    node = inner.toSorted((a, b) => areaOf(a) - areaOf(b))[0];
    if (path.length > MAX_DEPTH) return undefined;
  }
  const index = Math.max(
    0,
    path.findIndex((node) => nameOf(node) !== ""),
  );
  const found = path[index];
  if (found === undefined) return undefined;
  const box = boxOf(found);
  return { ...described(found), ...(box && { box }), ancestors: path.slice(index + 1).map(described) };
}

/** Those of a tree that have a name, in its order. */
export function elementsIn(tree: JsonObject): MessageInitShape<typeof ElementSchema>[] {
  const found: MessageInitShape<typeof ElementSchema>[] = [];
  let bytes = 0;
  const waiting = [tree];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    for (const child of objects(node.Children).toReversed()) waiting.push(child);
    if (nameOf(node) === "") continue;
    const box = boxOf(node);
    const told = { ...described(node), ...(box && areaOf(node) > 0 && { box }) };
    bytes += Buffer.byteLength(JSON.stringify(told));
    if (bytes > MAX_BYTES) break;
    found.push(told);
  }
  return found;
}

function described(node: JsonObject): Pick<MessageInitShape<typeof AncestorSchema>, "role" | "name" | "attributes"> {
  const type = text(node.ControlType);
  const role = ROLES.get(type);
  return {
    ...(role !== undefined && { role }),
    name: nameOf(node),
    attributes: type === "" ? [] : [{ name: "control_type", value: type.slice(0, MAX_TEXT).toWellFormed() }],
  };
}

function nameOf(node: JsonObject): string {
  return text(node.Name).slice(0, MAX_TEXT).toWellFormed();
}

function boxOf(node: JsonObject): Box | undefined {
  const [left, top, right, bottom] = ["left", "top", "right", "bottom"].map((side) =>
    number(at(node, "BoundingRectangle", side)),
  );
  if (left === undefined || top === undefined || right === undefined || bottom === undefined) return undefined;
  return { x: left, y: top, width: right - left, height: bottom - top };
}

function holds(node: JsonObject, { x, y }: { readonly x: number; readonly y: number }): boolean {
  const box = boxOf(node);
  return box !== undefined && x >= box.x && y >= box.y && x <= box.x + box.width && y <= box.y + box.height;
}

function areaOf(node: JsonObject): number {
  const { width, height } = boxOf(node) ?? { width: 0, height: 0 };
  return width * height;
}

/** Roles as Core-AAM maps them to control types; a type that several roles have, or none, has none here. */
const ROLES: ReadonlyMap<string, string> = new Map([
  ["ButtonControl", "button"],
  ["CheckBoxControl", "checkbox"],
  ["ComboBoxControl", "combobox"],
  ["DocumentControl", "document"],
  ["EditControl", "textbox"],
  ["GroupControl", "group"],
  ["HyperlinkControl", "link"],
  ["ImageControl", "img"],
  ["ListControl", "list"],
  ["ListItemControl", "listitem"],
  ["MenuBarControl", "menubar"],
  ["MenuControl", "menu"],
  ["MenuItemControl", "menuitem"],
  ["ProgressBarControl", "progressbar"],
  ["RadioButtonControl", "radio"],
  ["ScrollBarControl", "scrollbar"],
  ["SeparatorControl", "separator"],
  ["SliderControl", "slider"],
  ["SpinnerControl", "spinbutton"],
  ["StatusBarControl", "status"],
  ["TabControl", "tablist"],
  ["TabItemControl", "tab"],
  ["TableControl", "table"],
  ["ToolBarControl", "toolbar"],
  ["ToolTipControl", "tooltip"],
  ["TreeControl", "tree"],
  ["TreeItemControl", "treeitem"],
]);

const MAX_DEPTH = 256;
/** Of one name, in characters. */
const MAX_TEXT = 2_000;
/** Of one event's elements; the daemon takes 1 MiB. */
const MAX_BYTES = 192 * 1024;
