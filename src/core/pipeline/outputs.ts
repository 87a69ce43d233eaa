import type { Attribute, Box, EventRef, Grounding, Point, Screenshot, SessionFacts, Size } from "./recorded.ts";

export const ACTION_KINDS = [
  "click",
  "double_click",
  "triple_click",
  "type",
  "select",
  "scroll",
  "drag",
  "key",
  "hotkey",
  "navigate",
  "hover",
  "wait",
  "other",
] as const;

export type ActionKind = (typeof ACTION_KINDS)[number];

/** What a person did, as an agent would be told to do it. Only what its kind needs is there. */
export interface Action {
  readonly kind: ActionKind;
  /** The raw events it stands for, in order. */
  readonly events: readonly EventRef[];
  readonly startMs: number;
  readonly endMs: number;
  /** The page it was done on; of a navigation the one it left. */
  readonly page?: { readonly url: string; readonly title: string; readonly viewport?: Size };
  /** Ways to find the element, best first. */
  readonly targets: readonly ActionTarget[];
  /** What the target is, for people and models. */
  readonly element?: { readonly role?: string; readonly name?: string; readonly text?: string; readonly tag?: string };
  readonly box?: Box;
  readonly point?: Point;
  /** 0 main, 1 middle, 2 secondary. */
  readonly button?: number;
  /** How many clicks, where the kind does not say: more than three. */
  readonly clicks?: number;
  /**
   * type, select: what the field holds then. click, drag: what the slider holds then. hotkey, key:
   * the keys, such as ctrl+c. navigate: the URL.
   */
  readonly value?: string;
  readonly masked?: boolean;
  /** CSS pixels scrolled. */
  readonly delta?: Point;
  /** Where a drag ended. */
  readonly to?: Point;
  /** wait: how long. click: how long it was held, when that is long. Milliseconds. */
  readonly durationMs?: number;
  /** A navigation this action caused. */
  readonly navigatedTo?: string;
  /** The name of an action that fits no other kind. */
  readonly name?: string;
  /** What could be seen just before the action; absent when nothing was recorded. */
  readonly screenshot?: Screenshot;
  /** A mark that something in it was inferred, such as SYNTHETIC_RELEASE. */
  readonly inferred?: readonly string[];
}

export interface ActionTarget {
  readonly kind: "role" | "test_id" | "id" | "text" | "css" | "xpath" | "aria" | "box";
  readonly value: string;
  /** 0 to 1, as the collector judged it; absent for what was derived here. */
  readonly reliability?: number;
  /** What it found in the page as it was just before the action; absent where nobody looked. */
  readonly grounding?: Grounding;
}

export interface ReduceOutput {
  readonly session: SessionFacts;
  readonly actions: readonly Action[];
  /** Every event that is in no action, with why, such as FOCUS_NOISE. With `actions` it accounts for all. */
  readonly unused: readonly { readonly ref: EventRef; readonly code: string }[];
}

export const SCORE_DIMENSIONS = ["completeness", "reliability", "accuracy", "consistency"] as const;

export type ScoreDimension = (typeof SCORE_DIMENSIONS)[number];

export interface ScoreOutput {
  /** 0 to 100, to one decimal. */
  readonly overall: number;
  /** 0 to 100 each. */
  readonly dimensions: Readonly<Record<ScoreDimension, number>>;
  readonly checks: readonly ScoreCheck[];
}

export interface ScoreCheck {
  /** A stable name, such as screenshots_present. */
  readonly name: string;
  readonly dimension: ScoreDimension;
  readonly points: number;
  readonly of: number;
  /** Why it did not get all, in words with numbers and no recorded value. */
  readonly reason: string;
}

/** Training examples in a form that no trainer asks for and every exporter can start from. */
export interface AssembleOutput {
  readonly session: SessionExample;
  readonly steps: readonly StepExample[];
}

/** One example a session: the whole trajectory. */
interface SessionExample {
  readonly id: string;
  readonly task: string;
  readonly startUrl: string;
  /** The overall score, and the dimensions it is of. */
  readonly score: number;
  readonly dimensions: ScoreOutput["dimensions"];
  readonly steps: number;
  readonly collector: string;
  readonly userAgent: string;
  /** What its collector labelled it with. */
  readonly labels: readonly Attribute[];
}

/** One example a step: what was to be done, what was seen, what had been done, what was done next. */
export interface StepExample {
  /** session/index: the same recording and parameters give the same id. */
  readonly id: string;
  readonly session: string;
  /** From 0. */
  readonly index: number;
  readonly task: string;
  readonly observation: {
    readonly url?: string;
    readonly title?: string;
    readonly viewport?: Size;
    readonly screenshot?: Screenshot;
  };
  /** Short forms of the actions before, oldest first. */
  readonly history: readonly string[];
  readonly action: Action;
  /** The action in one line, such as click(role=button name="Search"). */
  readonly text: string;
  /**
   * The action's places as fractions of what was seen, from 0 at the left and the top to 1 at the
   * right and the bottom, to four decimals; outside that where the place is not in view. Absent when
   * the size of what was seen is not known, or the action has no place.
   */
  readonly fractions?: Fractions;
}

export interface Fractions {
  readonly point?: Point;
  readonly to?: Point;
  readonly box?: Box;
}
