import { RE2JS } from "re2js";
import { z } from "zod";
import { squeeze } from "./squeeze.ts";

/** A text however it is spelled, or a pattern of RE2, whose time is linear in the text whatever the pattern. */
export const ruleSchema = z.union([
  z.string().refine((text) => squeeze(text) !== "", "has no letter and no digit, so it would match anything"),
  z.strictObject({
    pattern: z.string().min(1, "is empty").refine(compiles, "is not a pattern of RE2"),
  }),
]);

export type Rule = z.output<typeof ruleSchema>;

export interface CompiledRules {
  /** The texts, as they were given. */
  readonly texts: readonly string[];
  /** Whether a value is one of the texts, or a pattern fits it from end to end. */
  fits(value: string): boolean;
  /** Tells of every place where a pattern fits. */
  find(text: string, found: (start: number, end: number) => void): void;
}

export function compileRules(rules: readonly Rule[]): CompiledRules {
  const texts = rules.filter((rule) => typeof rule === "string");
  const squeezed = new Set(texts.map(squeeze));
  const patterns = rules.flatMap((rule) => (typeof rule === "string" ? [] : [RE2JS.compile(rule.pattern, FLAGS)]));
  return {
    texts,
    fits: (value) => squeezed.has(squeeze(value)) || patterns.some((pattern) => pattern.matches(value)),
    find: (text, found) => {
      for (const pattern of patterns) {
        const matcher = pattern.matcher(text);
        while (matcher.find()) if (matcher.end() > matcher.start()) found(matcher.start(), matcher.end());
      }
    },
  };
}

const FLAGS = RE2JS.CASE_INSENSITIVE;

function compiles(pattern: string): boolean {
  try {
    RE2JS.compile(pattern, FLAGS);
    return true;
  } catch {
    return false;
  }
}
