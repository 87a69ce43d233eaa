import type { RedactionKind } from "../recorded.ts";

/** Tells of each value in a text. Runs in time linear in the text, whatever is in it. */
export type Detector = (text: string, found: (kind: RedactionKind, start: number, end: number) => void) => void;

/** The digits of a text. */
export function digitsOf(text: string): string {
  return text.replaceAll(/\D/g, "");
}
