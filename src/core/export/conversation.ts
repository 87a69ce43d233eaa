import type { Action, StepExample } from "../pipeline/outputs.ts";

// What a model is told and is to answer, in every format that is a conversation.

/** Says which answers there are; the same for every example. */
export const SYSTEM_PROMPT = `You operate a web browser or a computer for a person. You are given a task, what has been done so far, and what is on the screen. Answer with the next action as one JSON object:
{"action": click | double_click | triple_click | type | select | scroll | drag | key | hotkey | navigate | hover | wait | other, "element": {"role", "name"}, "point": [x, y], ...}
"point" and "to" are fractions of the screen from 0,0 at the top left to 1,1 at the bottom right. "text" is what a field holds afterwards, "option" what is chosen, "keys" what is pressed, "url" where to go, "by" the pixels to scroll, "seconds" how long to wait.`;

/** A step as three messages of text; its picture is kept beside them. */
export function messagesOf(step: StepExample): readonly { readonly role: string; readonly content: string }[] {
  return [
    { role: "system", content: SYSTEM_PROMPT },
    { role: "user", content: question(step) },
    { role: "assistant", content: answer(step) },
  ];
}

/** What was to be done, what had been done, and what was seen. */
export function question({ task, history, index, observation }: StepExample): string {
  const { url, title, viewport } = observation;
  const done = history.map((each, at) => `${index - history.length + at + 1}. ${each}`);
  return [
    `Task: ${task === "" ? "not told" : task}`,
    ...(title || url ? [`Page: ${[title, url].filter(Boolean).join(" ")}`] : []),
    ...(viewport ? [`Viewport: ${viewport.width}x${viewport.height}`] : []),
    done.length === 0 ? "Done so far: nothing" : `Done so far:\n${done.join("\n")}`,
    "What is the next action?",
  ].join("\n");
}

/** The action as JSON, its keys always in one order. */
export function answer(step: StepExample): string {
  const { action, fractions } = step;
  const { role, name } = action.element ?? {};
  return JSON.stringify({
    action: action.kind,
    name: action.kind === "other" ? action.name : undefined,
    element: role === undefined && name === undefined ? undefined : { role, name },
    point: pair(fractions?.point),
    to: pair(fractions?.to),
    button:
      action.button === undefined || action.button === 0 ? undefined : action.button === 1 ? "middle" : "secondary",
    ...value(action),
    by: action.delta && [Math.round(action.delta.x), Math.round(action.delta.y)],
    seconds: action.kind === "wait" && action.durationMs ? Number((action.durationMs / 1000).toFixed(1)) : undefined,
  });
}

function pair(point: { readonly x: number; readonly y: number } | undefined): readonly number[] | undefined {
  return point && [point.x, point.y];
}

function value({ kind, value: held, masked }: Action): Record<string, unknown> {
  if (masked === true) return { masked: true };
  if (held === undefined) return {};
  switch (kind) {
    case "select":
      return { option: held };
    case "key":
    case "hotkey":
      return { keys: held };
    case "navigate":
      return { url: held };
    case "type":
      return { text: held };
    default:
      return { value: held };
  }
}
