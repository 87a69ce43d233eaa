import type { EventRef, Finding } from "../recorded.ts";

/** Every code, by what is done about what it names. docs/pipeline.md says what each means. */
export const CODES = {
  mended: [
    "RAW_DOUBLE_ENCODED",
    "RAW_SEQUENCE_RESTARTED",
    "RAW_FIELDS_READ",
    "TYPE_RESPELLED",
    "VALUE_DOUBLE_ENCODED",
    "TEXT_LONE_SURROGATE",
    "TEXT_CONTROL_CHARACTERS",
    "VIEWPORT_IMPOSSIBLE",
    "PIXEL_RATIO_IMPOSSIBLE",
    "RELIABILITY_OUT_OF_RANGE",
    "BOX_NEGATIVE",
    "BOX_EMPTY",
    "NUMBER_NOT_FINITE",
    "SCREENSHOT_MISSING",
    "TIME_IN_SECONDS",
    "TIME_IMPOSSIBLE",
    "TIME_REVERSED",
    "ORDER_FROM_SEQUENCE",
    "PAGE_FILLED",
  ],
  kept: [
    "RAW_NOT_JSON",
    "RAW_TIME_STRING",
    "RAW_TIME_MISSING",
    "TYPE_UNKNOWN",
    "ONLY_PAGE",
    "URL_UNPARSED",
    "BOX_OFF_SCREEN",
    "SCREENSHOT_SIZE_ABSENT",
    "TIME_DUPLICATE",
    "PAGE_MISSING",
    "PAGE_URL_ABSENT",
  ],
  dropped: ["EMPTY_SHELL"],
} as const;

type Action = keyof typeof CODES;

export type Code = (typeof CODES)[Action][number];

/** Notes what was found of one event. `path` has no indices. */
export type Report = (code: Code, path?: string) => void;

/** The same for an event that is named; undefined is the session as a whole. */
export type AddFinding = (ref: EventRef | undefined, code: Code, path?: string) => void;

export class Findings {
  readonly #found: Finding[] = [];

  readonly add: AddFinding = (ref, code, path) => {
    this.#found.push({ code, ...(ref && { ref }), action: actionOf(code), ...(path !== undefined && { path }) });
  };

  /**
   * Adds each finding once a code and path, however often it is told: an event with a thousand
   * elements has no more findings than one with a few.
   */
  reporter(ref?: EventRef): Report {
    let told: Set<string> | undefined;
    return (code, path) => {
      const key = `${code} ${path ?? ""}`;
      told ??= new Set();
      if (told.has(key)) return;
      told.add(key);
      this.add(ref, code, path);
    };
  }

  /** The session's own first, then by stream and seq; those of one event in the order they came. */
  list(): Finding[] {
    return this.#found.toSorted((a, b) => compareRefs(a.ref, b.ref));
  }
}

const ACTIONS: ReadonlyMap<string, Action> = new Map(
  (["mended", "kept", "dropped"] as const).flatMap((action) => CODES[action].map((code) => [code, action] as const)),
);

function actionOf(code: Code): Action {
  return ACTIONS.get(code) ?? "kept";
}

function compareRefs(a: EventRef | undefined, b: EventRef | undefined): number {
  if (a === undefined || b === undefined) return (a === undefined ? 0 : 1) - (b === undefined ? 0 : 1);
  if (a.stream !== b.stream) return a.stream < b.stream ? -1 : 1;
  return a.seq - b.seq;
}
