import type { Action, ActionTarget } from "../outputs.ts";
import type { Point } from "../recorded.ts";

/**
 * The action in one line: kind(name=value …). Texts are JSON strings, so that whatever stands in
 * them, the line can be read back; places are whole pixels.
 */
export function actionText(action: Action): string {
  return `${action.kind}(${words(action)
    .filter((word) => word !== "")
    .join(" ")})`;
}

function words(action: Action): readonly string[] {
  const { kind, point, to, delta, value, durationMs = 0, name } = action;
  switch (kind) {
    case "click":
      return [aim(action), button(action), clicks(action), held(durationMs), filled("value", action)];
    case "double_click":
    case "triple_click":
      return [aim(action), button(action)];
    case "type":
      return [aim(action), filled("text", action)];
    case "select":
      return [aim(action), filled("option", action)];
    case "drag":
      return [element(action), place("from", point), place("to", to), button(action), filled("value", action)];
    case "scroll":
      return [element(action), place("by", delta)];
    case "hover":
      return [aim(action)];
    case "key":
    case "hotkey":
      return [text("keys", value)];
    case "navigate":
      return [text("url", value)];
    case "wait":
      return [durationMs === 0 ? "" : `seconds=${Number((durationMs / 1000).toFixed(1))}`];
    case "other":
      return [text("name", name), aim(action)];
    default:
      return kind satisfies never;
  }
}

/** The element; where none is known, the place. */
function aim(action: Action): string {
  return element(action) || place("at", action.point);
}

/** Role and name; else the best way there is to find it, rather one that says something than one that counts tags. */
function element({ element: told, targets }: Action): string {
  const { role, name } = told ?? {};
  // A role is a word, unless a page says otherwise.
  const kind = role !== undefined && /^[a-z]+$/i.test(role) ? `role=${role}` : text("role", role);
  if (role !== undefined && name !== undefined) return `${kind} ${text("name", name)}`;
  const best = targets.find((each) => SPEAKING.has(each.kind)) ?? targets.find((each) => COUNTING.has(each.kind));
  return [kind, best === undefined ? "" : target(best)].filter((word) => word !== "").join(" ");
}

const SPEAKING: ReadonlySet<ActionTarget["kind"]> = new Set(["test_id", "id", "aria", "text"]);
const COUNTING: ReadonlySet<ActionTarget["kind"]> = new Set(["css", "xpath"]);

const target = ({ kind, value }: ActionTarget): string => text(kind, value);

function text(name: string, value: string | undefined): string {
  return value === undefined ? "" : `${name}=${JSON.stringify(value)}`;
}

/** What a field then holds; of a masked value only that there is one. */
function filled(name: string, { value, masked }: Action): string {
  return masked === true ? `${name}=masked` : text(name, value);
}

function place(name: string, point: Point | undefined): string {
  return point === undefined ? "" : `${name}=${Math.round(point.x)},${Math.round(point.y)}`;
}

function button({ button: pressed }: Action): string {
  if (pressed === 1) return "button=middle";
  return pressed === 2 ? "button=secondary" : "";
}

const clicks = ({ clicks: count }: Action): string => (count === undefined ? "" : `clicks=${count}`);
const held = (ms: number): string => (ms === 0 ? "" : `seconds=${Number((ms / 1000).toFixed(1))}`);
