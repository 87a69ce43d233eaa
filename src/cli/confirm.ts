import { createInterface } from "node:readline/promises";
import { AppError } from "../core/errors.ts";
import type { Context } from "./context.ts";

/**
 * Asks before what changes many things, on the terminal; `yes` has answered already. Elsewhere
 * nobody can answer, so that fails with `invalid_argument` CONFIRMATION_NEEDED.
 */
export async function confirm({ output, signal }: Context, question: string, yes: boolean): Promise<boolean> {
  if (yes) return true;
  if (!process.stdin.isTTY) {
    throw new AppError("invalid_argument", `${question} Nobody is there to answer: say --yes if so.`, {
      reason: "CONFIRMATION_NEEDED",
    });
  }
  output.clearStatus();
  using prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt.question(`${question} [y/N] `, { signal });
  return /^y(es)?$/i.test(answer.trim());
}
