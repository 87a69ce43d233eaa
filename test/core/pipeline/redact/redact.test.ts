import { isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type {
  Ancestor,
  Attribute,
  ElementState,
  Input,
  Key,
  Page,
  PageElement,
  Selector,
  SessionEvent,
  SessionFacts,
  Target,
} from "../../../../src/core/pipeline/recorded.ts";
import { reduceEvents } from "../acts.ts";
import { redactSession, sessionEvent, survivals, textsOf } from "./sessions.ts";

type Full<T> = Required<T>;

/** An event with a text in every place that takes one. A place that is new in the types must be named here. */
function eventWith(text: () => string): SessionEvent {
  const attributes = (): Attribute[] => [
    { name: "class", value: text() },
    { name: `data-${text()}`, value: "x" },
    { name: "href", value: text() },
    { name: "value", value: text() },
  ];
  const page: Full<Page> = {
    url: text(),
    title: text(),
    viewport: { width: 1280, height: 720 },
    devicePixelRatio: 1,
    scroll: { x: 0, y: 0 },
  };
  const box = { x: 1, y: 2, width: 3, height: 4 };
  const selector = (kind: Selector["kind"]): Full<Selector> => ({
    kind,
    value: text(),
    reliability: 1,
    grounding: { matches: 1, findsTarget: true, boxHoldsPointer: true },
  });
  const ancestor: Full<Ancestor> = { tag: text(), role: text(), name: text(), attributes: attributes() };
  const target: Full<Target> = {
    selectors: [selector("css"), selector("xpath"), selector("text"), selector("role"), selector("unknown")],
    role: text(),
    name: text(),
    text: text(),
    tag: text(),
    attributes: attributes(),
    box,
    ancestors: [ancestor, ancestor],
  };
  const input: Full<Input> = { value: text(), masked: false, kind: text() };
  const key: Full<Key> = { key: "Enter", code: "Enter", alt: false, ctrl: false, meta: false, shift: false };
  const state = (): Full<ElementState> => ({
    url: text(),
    value: text(),
    text: text(),
    checked: false,
    focused: false,
    disabled: false,
    visible: true,
    expanded: false,
    selected: false,
  });
  const element: Full<PageElement> = {
    tag: text(),
    role: text(),
    name: text(),
    text: text(),
    value: text(),
    attributes: attributes(),
    box,
  };
  const whole: Full<SessionEvent> = {
    ref: { stream: "main", seq: 1 },
    timeMs: 1,
    type: "custom",
    customType: text(),
    page,
    target,
    input,
    pointer: { x: 0, y: 0, button: 0, clicks: 1 },
    key,
    before: state(),
    after: state(),
    screenshots: [],
    elements: [element],
  };
  return whole;
}

function factsWith(text: () => string): SessionFacts {
  const facts: Full<SessionFacts> = {
    id: "s",
    task: text(),
    startUrl: text(),
    userAgent: text(),
    collector: text(),
    labels: [{ name: text(), value: text() }],
  };
  return facts;
}

/** Each with where it is given away: typed into a field, or nowhere, as its shape is enough. */
const PLANTED: readonly { readonly value: string; readonly field?: Readonly<Record<string, string>> }[] = [
  { value: "dana.whitlock+shop@example.com" },
  { value: "+1 (555) 010-4477" },
  { value: "4111 1111 1111 1111" },
  { value: "GB29 NWBK 6016 1331 9268 19" },
  { value: "203.0.113.77" },
  { value: "2001:db8:85a3::8a2e:370:7334" },
  { value: "078-05-1120" },
  { value: "RSSMRA85T10A562S" },
  { value: "ghp_16C7e42F292c6912E7710c838347Ae178B4a" },
  { value: "Dana Whitlock", field: { autocomplete: "name" } },
  { value: "Whitlock", field: { name: "last_name" } },
  { value: "Łucja Żółkiewska", field: { "aria-label": "Full name" } },
  { value: "12 Harbour Lane", field: { autocomplete: "street-address" } },
  { value: "SW1A 1AA", field: { id: "postcode" } },
  { value: "1987-06-05", field: { autocomplete: "bday" } },
  { value: "correct-horse-7", field: { type: "password" } },
  { value: "481920", field: { autocomplete: "one-time-code" } },
];

const SPELLINGS: readonly ((value: string) => string)[] = [
  (value) => value,
  (value) => value.toUpperCase(),
  (value) => value.toLowerCase(),
  (value) => value.normalize("NFD").replaceAll(/\p{M}/gu, ""),
  (value) => encodeURIComponent(value),
  (value) => encodeURIComponent(encodeURIComponent(value)),
  (value) => new URLSearchParams({ value }).toString().slice("value=".length),
  (value) => Array.from(value, (character) => `&#${character.codePointAt(0)};`).join(""),
  (value) => Array.from(value, (character) => `&#x${character.codePointAt(0)?.toString(16)};`).join(""),
  (value) => value.replaceAll(/[^\p{L}\p{N}]/gu, (character) => `\\${character}`),
  (value) =>
    value.replaceAll(/[^A-Za-z0-9]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`),
  (value) => (/^[\d\s()+-]+$/.test(value) ? value.replaceAll(/\D/g, "") : value),
  (value) => (/^[\d\s()+-]+$/.test(value) ? value.replaceAll(/\D+/g, ".") : value),
];

/** What nobody reads as the value who does not know how. Of less than eight characters too little is left to tell. */
const DISGUISES: readonly ((value: string) => string)[] = [
  (value) => Buffer.from(value).toString("base64"),
  (value) => Buffer.from(value).toString("base64url"),
  (value) => Buffer.from(JSON.stringify({ user: value, v: 2 })).toString("base64"),
  (value) => Buffer.from(value).toString("hex"),
  (value) => `${value.slice(0, 5)}</span><span class="match" data-index="3">${value.slice(5)}`,
  (value) => Array.from(value, (character) => `<span style="--i: 0">${character}</span>`).join(""),
];

/** An IP address is only looked for in one piece: without its dots it is a number like others. */
const BROKEN: readonly ((value: string) => string)[] = [
  (value) => `${value.slice(0, 5)}\n${" ".repeat(32)}${value.slice(5)}`,
  (value) => [...value].join("\u200b\u2060"),
];

const AROUND: readonly (readonly [string, string])[] = [
  ["", ""],
  ["Thank you, ", "; we will write to you."],
  ["https://shop.example.com/done?to=", "&lang=en#top"],
  ["https://shop.example.com/u/", "/orders"],
  ['//a[text()="', '"]'],
  ["<b>", "</b>"],
];

describe("redact", () => {
  test.each(PLANTED)(
    "$value is nowhere in the output, wherever and however it stands in the input",
    async (planted) => {
      const { value, field } = planted;
      const typed = sessionEvent(1, {
        type: "input",
        input: { value, masked: false, kind: field?.type ?? "text" },
        target: {
          selectors: [],
          tag: "input",
          attributes: Object.entries(field ?? {}).map(([name, text]) => ({ name, value: text })),
          ancestors: [],
        },
      });
      const disguises = value.length < 8 ? [] : isIP(value) ? DISGUISES : [...DISGUISES, ...BROKEN];
      const spellings = fc.constantFrom(...SPELLINGS, ...disguises);
      const around = fc.constantFrom(...AROUND);
      await fc.assert(
        fc.asyncProperty(fc.infiniteStream(fc.tuple(spellings, around)), fc.boolean(), async (stream, last) => {
          const written: string[] = [];
          const text = () => {
            const [spell, [before, after]] = stream.next().value ?? [];
            written.push(`${before}${spell?.(value)}${after}`);
            return written.at(-1) ?? "";
          };
          const whole = eventWith(text);
          const facts = factsWith(text);
          const output = await redactSession(last ? [whole, typed] : [typed, whole], facts);
          const parts = value.split(/\s+/).filter((part) => /^\p{L}{4,}$/u.test(part));
          const found = [value, ...parts].flatMap((each) => survivals(output, each));
          const first = found[0]?.split(".").reduce<unknown>((at, key) => Reflect.get(Object(at), key), output);
          expect({ found, first }).toEqual({ found: [], first: undefined });
          for (const spelled of [value, encodeURIComponent(value), ...disguises.map((disguise) => disguise(value))])
            expect(textsOf(output).filter(({ text }) => text.includes(spelled))).toEqual([]);
        }),
        { numRuns: 30 },
      );
    },
  );

  test("what a selector was proven to find stays with it, in actions too", async () => {
    const { events, session } = await redactSession([{ ...eventWith(() => "text"), type: "click" }]);
    const grounding = { matches: 1, findsTarget: true, boxHoldsPointer: true };
    expect(events[0]?.target?.selectors.map((selector) => selector.grounding)).toEqual(Array(5).fill(grounding));
    const [action] = reduceEvents(session, events).actions;
    expect(action?.targets.filter(({ kind }) => kind === "css" || kind === "xpath")).toMatchObject([
      { grounding },
      { grounding },
    ]);
  });

  test("a planted text that is no value stays, so that the test above can fail", async () => {
    const output = await redactSession(
      [eventWith(() => "Harmless text")],
      factsWith(() => "Harmless text"),
    );
    const places = textsOf(output).filter(({ text }) => text.includes("Harmless text")).length;
    expect(survivals(output, "Harmless text")).toHaveLength(places);
    expect(places).toBeGreaterThan(40);
  });
});
