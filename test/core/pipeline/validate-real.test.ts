import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, test } from "vitest";
import type { Recorded } from "../../../src/core/pipeline/recorded.ts";
import { EventSchema } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { countCodes, importedFrom, validated } from "./recorded.ts";
import { reencode } from "./reencode.ts";

const SAMPLE = fileURLToPath(new URL("../../../dev/sample", import.meta.url));
const SHARED = fileURLToPath(new URL("../../../../shared/data/", import.meta.url));

interface Real {
  readonly name: string;
  readonly path: string;
  /** By session: events that come out of those that went in, and how often each code was found. */
  readonly found: Readonly<
    Record<string, { readonly events: string; readonly codes: Readonly<Record<string, number>> }>
  >;
}

/** Counted by validate, and checked by hand against what the recordings hold. */
const REAL: readonly Real[] = [
  {
    name: "the sample, recorded without a mistake",
    path: SAMPLE,
    found: {
      "filter-and-compare": { events: "32 of 32", codes: { TIME_DUPLICATE: 1 } },
      "return-policy-lookup": { events: "37 of 37", codes: {} },
      "search-and-buy": { events: "80 of 80", codes: {} },
    },
  },
  {
    name: "AgentNet's benchmark, of a desktop",
    path: `${SHARED}agentnet/bench`,
    found: {
      s_7f27a11115e596eb: { events: "14 of 14", codes: { PAGE_MISSING: 1 } },
      s_df0fd37049f470c2: { events: "8 of 8", codes: { PAGE_MISSING: 1 } },
    },
  },
  {
    name: "AgentNet's training form",
    path: `${SHARED}agentnet/cot`,
    found: { task_example_0: { events: "17 of 17", codes: { PAGE_MISSING: 1 } } },
  },
  {
    name: "CodeSight's sessions, very dirty",
    path: `${SHARED}codesight`,
    found: {
      session_1753397218246_hxcnmlv6i: {
        events: "70 of 70",
        codes: {
          BOX_EMPTY: 3,
          ONLY_PAGE: 37,
          ORDER_FROM_SEQUENCE: 12,
          PAGE_URL_ABSENT: 5,
          RAW_SEQUENCE_RESTARTED: 1,
          TIME_DUPLICATE: 1,
          TYPE_RESPELLED: 6,
        },
      },
      session_1753910685015_fzus42zei: {
        events: "83 of 85",
        codes: {
          BOX_EMPTY: 2,
          EMPTY_SHELL: 2,
          ONLY_PAGE: 49,
          ORDER_FROM_SEQUENCE: 7,
          RAW_SEQUENCE_RESTARTED: 7,
          TYPE_RESPELLED: 7,
        },
      },
      session_1753897349098_p9o66xuwm: {
        events: "54 of 54",
        codes: {
          ONLY_PAGE: 22,
          ORDER_FROM_SEQUENCE: 2,
          PAGE_URL_ABSENT: 8,
          RAW_SEQUENCE_RESTARTED: 2,
          TYPE_RESPELLED: 2,
        },
      },
      session_1753894420339_mkfvw24za: {
        events: "90 of 90",
        codes: {
          ONLY_PAGE: 29,
          ORDER_FROM_SEQUENCE: 2,
          PAGE_URL_ABSENT: 1,
          RAW_SEQUENCE_RESTARTED: 27,
          TYPE_RESPELLED: 28,
        },
      },
    },
  },
];

describe.each(REAL)("$name", ({ path, found }) => {
  beforeEach((context) => {
    if (!existsSync(path)) context.skip("no recordings at ../shared/data");
  });

  test("has this dirt and no other", async () => {
    const recordings = await importedFrom(path);
    const counted = await Promise.all(
      recordings.map(async (recording) => {
        const { events, findings } = await validated(recording);
        const counts = { events: `${events.length} of ${recording.events.length}`, codes: countCodes(findings) };
        return [recording.session, counts];
      }),
    );
    expect(Object.fromEntries(counted)).toEqual(found);
  });

  test("needs no mending once it is mended", async () => {
    for (const recording of await importedFrom(path)) {
      const { findings } = await validated(reencode(await validated(recording)));
      expect(findings.filter(({ action }) => action !== "kept")).toEqual([]);
    }
  });
});

describe("CodeSight's interactions as a collector may stream them", () => {
  beforeEach((context) => {
    if (!existsSync(`${SHARED}codesight`)) context.skip("no recordings at ../shared/data/codesight");
  });

  /** Each interaction as nothing but its time, its type and its record, whose groups go through `change`. */
  const streamed = ({ events, ...rest }: Recorded, change: (group: unknown) => unknown): Recorded => ({
    ...rest,
    events: events.map((each) => {
      const { timeMs, type, customType, rawJson } = fromBinary(EventSchema, each.event);
      const record: unknown = JSON.parse(rawJson, function (this: unknown, key, value: unknown) {
        return ["selectors", "visual", "element", "context", "state"].includes(key) && isRoot(this)
          ? change(value)
          : value;
      });
      const bare = create(EventSchema, { timeMs, type, customType, rawJson: JSON.stringify(record) });
      return { ...each, event: toBinary(EventSchema, bare) };
    }),
  });
  const isRoot = (holder: unknown) => typeof holder === "object" && holder !== null && "interaction" in holder;

  test.each([
    ["as they are", (group: unknown) => group, 0],
    ["with groups encoded twice", (group: unknown) => JSON.stringify(group), 299 * 5],
  ])("%s come out as the importer's do", async (_, change, twice) => {
    const counts = { read: 0, twice: 0 };
    for (const recording of await importedFrom(`${SHARED}codesight`)) {
      const imported = await validated(recording);
      const output = await validated(streamed(recording, change));
      expect(output.events).toEqual(imported.events);
      const { RAW_FIELDS_READ = 0, RAW_DOUBLE_ENCODED = 0, ...others } = countCodes(output.findings);
      expect(others).toEqual(countCodes(imported.findings));
      counts.read += RAW_FIELDS_READ;
      counts.twice += RAW_DOUBLE_ENCODED;
    }
    // Every row but two tells of its page; the 108 clicks of their target, pointer and state too, and 105 of neighbours.
    expect(counts).toEqual({ read: 297 + 108 * 3 + 105, twice });
  });
});
