import { parseMoment } from "../clock.ts";
import { AppError } from "../errors.ts";
import { STAGE_NAMES } from "../pipeline/stage.ts";
import type { Selection } from "../store/campaigns.ts";

/** Which sessions, parsed from conditions such as `score<=50` or `label.site=shop`. */
export interface Where {
  readonly selection: Selection;
  /** Whether a session fresh under this signature is meant. */
  matches(signature: string): boolean;
  /** Some condition is about the signature. */
  readonly restrictsSignature: boolean;
}

/** For `--help`, and for whoever got one wrong. */
export const WHERE_FORMS: readonly (readonly [form: string, meaning: string])[] = [
  ["id=A,B", "these sessions"],
  ["since=7d", "created at or after: how long ago, or 2026-01-31[T12:00Z]"],
  ["until=2026-02-01", "created before"],
  ["collector=NAME", "sent by this collector"],
  ["label.NAME=VALUE", "with this label"],
  ["score>=50", "overall score; also <=, both ends included"],
  ["status=new", "never processed; also partial, processed"],
  ["stage.NAME=VERSION", "whose artifact of the stage is of this version"],
];

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type SignatureTest = (signature: string) => boolean;

/** Fails with `invalid_argument` BAD_WHERE, naming the condition and the forms there are. */
export function parseWhere(project: string, conditions: readonly string[], nowMs: number): Where {
  // What comes in while a campaign runs is processed by itself.
  const selection: Mutable<Selection> = { project, untilMs: nowMs };
  const tests: SignatureTest[] = [];
  for (const condition of conditions) {
    const match = /^([a-z]+)(?:\.([^=<>]+))?(>=|<=|=)(.+)$/.exec(condition.trim());
    const [, field = "", name = "", operator = "", value = ""] = match ?? [];
    switch (`${field}${name === "" ? "" : "."}${operator}`) {
      case "id=":
        selection.ids = [...(selection.ids ?? []), ...value.split(",").filter((id) => id !== "")];
        break;
      case "since=":
        selection.sinceMs = moment(condition, value, nowMs);
        break;
      case "until=":
        selection.untilMs = moment(condition, value, nowMs);
        break;
      case "collector=":
        selection.collector = value;
        break;
      case "label.=":
        selection.labels = [...(selection.labels ?? []), { name, value }];
        break;
      case "score>=":
        selection.minScore = score(condition, value);
        break;
      case "score<=":
        selection.maxScore = score(condition, value);
        break;
      case "status=":
        tests.push(statusTest(condition, value));
        break;
      case "stage.=":
        tests.push(versionTest(condition, name, value));
        break;
      default:
        throw bad(condition, "there is no such condition");
    }
  }
  return {
    selection,
    matches: (signature) => tests.every((test) => test(signature)),
    restrictsSignature: tests.length > 0,
  };
}

function statusTest(condition: string, value: string): SignatureTest {
  const stages = (signature: string) => (signature === "" ? 0 : signature.split(",").length);
  switch (value) {
    case "new":
      return (signature) => stages(signature) === 0;
    case "partial":
      return (signature) => stages(signature) > 0 && stages(signature) < STAGE_NAMES.length;
    case "processed":
      return (signature) => stages(signature) === STAGE_NAMES.length;
    default:
      throw bad(condition, "the status is new, partial or processed");
  }
}

function versionTest(condition: string, name: string, value: string): SignatureTest {
  if (!STAGE_NAMES.some((stage) => stage === name)) throw bad(condition, `the stages are ${STAGE_NAMES.join(", ")}`);
  if (!/^\d+$/.test(value)) throw bad(condition, "a version is a whole number");
  return (signature) => signature.split(",").some((part) => part.startsWith(`${name}:${Number(value)}:`));
}

function score(condition: string, value: string): number {
  const number = /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  if (number >= 0 && number <= 100) return number;
  throw bad(condition, "a score is a number from 0 to 100");
}

function moment(condition: string, value: string, nowMs: number): number {
  const at = parseMoment(value, nowMs);
  if (at !== undefined) return at;
  throw bad(condition, "write a time as 2026-01-31, 2026-01-31T12:00Z, or how long ago: 2h, 7d");
}

function bad(condition: string, what: string): AppError {
  const forms = WHERE_FORMS.map(([form, meaning]) => `  ${form.padEnd(20)} ${meaning}`).join("\n");
  return new AppError("invalid_argument", `--where ${JSON.stringify(condition)}: ${what}. The forms are:\n${forms}`, {
    reason: "BAD_WHERE",
  });
}
