import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { z } from "zod";
import type { SessionEvent } from "../../../../src/core/pipeline/recorded.ts";
import { redactSession, sessionEvent, survivals, textsOf } from "./sessions.ts";

const RECORDINGS = new URL("../../../../../shared/data/codesight/", import.meta.url);
const FILES = ["sessions-retail-3.json", "session-nordstrom-with-screenshot-rows.json"];

const TEXT = z
  .string()
  .nullish()
  .transform((text) => text ?? "");
const NEIGHBOUR = z.looseObject({ tagName: TEXT, text: TEXT });
const INTERACTION = z.looseObject({
  context: z.looseObject({ url: TEXT, pageTitle: TEXT }).optional(),
  selectors: z.record(z.string(), z.unknown()).default({}),
  element: z.looseObject({
    tag: TEXT,
    text: TEXT,
    attributes: z.record(z.string(), z.unknown()).default({}),
    nearbyElements: z.array(NEIGHBOUR).default([]),
    siblingElements: z.array(NEIGHBOUR).default([]),
    parentElements: z.array(NEIGHBOUR).default([]),
  }),
});
const SESSION = z.looseObject({ enhancedInteractions: z.array(INTERACTION), config: z.unknown() });

/** What an importer makes of an interaction, in the parts that hold text. */
function eventOf({ context, selectors, element }: z.output<typeof INTERACTION>, at: number): SessionEvent {
  const { tag, text, attributes, parentElements, nearbyElements, siblingElements } = element;
  return sessionEvent(at + 1, {
    page: { url: context?.url ?? "", title: context?.pageTitle ?? "", scroll: { x: 0, y: 0 } },
    target: {
      selectors: Object.values(selectors).flatMap((value) =>
        typeof value === "string" ? [{ kind: "css", value, reliability: 1 }] : [],
      ),
      tag,
      text,
      attributes: Object.entries(attributes).map(([name, value]) => ({ name, value: String(value) })),
      ancestors: parentElements.map((parent) => ({ tag: parent.tagName, name: parent.text, attributes: [] })),
    },
    elements: [...nearbyElements, ...siblingElements].map((near) => ({
      tag: near.tagName,
      text: near.text,
      attributes: [],
    })),
  });
}

test("of real shopping sessions go the values that pages echo, and little else", async (context) => {
  if (!existsSync(RECORDINGS)) context.skip("no recordings at ../shared/data/codesight");
  const sessions = FILES.flatMap((file) =>
    z
      .array(SESSION)
      .or(SESSION.transform((one) => [one]))
      .parse(JSON.parse(readFileSync(new URL(file, RECORDINGS), "utf8"))),
  );
  const values = [
    "dana.whitlock@example.com",
    "danawhitlock@gmail",
    "(206) 555-0140",
    "1418 Alder Crest Ln",
    "98402",
    "DnobDQCm5JUcKkHnVm3uMGonrNZGmwEnDqPhukd",
  ];
  const found = new Set<string>();
  const needless: unknown[] = [];
  let all = 0;
  for (const { enhancedInteractions, config } of sessions) {
    const events = enhancedInteractions.map(eventOf);
    const task = JSON.stringify(config);
    const output = await redactSession(events, { task });
    for (const value of values) {
      if (survivals({ events, task }, value).length > 0) found.add(value);
      expect(survivals(output, value)).toEqual([]);
    }
    const before = textsOf(events).filter(({ path }) => !path.endsWith("page.url"));
    const after = new Map(textsOf(output.events).map(({ path, text }) => [path, text]));
    all += before.length;
    const changed = before.filter(({ path, text }) => text !== after.get(path));
    needless.push(...changed.filter(({ text }) => values.every((value) => survivals(text, value).length === 0)));
  }
  expect([...found].sort()).toEqual([...values].sort());
  expect(all).toBeGreaterThan(3000);
  expect(needless).toEqual([]);
});
