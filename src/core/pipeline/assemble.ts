import { z } from "zod";
import { actionText } from "./assemble/action-text.ts";
import type { Action, AssembleOutput, Fractions, ReduceOutput, ScoreOutput, StepExample } from "./outputs.ts";
import type { Point, Size } from "./recorded.ts";
import type { Stage } from "./stage.ts";

const PARAMS = z.strictObject({
  /** How many of the actions before a step stand in its history. */
  history: z.number().int().min(0).max(1000).default(10),
});

type Params = z.output<typeof PARAMS>;

/** Actions to training examples: one a step and one a session, in a neutral form. */
export const assemble: Stage<"assemble", "reduce" | "score", typeof PARAMS> = {
  name: "assemble",
  version: 1,
  inputs: ["reduce", "score"],
  params: PARAMS,
  run: ({ reduce, score }, params) => assembleSession(reduce, score, params),
};

function assembleSession({ session, actions }: ReduceOutput, score: ScoreOutput, { history }: Params): AssembleOutput {
  const { id, task, startUrl, collector, userAgent, labels } = session;
  const texts = actions.map(actionText);
  const steps = actions.map((action, index): StepExample => {
    const fractions = fractionsOf(action);
    return {
      id: `${id}/${index}`,
      session: id,
      index,
      task,
      observation: observationOf(action),
      history: texts.slice(Math.max(0, index - history), index),
      action,
      text: texts[index] ?? "",
      ...(fractions && { fractions }),
    };
  });
  const { overall, dimensions } = score;
  const facts = { id, task, startUrl, score: overall, dimensions, steps: steps.length };
  return { session: { ...facts, collector, userAgent, labels }, steps };
}

function observationOf({ page, screenshot }: Action): StepExample["observation"] {
  return {
    ...(page && { url: page.url, title: page.title }),
    ...(page?.viewport && { viewport: page.viewport }),
    ...(screenshot && { screenshot }),
  };
}

/** Of the viewport; of the screenshot where there is no page, as on a whole screen. */
function fractionsOf({ page, screenshot, point, to, box }: Action): Fractions | undefined {
  const size = page?.viewport ?? (page === undefined ? screenshot?.size : undefined);
  if (size === undefined || size.width <= 0 || size.height <= 0) return undefined;
  const fractions = {
    ...(point && { point: scaled(point, size) }),
    ...(to && { to: scaled(to, size) }),
    ...(box && {
      box: {
        ...scaled(box, size),
        width: toDecimals(box.width / size.width),
        height: toDecimals(box.height / size.height),
      },
    }),
  };
  return Object.keys(fractions).length === 0 ? undefined : fractions;
}

function scaled({ x, y }: Point, { width, height }: Size): Point {
  return { x: toDecimals(x / width), y: toDecimals(y / height) };
}

/** Four: a third of a pixel on a screen of 3,840. What is too large for a number stays the largest there is. */
function toDecimals(value: number): number {
  const rounded = Math.round(value * 10_000) / 10_000;
  return Number.isFinite(rounded) ? rounded : Math.sign(value) * Number.MAX_VALUE;
}
