import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fromBinary } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { checkEvent } from "../../../src/core/session/event-check.ts";
import { EventSchema } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { never } from "../../fixtures.ts";
import { collect, eventsOf, nameOf, only } from "./reading.ts";

const REAL = fileURLToPath(new URL("../../../../shared/data/agentnet/raw-recording/", import.meta.url));

describe("a real raw recording", () => {
  beforeEach((context) => {
    if (!existsSync(REAL)) context.skip("no AgentNet recordings at ../shared/data/agentnet");
  });

  const linesOf = (name: string): string[] =>
    readFileSync(`${REAL}${name}.jsonl`, "utf8")
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "");

  test("tells every line as an event that the daemon takes, at its own time and place", async () => {
    const recording = await only(REAL);
    const recorded = await collect(recording.events(1n, never));
    expect(recorded.map(({ seq }) => seq)).toEqual(linesOf("events").map((_, index) => BigInt(index + 1)));
    for (const { event, seq } of recorded) expect(checkEvent(event, seq, DEFAULT_LIMITS)).toHaveProperty("facts");
    const events = recorded.map(({ event }) => fromBinary(EventSchema, event));
    const lines = linesOf("events").map((line) => JSON.parse(line));
    // Its clock began 30,673.604 s before 18:56:31.
    const begin = Date.parse("2024-11-05T18:56:31Z") - 30_673_604;
    expect(events.map(({ id, timeMs }) => [id, Number(timeMs) - begin])).toEqual(
      lines.map(({ event_idx, time_stamp }) => [String(event_idx), Math.round(time_stamp * 1000)]),
    );
    expect(events.map(({ pointer }) => pointer && [pointer.x, pointer.y])).toEqual(
      lines.map(({ x, y }) => (x === undefined ? undefined : [x, y])),
    );
    expect(countBy(events, ({ type, customType }) => `${nameOf(type)} ${customType}`)).toEqual({
      "CUSTOM mousemove": 4034,
      "CUSTOM mousedown": 21,
      "CUSTOM mouseup": 21,
      "SCROLL ": 19,
      "KEY ": 3,
      "CUSTOM keyup": 1,
    });
    expect(await recording.account(never)).toEqual({ items: 4230, told: 4099, context: 131, duplicate: 0 });
    expect(recording.where(4099n)).toMatch(/events\.jsonl:4099$/);
  });

  test("keeps every line, and every row beside them once, to the letter", async () => {
    const [moves, others] = [[] as string[], [] as string[]];
    for (const { customType, rawJson } of await eventsOf(await only(REAL))) {
      (customType === "mousemove" ? moves : others).push(rawJson);
    }
    const lines = linesOf("events");
    expect(moves).toEqual(lines.filter((line) => line.includes('"move"')));
    const kept = others.join("\n");
    for (const name of ["element", "a11y", "top_window"]) {
      for (const row of linesOf(name)) expect(kept.split(row)).toHaveLength(2);
    }
    for (const line of lines.filter((line) => !line.includes('"move"'))) expect(kept).toContain(line);
    for (const raw of others) expect(JSON.parse(raw)).not.toHaveProperty("leftOut");
  });

  test("gives the same bytes each time, from any event on, and from the file as from the directory", async () => {
    const recording = await only(REAL);
    const all = await collect(recording.events(1n, never));
    for (const from of [72, 4099, 4100]) {
      expect(await collect(recording.events(BigInt(from), never))).toEqual(all.slice(from - 1));
    }
    const file = await only(`${REAL}events.jsonl`);
    expect([file.session, file.info]).toEqual([recording.session, recording.info]);
    expect(await collect(file.events(1n, never))).toEqual(all);
  });

  test("tells the element that was pressed where the recorder found one around the place", async () => {
    const pressed = (await eventsOf(await only(REAL))).filter(({ customType }) => customType === "mousedown");
    expect(pressed.map(({ target }) => target && `${target.role} ${target.name}`.trim())).toEqual([
      "button Action Centre, No new notifications (Off)",
      "button Night light",
      "Go to Settings",
      "slider Change brightness for the built-in display",
      "button Night light",
      "100% (Recommended)",
      "125%",
      "",
      // From here on the screen is scaled: the recorder looks for places that it counts otherwise.
      "button Close",
      "Settings",
      undefined,
      undefined,
      undefined,
      "group Multiple displays",
      "button Close",
      "Settings",
      undefined,
      undefined,
      "listitem Projecting to this PC",
      "",
      "button Settings – 1 running window",
    ]);
    expect(pressed[3]?.target).toMatchObject({ box: { x: 344, y: 183, width: 280, height: 32 }, ancestors: [] });
    expect(pressed[13]?.target?.ancestors).toMatchObject([{ name: "", attributes: [{ value: "PaneControl" }] }]);
    for (const { target, pointer } of pressed) {
      if (target?.box === undefined || pointer === undefined) continue;
      const { x, y, width, height } = target.box;
      expect(pointer.x >= x && pointer.x <= x + width && pointer.y >= y && pointer.y <= y + height).toBe(true);
    }
  });

  test("tells what windows showed with the first event after, and says what the format has not", async () => {
    const recording = await only(REAL);
    const shown = (await eventsOf(recording)).filter(({ elements }) => elements.length > 0);
    // 32 trees; once two of them came before one event.
    expect(shown).toHaveLength(31);
    expect(shown[0]?.elements[0]).toMatchObject({ name: "Taskbar", box: { x: 0, y: 728, width: 1366, height: 40 } });
    expect(shown.flatMap(({ elements }) => elements).filter(({ name }) => name === "")).toEqual([]);
    expect(recording.absent).toEqual([
      "screenshots: the screen is in a video",
      "pages",
      "selectors",
      "distances of scrolls but in notches of the wheel",
      "the time zone",
    ]);
    expect(recording.info.task).toMatch(/^Open the system display settings/);
    expect(JSON.parse(recording.info.rawJson).metadata.screen_width).toBe(1366);
  });
});

function countBy<T>(list: readonly T[], by: (each: T) => string): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(list, by)].map(([name, group]) => [name, group.length]));
}
