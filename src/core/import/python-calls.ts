/** One call in a step's code: `pyautogui.click(x=0.5, y=0.25)`. */
export interface PythonCall {
  /** The dotted name. */
  readonly name: string;
  readonly positional: readonly PythonValue[];
  readonly named: ReadonlyMap<string, PythonValue>;
}

export type PythonValue = string | number | boolean | null | readonly PythonValue[];

/**
 * The calls that `code` is made of, one after another with literal arguments, as recorders of
 * computer use write them. undefined when it is anything more than that: it is never run, and
 * never guessed at.
 */
export function parseCalls(code: string): readonly PythonCall[] | undefined {
  const reader = new Reader(code);
  const calls: PythonCall[] = [];
  try {
    for (reader.skipBreaks(); !reader.atEnd; reader.skipBreaks()) {
      calls.push(readCall(reader));
      reader.endStatement();
    }
  } catch (error) {
    if (error instanceof NotPlain) return undefined;
    throw error;
  }
  return calls;
}

class NotPlain extends Error {}

function readCall(reader: Reader): PythonCall {
  const name = reader.take(/[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*/y);
  const positional: PythonValue[] = [];
  const named = new Map<string, PythonValue>();
  reader.take(/\(/y);
  while (!reader.skip(/\)/y)) {
    const key = reader.maybe(/([A-Za-z_]\w*)\s*=(?!=)/y);
    if (key === undefined) positional.push(readValue(reader, 0));
    else named.set(key, readValue(reader, 0));
    if (!reader.skip(/,/y)) {
      reader.take(/\)/y);
      break;
    }
  }
  return { name, positional, named };
}

function readValue(reader: Reader, depth: number): PythonValue {
  if (depth > MAX_DEPTH) throw new NotPlain();
  const close = reader.skip(/\[/y) ? /\]/y : reader.skip(/\(/y) ? /\)/y : undefined;
  if (close !== undefined) {
    const items: PythonValue[] = [];
    while (!reader.skip(close)) {
      items.push(readValue(reader, depth + 1));
      if (reader.skip(/,/y)) continue;
      reader.take(close);
      break;
    }
    return items;
  }
  const word = reader.maybe(/(True|False|None)\b/y);
  if (word !== undefined) return word === "None" ? null : word === "True";
  const digits = reader.maybe(/([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?!\w)/y);
  if (digits !== undefined) return Number(digits);
  let text = readString(reader);
  if (text === undefined) throw new NotPlain();
  // Strings side by side are one string in Python.
  for (let more = readString(reader); more !== undefined; more = readString(reader)) text += more;
  return text;
}

function readString(reader: Reader): string | undefined {
  for (const quoted of STRINGS) {
    const body = reader.maybe(quoted);
    const text = body === undefined ? undefined : unescaped(body);
    if (text?.isWellFormed() === false) throw new NotPlain();
    if (text !== undefined) return text;
  }
  return undefined;
}

function unescaped(body: string): string {
  return body.replace(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|\n|[\s\S])/g, (whole, sequence: string) => {
    const hex = /^[xuU]([0-9a-fA-F]+)$/.exec(sequence)?.[1];
    if (hex !== undefined) {
      const point = Number.parseInt(hex, 16);
      if (point > 0x10ffff) throw new NotPlain();
      return String.fromCodePoint(point);
    }
    return ESCAPES[sequence] ?? whole;
  });
}

/** Reads from a position; blanks before a token are passed over. */
class Reader {
  #at = 0;
  readonly #code: string;

  constructor(code: string) {
    this.#code = code;
  }

  get atEnd(): boolean {
    return this.#at >= this.#code.length;
  }

  /** The first group, or the whole match. */
  maybe(token: RegExp): string | undefined {
    const blanks = this.#match(/[ \t\r\n]*/y, this.#at)?.[0].length ?? 0;
    const found = this.#match(token, this.#at + blanks);
    if (found === undefined) return undefined;
    this.#at += blanks + found[0].length;
    return found[1] ?? found[0];
  }

  take(token: RegExp): string {
    const found = this.maybe(token);
    if (found === undefined) throw new NotPlain();
    return found;
  }

  skip(token: RegExp): boolean {
    return this.maybe(token) !== undefined;
  }

  skipBreaks(): void {
    for (let gap = this.#match(BREAK, this.#at); gap !== undefined; gap = this.#match(BREAK, this.#at)) {
      this.#at += gap[0].length;
    }
  }

  endStatement(): void {
    const end = this.#match(/[ \t\r]*(;|\n|#[^\n]*|$)/y, this.#at);
    if (end === undefined) throw new NotPlain();
    this.#at += end[0].length;
  }

  #match(token: RegExp, at: number): RegExpExecArray | undefined {
    token.lastIndex = at;
    return token.exec(this.#code) ?? undefined;
  }
}

const MAX_DEPTH = 8;
const BREAK = /[\s;]+|#[^\n]*/y;
const STRINGS = [
  /"""((?:[^\\]|\\[\s\S])*?)"""/y,
  /'''((?:[^\\]|\\[\s\S])*?)'''/y,
  /"((?:[^"\\\n]|\\[\s\S])*)"/y,
  /'((?:[^'\\\n]|\\[\s\S])*)'/y,
];
const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  b: "\b",
  f: "\f",
  v: "\v",
  a: "\x07",
  "0": "\0",
  "\\": "\\",
  "'": "'",
  '"': '"',
  "\n": "",
};
