import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import type { Action } from "../../../src/core/pipeline/outputs.ts";
import { reduceEvents } from "./acts.ts";
import { importedFrom, validated } from "./recorded.ts";

const RECORDING = fileURLToPath(new URL("../../../../shared/data/agentnet/raw-recording/", import.meta.url));

/**
 * What AgentNet's own pipeline made of a recording. Its final file is reduced_events_complete, which a
 * person went through: 14 actions of those that the pipeline found, by their ids from 0. Its buffer
 * has presses and releases as entries of their own, and turns of the wheel put together.
 */
const PLACE = z.object({ x: z.number(), y: z.number() });
const FINAL = z.object({
  id: z.number(),
  action: z.string(),
  event_start_idx: z.number(),
  start_time: z.number(),
  end_time: z.number(),
  description: z.string(),
  target: z.object({ title: z.string() }).optional(),
  click_type: z.number().optional(),
  button: z.string().optional(),
  coordinate: PLACE.optional(),
  trace: z.array(PLACE.extend({ dx: z.number(), dy: z.number() })).optional(),
});
const BUFFER = z.object({ action: z.string(), event_idx: z.number(), pressed: z.boolean().optional() });

/** What an action comes to, in the words of both. */
interface Act {
  /** Which raw event began it. */
  readonly event: number;
  readonly kind: string;
  readonly button?: number;
  readonly point?: { readonly x: number; readonly y: number };
  readonly to?: { readonly x: number; readonly y: number };
  readonly delta?: { readonly x: number; readonly y: number };
  readonly startMs: number;
  readonly endMs: number;
  readonly name?: string;
}

/** What we tell and the final file does not, by the raw event that begins it, and why. */
const ONLY_OURS: ReadonlyMap<number, string> = new Map([
  [1089, "click: a person took it out, as it strays"],
  [1172, "click: the same"],
  [1450, "click: the same"],
  [2927, "click: the same"],
  [2981, "click: the same"],
  [3040, "click: the same"],
  [3100, "click: the same"],
  [3102, "click: the same"],
  [3160, "scroll: the same"],
  [4082, "scroll: a person took it out, as the task was done"],
  [4089, "scroll: the same; the pipeline has it as part of the one before, though it goes back up"],
  [4095, "hotkey: the keys that stopped the recorder, which the pipeline cuts off before it begins"],
]);

/** Where both tell the same action and say another thing of it, and why. */
const SAID_OTHERWISE = [
  "drag at 245: name: the pipeline looks for the element of clicks alone; the recorder saw the slider",
  "scroll at 682: endMs: the pipeline lets a scroll end 0.2 s after its last turn",
];

describe("a raw recording of AgentNet", () => {
  beforeEach((context) => {
    if (!existsSync(RECORDING)) context.skip("no AgentNet recordings at ../shared/data/agentnet");
  });

  function read<T>(name: string, row: z.ZodType<T>): T[] {
    const lines = readFileSync(`${RECORDING}${name}.jsonl`, "utf8").trimEnd().split("\n");
    return lines.map((line) => row.parse(JSON.parse(line)));
  }

  async function reduced() {
    const [recording] = await importedFrom(RECORDING);
    if (recording === undefined) throw new Error("no recording");
    const { session, events, dropped } = await validated(recording);
    expect([events.length, dropped.length]).toEqual([4099, 0]);
    return reduceEvents(session, events);
  }

  test("is reduced to the actions of the reference's final file, and to twelve more, each with its reason", async () => {
    const { actions } = await reduced();
    const ours = new Map(actions.map(told).map((act) => [act.event, act]));
    const final = read("reduced_events_complete", FINAL).map(expected);
    expect(final).toHaveLength(14);

    // In the same order: those that both have.
    const events = final.map(({ event }) => event);
    expect([...ours.keys()].filter((event) => !ONLY_OURS.has(event))).toEqual(events);
    expect([...ours.keys()].filter((event) => ONLY_OURS.has(event))).toEqual([...ONLY_OURS.keys()]);
    for (const [event, reason] of ONLY_OURS) expect(reason).toMatch(new RegExp(`^${ours.get(event)?.kind}: `));

    let [facts, agreed] = [0, 0];
    const differing: string[] = [];
    for (const theirs of final) {
      const own = ours.get(theirs.event);
      for (const fact of FACTS) {
        if (own?.[fact] === undefined && theirs[fact] === undefined) continue;
        facts += 1;
        if (JSON.stringify(own?.[fact]) === JSON.stringify(theirs[fact])) agreed += 1;
        else differing.push(`${theirs.kind} at ${theirs.event}: ${fact}`);
      }
    }
    expect(differing).toEqual(SAID_OTHERWISE.map((line) => line.split(": ").slice(0, 2).join(": ")));
    // Kind, button, places, distance, times and name: 98% of them.
    expect([agreed, facts]).toEqual([80, 82]);
  });

  test("loses none of the 46 entries that the pipeline's buffer has of it, and no move of the pointer", async () => {
    const { actions, unused } = await reduced();
    const buffer = read("event_buffer", BUFFER);
    expect(buffer).toHaveLength(46);
    const begun = buffer.filter(({ action, pressed }) => action === "scroll" || pressed === true);
    const ours = actions.map(told).filter(({ kind }) => kind !== "hotkey");
    expect(ours.map(({ event }) => event)).toEqual(begun.map(({ event_idx }) => event_idx));
    const released = actions
      .filter(({ kind }) => kind === "click" || kind === "drag")
      .map(({ events }) => events.at(-1));
    const releases = buffer.filter(({ pressed }) => pressed === false);
    expect(released.map((ref) => ref && ref.seq - 1)).toEqual(releases.map(({ event_idx }) => event_idx));
    expect(actions.reduce((sum, { events }) => sum + events.length, 0) + unused.length).toBe(4099);
    expect([...new Set(unused.map(({ code }) => code))]).toEqual(["POINTER_MOVE"]);
    expect(actions.at(-1)).toMatchObject({ kind: "hotkey", value: "ctrl+alt+t", inferred: ["SYNTHETIC_RELEASE"] });
  });

  const FACTS = ["kind", "button", "point", "to", "delta", "startMs", "endMs", "name"] as const;

  function told({ kind, button, point, to, delta, startMs, endMs, element, events: [first] }: Action): Act {
    return {
      event: (first?.seq ?? 0) - 1,
      kind,
      ...(button !== undefined && { button }),
      ...(point && { point: { x: point.x, y: point.y } }),
      ...(to && { to: { x: to.x, y: to.y } }),
      ...(delta && { delta }),
      startMs: startMs - ORIGIN_MS,
      endMs: endMs - ORIGIN_MS,
      ...(element?.name !== undefined && { name: element.name }),
    };
  }

  /** Where the recorder's clock stood at 0. */
  const ORIGIN_MS = Date.parse("2024-11-05T18:56:31Z") - 30_673_604;

  function expected(action: z.output<typeof FINAL>): Act {
    const { coordinate, trace = [], target, button, description } = action;
    const [, toX, toY] = /^Drag from .* to \((\d+), (\d+)\)$/.exec(description) ?? [];
    const turns = trace.reduce((sum, { dx, dy }) => ({ x: sum.x + dx, y: sum.y - dy }), { x: 0, y: 0 });
    const [first] = trace;
    const point = coordinate ?? (first && { x: first.x, y: first.y });
    expect(action.click_type ?? 1).toBe(1);
    return {
      event: action.event_start_idx,
      kind: action.action,
      ...(button !== undefined && { button: button === "right" ? 2 : 0 }),
      ...(point && { point }),
      ...(toX !== undefined && { to: { x: Number(toX), y: Number(toY) } }),
      ...(trace.length > 0 && { delta: turns }),
      startMs: Math.round(action.start_time * 1000),
      endMs: Math.round(action.end_time * 1000),
      ...(target && { name: target.title }),
    };
  }
});
