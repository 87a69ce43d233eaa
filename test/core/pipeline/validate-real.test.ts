import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, test } from "vitest";
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
      "return-policy-lookup": { events: "36 of 36", codes: {} },
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
