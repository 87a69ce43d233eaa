import { describe, expect, test } from "vitest";
import type { Input, Key, PageElement, SessionEvent, Target } from "../../../../src/core/pipeline/recorded.ts";
import { redact } from "../../../../src/core/pipeline/redact.ts";
import { redactSession, sessionEvent, survivals, textsOf } from "./sessions.ts";

function field(attributes: Readonly<Record<string, string>>, more: Partial<Target> = {}): Target {
  return {
    selectors: [],
    tag: "input",
    attributes: Object.entries(attributes).map(([name, value]) => ({ name, value })),
    ancestors: [],
    ...more,
  };
}

function typed(
  n: number,
  value: string,
  attributes: Readonly<Record<string, string>>,
  more: Partial<Input> = {},
): SessionEvent {
  return sessionEvent(n, {
    type: "input",
    input: { value, masked: false, kind: attributes.type ?? "text", ...more },
    target: field(attributes),
  });
}

function shows(n: number, text: string, more: Partial<SessionEvent> = {}): SessionEvent {
  return sessionEvent(n, { target: { selectors: [], text, attributes: [], ancestors: [] }, ...more });
}

function pressed(n: number, key: string, target?: Target, more: Partial<Key> = {}): SessionEvent {
  const press: Key = { key, code: key, alt: false, ctrl: false, meta: false, shift: false, ...more };
  return sessionEvent(n, { type: "key", key: press, ...(target && { target }) });
}

async function textsAfter(events: readonly SessionEvent[], params?: Parameters<typeof redactSession>[2]) {
  const { events: redacted } = await redactSession(events, {}, params);
  return redacted.map(({ target }) => target?.text);
}

describe("placeholders", () => {
  test("one value has one, however it is spelled; another has another", async () => {
    const texts = await textsAfter([
      shows(1, "dana@example.com and DANA%40example.com, not kim@example.com"),
      shows(2, "+1 (555) 010-4477, 555.010.4477, call 5550104477"),
      shows(3, "4111 1111 1111 1111 or 4111111111111111"),
      shows(4, "kim@example.com"),
    ]);
    expect(texts).toEqual([
      "<EMAIL_1> and <EMAIL_1>, not <EMAIL_2>",
      "<PHONE_1>, <PHONE_1>, call <PHONE_1>",
      "<CARD_1> or <CARD_1>",
      "<EMAIL_2>",
    ]);
  });

  test("they are the same whenever the stage runs", async () => {
    const events = [
      shows(1, "kim@example.com"),
      typed(2, "Dana", { name: "first_name" }),
      shows(3, "Dana, kim@example.com"),
    ];
    expect(await redactSession(events)).toEqual(await redactSession(events));
  });

  test("values that overlap leave nothing of one another", async () => {
    const events = [
      typed(1, "Al", { name: "first_name" }),
      typed(2, "Jordan Ames", { name: "full_name" }),
      typed(3, "Ames Street 12", { name: "street" }),
      shows(4, "Al, Jordan Ames Street 12, and Al"),
    ];
    const [, , , text] = await textsAfter(events);
    expect(text).toBe("<PERSON_1>, <PERSON_2><ADDRESS_1>, and <PERSON_1>");
  });
});

describe("what is typed", () => {
  test("letter by letter is the same value from its first letter on", async () => {
    const email = { id: "mail", name: "email" };
    const values = ["d", "dana", "dana@exam", "dana@example.com"];
    const events = values.map((value, n) => typed(n + 1, value, email));
    const { events: redacted, report } = await redactSession(events);
    expect(redacted.map(({ input }) => input?.value)).toEqual(values.map(() => "<EMAIL_1>"));
    expect(report.values).toEqual({ email: 1 });
  });

  test("letter by letter where nothing says what the field is for", async () => {
    const values = ["da", "dana@ex", "dana@example.com"];
    const { events: redacted } = await redactSession(values.map((value, n) => typed(n + 1, value, { id: "a1" })));
    expect(redacted.map(({ input }) => input?.value)).toEqual(["<EMAIL_1>", "<EMAIL_1>", "<EMAIL_1>"]);
  });

  test("and then replaced is a value of its own, gone everywhere", async () => {
    const first = { name: "first_name" };
    const texts = await textsAfter([typed(1, "Annalise", first), typed(2, "Ann", first), shows(3, "Ann was Annalise")]);
    expect(texts[2]).toBe("<PERSON_2> was <PERSON_1>");
  });

  test("into a password field goes, whatever the collector said of it", async () => {
    const password = { type: "password", id: "pw" };
    const events = [
      typed(1, "hunter2!", password),
      typed(2, "••••••••", password, { masked: true }),
      typed(3, "[REDACTED]", password, { masked: true }),
      shows(4, "hunter2! is written below, as is [REDACTED]"),
    ];
    const output = await redactSession(events);
    expect(output.events.map(({ input }) => input?.value)).toEqual(["<SECRET_1>", "****", "****", undefined]);
    expect(output.events[3]?.target?.text).toBe("<SECRET_1> is written below, as is [REDACTED]");
  });

  test("into a search box, a quantity or a select of countries stays", async () => {
    const events = [
      typed(1, "desk lamp", { type: "search", name: "q" }),
      typed(2, "2", { type: "number", name: "quantity" }),
      typed(3, "US", { autocomplete: "country" }, { kind: "select-one" }),
    ];
    const { events: redacted, report } = await redactSession(events);
    expect(redacted).toEqual(events);
    expect(report.values).toEqual({});
  });

  test("a field is known by its id where an event tells no more of it", async () => {
    const bare = { selectors: [], attributes: [{ name: "id", value: "surname" }], ancestors: [], tag: "input" };
    const other = sessionEvent(2, {
      after: stateWith("Whitlock"),
      target: { ...bare, attributes: [{ name: "id", value: "f7" }] },
    });
    const { events } = await redactSession([typed(1, "Smythe", { id: "f7", autocomplete: "family-name" }), other]);
    expect(events[1]?.after?.value).toBe("<PERSON_2>");
  });

  test("a value too common to be looked for elsewhere goes from its own field", async () => {
    const events = [typed(1, "123", { autocomplete: "cc-csc" }), shows(2, "123 results"), shows(3, "123")];
    const output = await redactSession(events);
    expect(output.events.map(({ input, target }) => input?.value ?? target?.text)).toEqual([
      "<SECRET_1>",
      "123 results",
      "<SECRET_1>",
    ]);
  });
});

test("a value that a text breaks off within goes as far as it is there", async () => {
  const texts = await textsAfter([
    typed(1, "dana.whitlock@example.com", { type: "email" }),
    shows(2, "Thank you. We sent a mail to dana.whitlock@exa"),
    shows(3, "dana.whi"),
  ]);
  expect(texts.slice(1)).toEqual(["Thank you. We sent a mail to <EMAIL_1>", "dana.whi"]);
});

describe("names", () => {
  test("go by their parts too, where these are long enough and written as names", async () => {
    const texts = await textsAfter([
      typed(1, "Dana Rose Whitlock", { autocomplete: "name" }),
      shows(2, "Hi Dana, the WHITLOCK order has a rose in it; Whitlocks' rosewood; Whitlock, Dana"),
    ]);
    expect(texts[1]).toBe(
      "Hi <PERSON_1>, the <PERSON_1> order has a rose in it; Whitlocks' rosewood; <PERSON_1>, <PERSON_1>",
    );
  });

  test("that are words are taken for names only as they were written", async () => {
    const texts = await textsAfter([typed(1, "Will", { name: "firstname" }), shows(2, "Will you? I will, said Will.")]);
    expect(texts[1]).toBe("<PERSON_1> you? I will, said <PERSON_1>.");
  });

  test("of people in what stands around are as gone as in texts", async () => {
    const elements: PageElement[] = [{ text: "Signed in as Dana Whitlock", attributes: [] }];
    const output = await redactSession([sessionEvent(1, { elements }), shows(2, "Orders of dana-whitlock")], {
      task: "Order for Dana Whitlock",
    });
    expect(survivals(output, "whitlock")).toEqual([]);
  });
});

describe("key presses", () => {
  test("into a personal field say no character; those that do something stay", async () => {
    const name = field({ autocomplete: "name", id: "n" });
    const events = [..."Al"].map((key, at) => pressed(at + 1, key, name));
    const { events: redacted } = await redactSession([
      ...events,
      pressed(3, "Backspace", name),
      pressed(4, "a", name, { ctrl: true }),
      pressed(5, "@", name, { ctrl: true, alt: true }),
      pressed(6, "Enter", name),
    ]);
    expect(redacted.map(({ key }) => key?.key)).toEqual([
      "Unidentified",
      "Unidentified",
      "Backspace",
      "a",
      "Unidentified",
      "Enter",
    ]);
    expect(redacted.map(({ key }) => key?.code)).toEqual(["", "", "Backspace", "a", "", "Enter"]);
  });

  test("are all that tells what was typed into some fields, and it goes everywhere else too", async () => {
    const street = field({ autocomplete: "street-address", id: "s" });
    const keys = [..."Kirchwegg", "Backspace", ..." 12", "Tab"];
    const presses = keys.map((key, at) => pressed(at + 1, key, street));
    const { events } = await redactSession([...presses, shows(99, "Deliver to Kirchweg 12?")]);
    expect(events.at(-1)?.target?.text).toBe("Deliver to <ADDRESS_1>?");
  });

  test("that look for a word of a list are silent, and the word stays elsewhere", async () => {
    const city = field({ autocomplete: "address-level2", id: "c" }, { tag: "select" });
    const { events } = await redactSession([
      ...[..."Harwich"].map((key, at) => pressed(at + 1, key, city)),
      shows(99, "Shops in Harwich"),
    ]);
    expect(events.slice(0, -1).every(({ key }) => key?.key === "Unidentified")).toBe(true);
    expect(events.at(-1)?.target?.text).toBe("Shops in Harwich");
  });

  test("that spell a value anywhere are silent, with what was taken back; the others are not", async () => {
    const keys = ["h", "i", "Enter", ..."dana@@", "Backspace", ..."example.com", "Enter", "o", "k"];
    const { events: redacted } = await redactSession(keys.map((key, at) => pressed(at + 1, key)));
    expect(redacted.map(({ key }) => (key?.key === "Unidentified" ? "?" : key?.key)).join(" ")).toBe(
      `h i Enter ${"? ".repeat(6)}Backspace ${"? ".repeat(11)}Enter o k`,
    );
  });

  test("are as silent when they are told again as they are released", async () => {
    const released = (n: number, key: string) => ({ ...pressed(n, key), type: "custom", customType: "keyup" }) as const;
    const value = [..."dana@example.com"].flatMap((key, at) => [pressed(2 * at + 1, key), released(2 * at + 2, key)]);
    const others = [pressed(90, "Enter"), released(91, "Enter"), pressed(92, "k"), released(93, "k")];
    const { events: redacted } = await redactSession([...value, ...others, released(94, "w")]);
    expect(redacted.map(({ key }) => (key?.key === "Unidentified" ? "?" : key?.key)).join(" ")).toBe(
      `${"? ".repeat(32)}Enter Enter k k ?`,
    );
  });

  test("that spell a name known from a form are silent too", async () => {
    const presses = [..."Dana Whitlock"].map((key, at) => pressed(at + 2, key));
    const { events: redacted } = await redactSession([typed(1, "Dana Whitlock", { autocomplete: "name" }), ...presses]);
    expect(redacted.slice(1).every(({ key }) => key?.key === "Unidentified")).toBe(true);
  });
});

describe("masks", () => {
  test("are all of one length", async () => {
    const lengths = [3, 8, 20];
    const events = lengths.map((length, n) => shows(n + 1, `Password ${"•".repeat(length)} and ${"*".repeat(length)}`));
    expect(new Set(await textsAfter(events))).toEqual(new Set(["Password **** and ****"]));
    const held = lengths.map((length, n) => typed(n + 1, "•".repeat(length), { type: "password" }));
    const { events: redacted } = await redactSession(held);
    expect(new Set(redacted.map(({ input }) => JSON.stringify(input)))).toEqual(
      new Set(['{"value":"****","masked":true,"kind":"password"}']),
    );
  });
});

describe("allow and deny", () => {
  test("what is allowed stays: a text in any spelling, a pattern from end to end", async () => {
    const params = { allow: ["help@shop.example.com", { pattern: "555[ -]0199" }] };
    const text = "help@shop.example.com, HELP%40shop.example.com, call 555-0199, dana@example.com, 555-0199-77";
    expect(await textsAfter([shows(1, text)], params)).toEqual([
      "help@shop.example.com, HELP%40shop.example.com, call 555-0199, <EMAIL_1>, 555-0199-77",
    ]);
  });

  test("what is denied goes, in any spelling, wherever a pattern fits", async () => {
    const params = { deny: ["Project Kestrel", { pattern: String.raw`\bEMP-\d{4}\b` }] };
    expect(await textsAfter([shows(1, "project-kestrel by EMP-1234; /project%20KESTREL/emp-1234")], params)).toEqual([
      "<CUSTOM_1> by <CUSTOM_2>; /<CUSTOM_1>/<CUSTOM_2>",
    ]);
  });

  test("a pattern is one of RE2, and told when it is none", () => {
    const given = { deny: [{ pattern: "(" }, { pattern: "(?=x)" }, "--"] };
    const issues = redact.params.safeParse(given).error?.issues ?? [];
    expect(issues.map(({ path }) => path.join("."))).toEqual(["deny.0.pattern", "deny.1.pattern", "deny.2"]);
  });

  test("a pattern that would never end in another engine does", async () => {
    const text = `${"a".repeat(50_000)}!`;
    expect(await textsAfter([shows(1, text)], { deny: [{ pattern: "(a+)+$" }] })).toEqual([text]);
  });
});

describe("the report", () => {
  test("tells what was found by kind and place, and no value", async () => {
    const { report } = await redactSession(
      [typed(1, "dana@example.com", { type: "email" }), shows(2, "dana@example.com, kim@example.com")],
      { task: "Write to dana@example.com" },
    );
    expect(report).toEqual({
      values: { email: 2 },
      places: [
        { place: "input.value", kind: "email", count: 1 },
        { place: "session.task", kind: "email", count: 1 },
        { place: "target.text", kind: "email", count: 2 },
      ],
      screenshots: { painted: 0, clean: 0, withheld: [], boxes: 0 },
    });
    expect(textsOf(report).filter(({ text }) => text.includes("@"))).toEqual([]);
  });
});

function stateWith(value: string) {
  return { value, checked: false, focused: true, disabled: false, visible: true, expanded: false, selected: false };
}
