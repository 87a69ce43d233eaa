import { z } from "zod";
import { badCapture } from "./file-access.ts";
import { elementTexts } from "./json-spans.ts";

/** A trajectory in either published form. */
export interface Trajectory {
  readonly format: "agentnet-bench" | "agentnet";
  readonly taskId: string;
  readonly task: string;
  /** All of it but the steps, JSON. */
  readonly json: string;
  readonly steps: readonly Step[];
}

export interface Step {
  /** The step's own number. The benchmark leaves some out. */
  readonly index: number;
  /** File name of the screenshot from before the step. */
  readonly image: string;
  readonly code: string;
  /** Where the elements that may be aimed at are, in pixels of the screenshot. */
  readonly targets: readonly Target[];
  /** The step exactly as it is in the file. */
  readonly json: string;
  /** Path of the step in the file. */
  readonly field: string;
}

interface Target {
  readonly x: number;
  readonly y: number;
  readonly box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
}

/** Whether a file that begins with `head` is likely a trajectory. */
export function looksLikeTrajectory(head: string): boolean {
  return /^\s*\{/.test(head) && /"task_id"\s*:/.test(head) && /"(traj|steps)"\s*:\s*\[/.test(head);
}

/** Whether the file's first line is a trajectory by itself, as far as `head` tells. */
export function isOneALine(head: string): boolean {
  const end = head.trimStart().indexOf("\n");
  if (end === -1) return true;
  try {
    JSON.parse(head.trimStart().slice(0, end));
    return true;
  } catch {
    return false;
  }
}

/** Fails with BAD_CAPTURE, naming the field. */
export function parseTrajectory(text: string, where: { readonly path: string; readonly line?: number }): Trajectory {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    const fix = "restore the file, or take out the line";
    throw badCapture({ ...where, problem: "it is not JSON, or was cut off", fix, cause: error });
  }
  const form = typeof json === "object" && json !== null && "steps" in json ? BENCH : TRAINING;
  const parsed = form.safeParse(json);
  if (!parsed.success) {
    const field = parsed.error.issues[0]?.path.join(".") ?? "";
    const fix = "an AgentNet trajectory has task_id and steps or traj, each step an image and code";
    throw badCapture({ ...where, field, problem: "not a valid value", fix });
  }
  const { list, steps, ...trajectory } = parsed.data;
  const texts = elementTexts(text, list);
  const { [list]: _, ...rest } = OBJECT.parse(json);
  return {
    ...trajectory,
    json: JSON.stringify(rest),
    steps: steps.map((step, at) => ({ ...step, json: texts[at] ?? "", field: `${list}.${at}` })),
  };
}

const OBJECT = z.record(z.string(), z.unknown());
/** Half a surrogate pair has no UTF-8, and would be changed on its way. */
const TEXT = z.string().refine((text) => text.isWellFormed());
const FINITE = z.number();
const BOX = z.object({ abs_bbox: z.tuple([FINITE, FINITE, FINITE, FINITE]) });
const ANSWER = z.object({
  params: z.object({ position: z.object({ x: FINITE, y: FINITE }).optional() }).optional(),
  metadata: z.object({ bboxes: z.array(BOX).optional() }).optional(),
});

const BENCH = z
  .object({
    task_id: TEXT.min(1),
    user_task_description: TEXT.default(""),
    steps: z.array(
      z.object({
        step_num: z.int(),
        image: z.string(),
        action: z.string(),
        ground_truth_actions: z.array(ANSWER).default([]),
      }),
    ),
  })
  .transform((value) => ({
    format: "agentnet-bench" as const,
    list: "steps",
    taskId: value.task_id,
    task: value.user_task_description,
    steps: value.steps.map((step) => ({
      index: step.step_num,
      image: step.image,
      code: step.action,
      targets: step.ground_truth_actions.flatMap(targetsOf),
    })),
  }));

const TRAINING = z
  .object({
    task_id: TEXT.min(1),
    instruction: TEXT.default(""),
    traj: z.array(z.object({ index: z.int(), image: z.string(), value: z.object({ code: z.string() }) })),
  })
  .transform((value) => ({
    format: "agentnet" as const,
    list: "traj",
    taskId: value.task_id,
    task: value.instruction,
    steps: value.traj.map(({ index, image, value: { code } }) => ({ index, image, code, targets: [] })),
  }));

function targetsOf(answer: z.infer<typeof ANSWER>): Target[] {
  const position = answer.params?.position;
  if (position === undefined) return [];
  return (answer.metadata?.bboxes ?? []).map(({ abs_bbox: [x, y, width, height] }) => ({
    x: position.x,
    y: position.y,
    box: { x, y, width, height },
  }));
}
