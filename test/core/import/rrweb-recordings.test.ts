import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { openRecordings } from "../../../src/core/import/importer.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { checkEvent } from "../../../src/core/session/event-check.ts";
import { EventSchema } from "../../../src/wire/gen/sluice/v1/event_pb.ts";
import { never } from "../../fixtures.ts";
import { collect } from "./reading.ts";

const RRWEB = fileURLToPath(new URL("../../../../shared/data/rrweb/", import.meta.url));

test("rrweb's own recordings are read whole, each item counted, each element known in its page", async (context) => {
  if (!existsSync(RRWEB)) context.skip("no recordings at ../shared/data/rrweb");
  const sum = { files: 0, items: 0, told: 0, context: 0, duplicate: 0, onNodes: 0, targets: 0, unproven: 0 };
  for (const path of ["events", "snap"].flatMap((part) =>
    readdirSync(`${RRWEB}${part}`).map((name) => `${RRWEB}${part}/${name}`),
  )) {
    for (const recording of await collect(openRecordings(path, never))) {
      const { items, told, context, duplicate } = await recording.account(never);
      sum.files += 1;
      sum.items += items;
      sum.told += told;
      sum.context += context;
      sum.duplicate += duplicate;
      for (const { seq, event } of await collect(recording.events(1n, never))) {
        expect(checkEvent(event, seq, DEFAULT_LIMITS)).toHaveProperty("facts");
        const { rawJson, target } = fromBinary(EventSchema, event);
        if (typeof JSON.parse(rawJson).data.id === "number") sum.onNodes += 1;
        if (target === undefined) continue;
        sum.targets += 1;
        const isProven = target.selectors.some(({ grounding }) => grounding?.matches === 1 && grounding.findsTarget);
        if (!isProven) sum.unproven += 1;
      }
    }
  }
  expect(sum).toEqual({
    files: 125,
    items: 1387,
    told: 484,
    context: 892,
    duplicate: 11,
    onNodes: 358,
    targets: 358,
    unproven: 0,
  });
});
