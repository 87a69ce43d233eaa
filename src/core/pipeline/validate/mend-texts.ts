import type { SessionEvent } from "../recorded.ts";
import { mapTexts } from "../texts.ts";
import type { Code } from "./findings.ts";
import type { Mend } from "./mends.ts";

/** Mends of texts, and what is said of them. */
export const TEXT_MENDS: readonly Mend[] = [
  textMend("TEXT_LONE_SURROGATE", mendSurrogates),
  textMend("TEXT_CONTROL_CHARACTERS", dropControls),
  textMend("VALUE_DOUBLE_ENCODED", (text, place) => (VALUES.has(place) ? decodeLayers(text) : text)),
  { code: "URL_UNPARSED", mend: checkUrls },
];

function textMend(code: Code, change: (text: string, place: string) => string): Mend {
  return {
    code,
    mend: (event, found) =>
      mapTexts(event, (text, place) => {
        const after = change(text, place);
        if (after !== text) found(place);
        return after;
      }),
  };
}

const VALUES: ReadonlySet<string> = new Set([
  "target.attributes.value",
  "target.ancestors.attributes.value",
  "input.value",
  "before.value",
  "after.value",
  "elements.value",
  "elements.attributes.value",
]);

/**
 * The text inside a JSON string, however often it was encoded, cleaned as other texts are; as it is
 * when it is none. Only a string with an escape in it counts: a person who types "quoted words"
 * means the quotes.
 */
function decodeLayers(text: string): string {
  let inner = text;
  for (let layer = 0; layer <= MAX_LAYERS; layer += 1) {
    const next = decodeLayer(inner);
    if (next === undefined) return inner;
    inner = dropControls(mendSurrogates(next));
  }
  // Not plausible, and each layer is only a little shorter: it is left alone.
  return text;
}

const MAX_LAYERS = 8;

function decodeLayer(text: string): string | undefined {
  if (text.length < 4 || !text.startsWith('"') || !text.endsWith('"') || !text.includes("\\")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Half a pair can't be written as UTF-8; it becomes U+FFFD, as Unicode recommends. */
export function mendSurrogates(text: string): string {
  return text.toWellFormed();
}

/** Without C0, DEL and C1 controls, except tab and line breaks: none of them can be seen. */
export function dropControls(text: string): string {
  return CONTROL.test(text) ? text.replace(CONTROLS, "") : text;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/;
const CONTROLS = new RegExp(`${CONTROL.source}+`, "g");

function checkUrls(event: SessionEvent, found: (path: string) => void): SessionEvent {
  const { page, before, after } = event;
  if (page !== undefined && isUnparsed(page.url)) found("page.url");
  if (before?.url !== undefined && isUnparsed(before.url)) found("before.url");
  if (after?.url !== undefined && isUnparsed(after.url)) found("after.url");
  return event;
}

export function isUnparsed(url: string): boolean {
  return url !== "" && !URL.canParse(url);
}
