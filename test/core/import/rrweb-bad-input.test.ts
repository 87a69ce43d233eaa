import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { openRecordings } from "../../../src/core/import/importer.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { checkEvent } from "../../../src/core/session/event-check.ts";
import { EventType } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { never } from "../../fixtures.ts";
import { collect } from "./reading.ts";
import {
  add,
  BODY,
  el,
  fileOf,
  input,
  mouse,
  mutation,
  opened,
  page,
  START,
  text,
  timed,
  told,
} from "./rrweb-events.ts";

const SAVE = el(10, "button", { id: "save" }, text(11, "Save"));
const ALL = [...page([SAVE]), ...timed([mouse("click", 10), mouse("click", 10)])];

/** What was told before the error, and the error. */
async function readUntilError(path: string) {
  const seqs: bigint[] = [];
  try {
    for await (const { seq } of (await opened(path)).events(1n, never)) seqs.push(seq);
  } catch (error) {
    return { seqs, error };
  }
  return { seqs, error: undefined };
}

describe("a damaged rrweb file", () => {
  test("that was cut off is told as far as it goes, and the error says where that is", async () => {
    const json = JSON.stringify(ALL);
    const path = fileOf(json.slice(0, -30));
    const { seqs, error } = await readUntilError(path);
    expect(seqs).toEqual([1n, 2n]);
    expect(error).toMatchObject({ code: "invalid_argument", reason: "BAD_CAPTURE", metadata: { path } });
    expect(String(error)).toContain(`cut off, at byte ${json.length - 30}`);
    const zipped = gzipSync(json);
    const cut = await readUntilError(fileOf(zipped.subarray(0, -20)));
    expect(cut.error).toMatchObject({ reason: "BAD_CAPTURE" });
    expect(String(cut.error)).toContain("gzip data is damaged or cut off");
  });

  test("that is no UTF-8 is refused, and no value of it is told", async () => {
    const [head = "", tail = ""] = JSON.stringify([...ALL, { ...input(10, "@"), timestamp: START + 9000 }]).split("@");
    const { seqs, error } = await readUntilError(
      fileOf(Buffer.concat([Buffer.from(head), Buffer.from([0xff]), Buffer.from(tail)])),
    );
    expect(seqs).toEqual([1n, 2n, 3n]);
    expect(error).toMatchObject({ reason: "BAD_CAPTURE" });
    expect(String(error)).toContain("it is not UTF-8");
  });

  test("that unpacks to far more than it is, or holds an item larger than memory should, is refused", async () => {
    const first = JSON.stringify(ALL[0]);
    const bomb = gzipSync(`${first}${" ".repeat(80 * 1024 * 1024)}`);
    expect(String((await readUntilError(fileOf(bomb))).error)).toContain("unpacks to more than 200 times its size");
    const large = `[${first},${JSON.stringify({ ...mouse("click", 10), timestamp: START, pad: "x".repeat(33 * 1024 * 1024) })}]`;
    expect(String((await readUntilError(fileOf(large))).error)).toMatch(
      /a value at byte \d+ or after it is longer than/,
    );
  });

  test("has each item that is no event set aside with its record, and the others read", async () => {
    const items = [
      JSON.stringify(ALL[0]),
      '{"type":3,"data":{"source":2,"x":NaN}}',
      "null",
      '"x"',
      '{"type":99,"data":{}}',
      '{"type":3}',
      "{}",
    ];
    const events = await told(fileOf(items.join("\n")));
    expect(events.map(({ type, rawJson }) => [type, rawJson])).toEqual([
      [EventType.NAVIGATION, items[0]],
      ...items.slice(1).map((item) => [EventType.UNSPECIFIED, item]),
    ]);
    const recording = await opened(fileOf(items.join("\n")));
    for (const { seq, event } of await collect(recording.events(2n, never))) {
      expect(checkEvent(event, seq, DEFAULT_LIMITS)).toMatchObject({ flaw: { path: "type" } });
    }
    expect(await recording.account(never)).toEqual({ items: 7, told: 7, context: 0, duplicate: 0 });
  });

  test("with halves of letters has U+FFFD for them wherever they come to stand", async () => {
    const half = "\\ud83d";
    const json = JSON.stringify([
      ...page([el(10, "button", { id: "@", "aria-label": "@" }, text(11, "@"))]),
      ...timed([{ type: 5, data: { tag: "@", payload: {} } }, mouse("click", 10), input(10, "@")]),
    ]).replaceAll("@", half);
    const recording = await opened(fileOf(json));
    const events = await collect(recording.events(1n, never));
    expect(
      events.map(({ seq, event }) => checkEvent(event, seq, DEFAULT_LIMITS)).filter((check) => "flaw" in check),
    ).toEqual([]);
    expect((await told(fileOf(json))).map((event) => event.target?.name)).toEqual([
      undefined,
      undefined,
      "\ufffd",
      "\ufffd",
    ]);
  });

  test("that nests without end is read, and what is told of it set aside where it is too deep", async () => {
    const levels = Array.from(
      { length: 20_000 },
      (_, level) => `{"type":2,"tagName":"div","id":${100 + level},"childNodes":[`,
    );
    const deep = `${levels.join("")}${JSON.stringify(el(50, "b", {}, text(51, "deep")))}${"]}".repeat(levels.length)}`;
    const changes = [mutation({ adds: [add(BODY, { deep: "here" })] }), mouse("click", 50)];
    const json = JSON.stringify([...page([]), ...timed(changes)]).replace('{"deep":"here"}', deep);
    expect((await told(fileOf(json))).at(-1)?.target).toMatchObject({ tag: "b", text: "deep" });
    const brackets = `${'{"type":5,"data":{"tag":"t","payload":'}${"[".repeat(100_000)}${"]".repeat(100_000)}},"timestamp":${START}}`;
    const recording = await opened(fileOf(`${JSON.stringify(ALL[0])}\n${brackets}`));
    const [event] = await collect(recording.events(2n, never));
    expect(checkEvent(event?.event ?? new Uint8Array(), 2n, DEFAULT_LIMITS)).toMatchObject({
      flaw: { path: "raw_json" },
    });
  });
});

test("what is no rrweb recording is left to other formats, or refused", async () => {
  const others = [
    "",
    "[]",
    "[1]",
    '{"type":"before","callId":"call@1"}',
    '{"type":3}',
    '[{"type":3,"data":[]}]',
    '{"title":"x","type":3,"data":{}}',
    '{"event":{"event":{"type":3,"data":{}}}}',
    '[{"type":3,"data":{',
    "\x1f\x8bno gzip",
  ];
  for (const content of others) {
    await expect(collect(openRecordings(fileOf(content), never))).rejects.toMatchObject({ reason: "UNKNOWN_FORMAT" });
  }
});
