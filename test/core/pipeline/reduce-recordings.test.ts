import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { canonicalJson, sha256 } from "../../../src/core/pipeline/canonical.ts";
import type { Action } from "../../../src/core/pipeline/outputs.ts";
import { reduceEvents } from "./acts.ts";
import { expressed } from "./expressed.ts";
import { importedFrom, validated } from "./recorded.ts";

const SAMPLE = fileURLToPath(new URL("../../../dev/sample/", import.meta.url));
const AGENTNET = fileURLToPath(new URL("../../../../shared/data/agentnet/", import.meta.url));
const CODESIGHT = fileURLToPath(new URL("../../../../shared/data/codesight/", import.meta.url));
const there = existsSync(AGENTNET);

describe("the sample", () => {
  test("is reduced to what was done, action by action", async () => {
    const sessions = await Promise.all((await importedFrom(SAMPLE)).map(validated));
    expect(sessions.map(({ session }) => session.id)).toEqual([
      "filter-and-compare",
      "return-policy-lookup",
      "search-and-buy",
    ]);
    for (const { session, events } of sessions) {
      const { actions, unused } = reduceEvents(session, events);
      const lines = [...actions.map(brief), ...unused].map((line) => `${canonicalJson(line)}\n`);
      await expect(lines.join("")).toMatchFileSnapshot(`golden/${session.id}.ndjson`);
      expect(actions.filter(({ screenshot }) => screenshot === undefined)).toEqual([]);
    }
  });

  test("comes out the same when what was done is told once more", async () => {
    for (const { session, events } of await Promise.all((await importedFrom(SAMPLE)).map(validated))) {
      const { actions } = reduceEvents(session, events);
      expect(reduceEvents(session, expressed(actions)).actions.map(essence)).toEqual(actions.map(essence));
    }
  });
});

/** What a person would check: not when and where on the screen, which each recording anew has otherwise. */
function brief({ kind, value, masked, element, delta, navigatedTo, name, inferred, events, targets }: Action) {
  const told = { kind, value, masked, element, delta, navigatedTo, name, inferred };
  const known = Object.fromEntries(Object.entries(told).filter(([, each]) => each !== undefined));
  const ways = targets.filter((target) => target.kind !== "box").map((target) => `${target.kind} ${target.value}`);
  return { ...known, events: events.map(({ seq }) => seq), targets: ways };
}

function essence({ kind, value, masked, targets, element, navigatedTo, name }: Action) {
  return { kind, value, masked, targets, element, navigatedTo, name };
}

describe("AgentNet trajectories", () => {
  /** Kinds in order, and the hash of all that was made of them: what was recorded stays where it is. */
  const GOLDEN = [
    ["bench", "click type key click click type key click hover scroll click click click other", "429ae06ed5ebbf2b"],
    ["bench", "click type click hover scroll click click other", "6b6ba8b355f32753"],
    [
      "cot",
      "click click click hover drag click hover scroll click click click click click click click click other",
      "19769978b3cd91bf",
    ],
  ];

  test("pass through as they are, one action an event, each with its step's screenshot", async (context) => {
    if (!there) context.skip("no AgentNet recordings at ../shared/data/agentnet");
    const found: string[][] = [];
    for (const part of ["bench", "cot"]) {
      for (const { session, events } of await Promise.all((await importedFrom(`${AGENTNET}${part}`)).map(validated))) {
        const output = reduceEvents(session, events);
        const { actions } = output;
        expect(actions.map((action) => action.events)).toEqual(events.map(({ ref }) => [ref]));
        expect(actions.filter(({ screenshot }) => screenshot === undefined)).toEqual([]);
        found.push([part, actions.map(({ kind }) => kind).join(" "), sha256(canonicalJson(output)).slice(0, 16)]);
      }
    }
    expect(found).toEqual(GOLDEN);
  });
});

describe("real shopping sessions", () => {
  /** Kinds with their number, and what was left out: what was recorded stays where it is. */
  const GOLDEN = {
    session_1753397218246_hxcnmlv6i: {
      actions: { click: 27 },
      unused: { FOCUS_NOISE: 31, KEY_UNKNOWN: 2, DUPLICATE_EVENT: 1 },
      ledElsewhere: 5,
      named: 14,
    },
    session_1753910685015_fzus42zei: {
      actions: { click: 27, type: 2, navigate: 1 },
      unused: { FOCUS_NOISE: 33, DUPLICATE_EVENT: 1 },
      ledElsewhere: 6,
      named: 17,
    },
    session_1753897349098_p9o66xuwm: {
      actions: { click: 22 },
      unused: { FOCUS_NOISE: 22 },
      ledElsewhere: 14,
      named: 10,
    },
    session_1753894420339_mkfvw24za: {
      actions: { click: 32 },
      unused: { FOCUS_NOISE: 29 },
      ledElsewhere: 29,
      named: 30,
    },
  };

  test("are reduced to what the shopper did", async (context) => {
    if (!existsSync(CODESIGHT)) context.skip("no recordings at ../shared/data/codesight");
    const found: Record<string, unknown> = {};
    for (const { session, events } of await Promise.all((await importedFrom(CODESIGHT)).map(validated))) {
      const { actions, unused } = reduceEvents(session, events);
      found[session.id] = {
        actions: countBy(actions, ({ kind }) => kind),
        unused: countBy(unused, ({ code }) => code),
        ledElsewhere: actions.filter(({ navigatedTo }) => navigatedTo !== undefined).length,
        named: actions.filter(({ element }) => element?.role !== undefined && element.name !== undefined).length,
      };
    }
    expect(found).toEqual(GOLDEN);
  });

  function countBy<T>(list: readonly T[], by: (each: T) => string): Record<string, number> {
    return Object.fromEntries([...Map.groupBy(list, by)].map(([name, group]) => [name, group.length]));
  }
});
