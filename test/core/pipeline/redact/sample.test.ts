import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { openRecordings } from "../../../../src/core/import/importer.ts";
import type { PageElement, RedactOutput, ValidateOutput } from "../../../../src/core/pipeline/recorded.ts";
import { validate } from "../../../../src/core/pipeline/validate.ts";
import { never } from "../../../fixtures.ts";
import { Blobs, redactSession, survivals } from "./sessions.ts";

const SAMPLE = fileURLToPath(new URL("../../../../dev/sample/", import.meta.url));

/** What dev/tasks.ts types into the shop's checkout. */
const TYPED = ["Robin Sample", "robin.sample@example.com", "(555) 010-0199", "100 Sample Street", "Exampleville"];

interface Session {
  readonly before: ValidateOutput;
  readonly after: RedactOutput;
  readonly blobs: Blobs;
}

let sessions: Map<string, Session>;

beforeAll(async () => {
  sessions = new Map();
  for await (const recording of openRecordings(SAMPLE, never)) {
    const events = [];
    for await (const { seq, event } of recording.events(1n, never)) {
      events.push({ stream: recording.stream, seq: Number(seq), event });
    }
    const blobs = new Blobs();
    for await (const { path } of recording.blobs(never)) blobs.add(readFileSync(path));
    const recorded = {
      session: recording.session,
      info: recording.info,
      streams: [],
      missingBlobs: [],
      events,
      quarantined: 0,
    };
    const before = await validate.run({ recording: recorded }, {}, { ...NOTHING, signal: never });
    sessions.set(recording.session, {
      before,
      after: await redactSession(before.events, before.session, {}, blobs),
      blobs,
    });
  }
});

const NOTHING = {
  readBlob: () => Promise.reject(new Error("validate reads no blob")),
  writeDerived: () => Promise.reject(new Error("validate writes no blob")),
};

function session(id: string): Session {
  const found = sessions.get(id);
  if (found === undefined) throw new Error(`the sample has no ${id}`);
  return found;
}

describe("of the sample", () => {
  test("goes what was typed at the checkout, also where the next page repeats it", () => {
    const { before, after } = session("search-and-buy");
    const confirmation = before.events.filter(({ page }) => page?.url.endsWith("/confirmation"));
    expect(survivals(confirmation, "robin.sample@example.com").length).toBeGreaterThan(0);
    for (const value of TYPED) {
      expect(survivals(before, value).length).toBeGreaterThan(0);
      expect(survivals(after, value)).toEqual([]);
    }
    const texts = after.events.at(-1)?.elements?.map(({ text }) => text);
    expect(texts).toContain("<EMAIL_1>");
    expect(after.events.find(({ input }) => input?.value === "<EMAIL_1>")).toBeDefined();
  });

  test("goes on every screenshot, painted over where a person is named and nowhere else", async () => {
    for (const { before, after, blobs } of sessions.values()) {
      const { painted, clean, withheld } = after.report.screenshots;
      expect(withheld).toEqual([]);
      expect(painted + clean).toBe(before.events.reduce((sum, { screenshots }) => sum + screenshots.length, 0));
      for (const { screenshots } of after.events)
        for (const { blob } of screenshots) expect(blobs.derived.has(blob)).toBe(true);
    }
    const { before, after, blobs } = session("search-and-buy");
    const last = before.events.at(-1);
    const bytes = blobs.derived.get(after.events.at(-1)?.screenshots[0]?.blob ?? "");
    const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
    const share = ({ box }: PageElement) => {
      if (box === undefined) return 0;
      let [black, all] = [0, 0];
      for (let y = Math.ceil(box.y); y < box.y + box.height - 1; y++) {
        for (let x = Math.ceil(box.x); x < box.x + box.width - 1; x++) {
          const at = (y * info.width + x) * info.channels;
          all++;
          if (data[at] === 0 && data[at + 1] === 0 && data[at + 2] === 0) black++;
        }
      }
      return black / all;
    };
    const shares = Object.fromEntries(
      (last?.elements ?? []).map((element) => [
        element.attributes.find(({ name }) => name === "id")?.value ?? element.text,
        share(element),
      ]),
    );
    expect(shares).toMatchObject({ "order-name": 1, "order-email": 1, "order-address": 1 });
    expect(shares["Back to the shop"]).toBeLessThan(0.1);
    expect(shares["order-number"]).toBeLessThan(0.1);
  });

  test("stays what names nobody: what was searched, chosen and read", () => {
    const { after } = session("search-and-buy");
    const values = after.events.map(({ input }) => input?.value);
    for (const value of ["desk lamp", "Large", "US"]) expect(values).toContain(value);
    expect(after.session.task).toContain("buy the large one in Moss");
    const texts = session("return-policy-lookup")
      .after.events.flatMap(({ elements }) => elements ?? [])
      .map(({ text }) => text);
    expect(texts).toContain("Returns, Harbour & Pine, 14 Quay Lane, Port Example");
  });
});
