import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCalls } from "../../../src/core/import/python-calls.ts";

function call(code: string) {
  const [first, ...rest] = parseCalls(code) ?? [];
  expect(rest).toEqual([]);
  return first && { name: first.name, positional: first.positional, named: Object.fromEntries(first.named) };
}

describe("code made of calls with literals is read", () => {
  test.each([
    ["pyautogui.click(x=0.5, y=.25)", { name: "pyautogui.click", positional: [], named: { x: 0.5, y: 0.25 } }],
    ["scroll(-3)", { name: "scroll", positional: [-3], named: {} }],
    ["f(1e-3, +2, 3.)", { name: "f", positional: [0.001, 2, 3], named: {} }],
    ["f(keys=['ctrl', \"c\"],)", { name: "f", positional: [], named: { keys: ["ctrl", "c"] } }],
    ["f((1, 2), [], None, True, False)", { name: "f", positional: [[1, 2], [], null, true, false], named: {} }],
    [
      "f('it\\'s', \"a\\tb\\n\", '\\x41\\u00e9\\U0001F600')",
      { name: "f", positional: ["it's", "a\tb\n", "Aé😀"], named: {} },
    ],
    ["f('''two\nlines''', \"\"\"'\"\"\")", { name: "f", positional: ["two\nlines", "'"], named: {} }],
    ["f('a' 'b'\n  \"c\")", { name: "f", positional: ["abc"], named: {} }],
    ["f('C:\\dir')", { name: "f", positional: ["C:\\dir"], named: {} }],
    ["f('a\\\nb')", { name: "f", positional: ["ab"], named: {} }],
    ["f( )  # press it", { name: "f", positional: [], named: {} }],
  ])("%s", (code, expected) => {
    expect(call(code)).toEqual(expected);
  });

  test("one after another, by line or by semicolon, with comments between", () => {
    expect(parseCalls("# begin\na(1); b(2)\n\n  c(3)\n# end")?.map((c) => c.name)).toEqual(["a", "b", "c"]);
    expect(parseCalls("")).toEqual([]);
  });
});

describe("code that is more than that is not guessed at", () => {
  test.each([
    "import time\ntime.sleep(1)",
    "x = 3",
    "f(x)",
    "f(1 + 2)",
    "f(a=b=1)",
    "f(1) g(2)",
    "f('open",
    "f('line\nbreak')",
    "f(f'{x}')",
    "f(**{})",
    "f(1",
    "f(1,,2)",
    "for i in range(3): f(i)",
    "f(0x10)",
    "f('\\ud800')",
    "f('\\UFFFFFFFF')",
    `f(${"[".repeat(5000)})`,
  ])("%s", (code) => {
    expect(parseCalls(code)).toBeUndefined();
  });

  test("whatever the text, it ends without an error", () => {
    const marks = fc.constantFrom(
      "f",
      "(",
      ")",
      "[",
      "]",
      "'",
      '"',
      "\\",
      ",",
      "=",
      "1",
      ".",
      " ",
      "\n",
      "#",
      ";",
      "\ud800",
    );
    fc.assert(
      fc.property(fc.string({ unit: marks, maxLength: 60 }), (code) => {
        const calls = parseCalls(code);
        expect(calls === undefined || Array.isArray(calls)).toBe(true);
      }),
    );
  });
});

test("what Python writes of a text is read as that text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(call(`f(${pythonRepr(text)})`)).toEqual({ name: "f", positional: [text], named: {} });
    }),
  );
});

/** As Python's repr writes it. */
function pythonRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const body = [...text]
    .map((character) => {
      if (character === quote || character === "\\") return `\\${character}`;
      const point = character.codePointAt(0) ?? 0;
      return point >= 0x20 && point !== 0x7f && point < 0xd800
        ? character
        : `\\U${point.toString(16).padStart(8, "0")}`;
    })
    .join("");
  return `${quote}${body}${quote}`;
}
