import { SelectorKind } from "../../../wire/gen/sluice/v1/event_pb.ts";
import type { Written } from "../dom/selectors.ts";

/**
 * A Playwright selector in a language of ours; undefined where that would find something else: one
 * that looks at what is visible, at positions, at text by Playwright's own rules, or into frames.
 */
export function readSelector(selector: string, testIdAttribute: string): Written | undefined {
  const parts = splitChain(selector.toWellFormed());
  const [first, ...rest] = parts.map((part) => readPart(part, testIdAttribute));
  if (rest.length === 0 || first === undefined) return first;
  // Chains of CSS are descendants; a list of alternatives would need brackets.
  const chain = [first, ...rest].map((part) =>
    part?.kind === SelectorKind.CSS && !part.value.includes(",") ? part.value : "",
  );
  return chain.includes("") ? undefined : { kind: SelectorKind.CSS, value: chain.join(" ") };
}

/** The parts between `>>`, but for those within quotes. */
function splitChain(selector: string): string[] {
  const parts: string[] = [];
  let quote = "";
  let start = 0;
  for (let at = 0; at < selector.length; at += 1) {
    const character = selector.charAt(at);
    if (character === "\\") at += 1;
    else if (quote !== "") quote = character === quote ? "" : quote;
    else if (character === '"' || character === "'" || character === "`") quote = character;
    else if (selector.startsWith(">>", at)) {
      parts.push(selector.slice(start, at).trim());
      start = at + 2;
      at += 1;
    }
  }
  return [...parts, selector.slice(start).trim()];
}

function readPart(part: string, testIdAttribute: string): Written | undefined {
  const [, engine, body = ""] = /^([\w:-]+)=(.*)$/s.exec(part) ?? [];
  switch (engine) {
    case undefined:
      return readBare(part);
    case "css":
      return readCss(body);
    case "xpath":
      return { kind: SelectorKind.XPATH, value: body };
    case "id":
      return { kind: SelectorKind.ID, value: body };
    case "data-testid":
    case "data-test-id":
    case "data-test":
      return engine === testIdAttribute
        ? { kind: SelectorKind.TEST_ID, value: body }
        : { kind: SelectorKind.CSS, value: `[${engine}=${JSON.stringify(body)}]` };
    case "text":
    case "internal:text":
      return readText(body);
    case "role":
    case "internal:role":
      return readRole(body);
    case "internal:label":
      return readLabel(body);
    case "internal:testid":
    case "internal:attr":
      return readAttribute(body, engine === "internal:testid" ? testIdAttribute : undefined);
    default:
      return undefined;
  }
}

function readBare(part: string): Written | undefined {
  if (/^(\(*\/\/|\.\.)/.test(part)) return { kind: SelectorKind.XPATH, value: part };
  return /^["']/.test(part) ? readText(part) : readCss(part);
}

/** Pseudo-classes that are Playwright's own, or mean another thing in it. */
const OWN_CSS = /:(visible|has-text|text|text-is|text-matches|nth-match|light|right-of|left-of|above|below|near)\b/;

function readCss(css: string): Written | undefined {
  if (css === "" || OWN_CSS.test(css)) return undefined;
  const [, id] = /^#([\w-]+)$/.exec(css) ?? [];
  return id === undefined ? { kind: SelectorKind.CSS, value: css } : { kind: SelectorKind.ID, value: id };
}

/** A string in JSON, with `i` for any case and parts of it, or `s` for just this; undefined when it is none. */
function readString(body: string): { readonly value: string; readonly isExact: boolean } | undefined {
  const [, json = "", flag] = /^("(?:[^"\\]|\\.)*")([is]?)$/s.exec(body) ?? [];
  try {
    return { value: String(JSON.parse(json)), isExact: flag !== "i" };
  } catch {
    return undefined;
  }
}

function readText(body: string): Written | undefined {
  const told = readString(body.replace(/^'(.*)'$/s, (_, inner: string) => JSON.stringify(inner)));
  const isPattern = /^\/.*\/[a-z]*$/s.test(body);
  const value = told?.value ?? (isPattern || body.includes('"') ? "" : body);
  return value === "" ? undefined : { kind: SelectorKind.TEXT, value };
}

/** `button[name="Save"s]`: in any case and by a part of its name with `i`, as Playwright's role selectors say it. */
function readRole(body: string): Written | undefined {
  if (!/^[\w-]+(\[.*\])?$/s.test(body) || /=\s*\//.test(body)) return undefined;
  return { kind: SelectorKind.ROLE, value: body.replace(/"s\]/g, '"]') };
}

/** What a label says is a field's accessible name, if it says no more. */
function readLabel(body: string): Written | undefined {
  const told = readString(body);
  return told?.isExact === true ? { kind: SelectorKind.ARIA, value: told.value } : undefined;
}

function readAttribute(body: string, testIdAttribute: string | undefined): Written | undefined {
  const [, name = "", json = ""] = /^\[([\w-]+)=(.*)\]$/s.exec(body) ?? [];
  const told = readString(json);
  if (told === undefined) return undefined;
  if (name === testIdAttribute && told.isExact) return { kind: SelectorKind.TEST_ID, value: told.value };
  const value = told.isExact ? `[${name}=${quoteCss(told.value)}]` : `[${name}*=${quoteCss(told.value)} i]`;
  return { kind: SelectorKind.CSS, value };
}

function quoteCss(value: string): string {
  return `"${value.replace(/["\\]/g, "\\$&").replace(/\n/g, "\\a ")}"`;
}
