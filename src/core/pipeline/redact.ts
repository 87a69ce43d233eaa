import { z } from "zod";
import type { RedactionKind, RedactOutput, ValidateOutput } from "./recorded.ts";
import { Fields } from "./redact/fields.ts";
import { KeyPresses } from "./redact/key-presses.ts";
import { Places } from "./redact/places.ts";
import { compileRules, ruleSchema } from "./redact/rules.ts";
import { redactScreenshots } from "./redact/screenshots.ts";
import { SessionRedactor } from "./redact/session-redactor.ts";
import { sightingsOf } from "./redact/sightings.ts";
import { TextRedactor } from "./redact/text-redactor.ts";
import { Vault } from "./redact/vault.ts";
import type { Stage, StageIo } from "./stage.ts";

const params = z.strictObject({
  /** Never redacted: a shop's own address, a test account's name. */
  allow: z.array(ruleSchema).default([]),
  /** Always redacted, as `custom`. */
  deny: z.array(ruleSchema).default([]),
  /** What becomes of a screenshot of a page that shows a value nobody knows the place of. */
  unlocated: z.enum(["keep", "withhold"]).default("withhold"),
});

/**
 * Takes personal values out of a session: out of every text, in whatever spelling, and out of its
 * screenshots. A value is known by its shape, by the field it stands in, or by having been known
 * anywhere else in the session. The same value becomes the same placeholder, so that what was done
 * can still be followed.
 */
export const redact: Stage<"redact", "validate", typeof params> = {
  name: "redact",
  version: 3,
  inputs: ["validate"],
  params,
  run: ({ validate }, { allow, deny, unlocated }, io) => run(validate, { allow, deny, unlocated }, io),
};

/** A value as it stood in the recording. It is held in memory alone, to be looked for, and never told. */
export interface FoundValue {
  readonly kind: RedactionKind;
  readonly value: string;
}

/** What the stage would take out of the session with these parameters, as JSON. */
export function valuesIn(validated: ValidateOutput, paramsJson: string): FoundValue[] {
  const values: FoundValue[] = [];
  find(validated, params.parse(JSON.parse(paramsJson)), new Vault((kind, value) => values.push({ kind, value })));
  return values;
}

/** Everything there is to find. */
function find({ session, events }: ValidateOutput, { allow, deny }: z.output<typeof params>, vault: Vault) {
  const texts = new TextRedactor(vault, compileRules(allow), compileRules(deny));
  const fields = new Fields(events);
  const keys = new KeyPresses(events, fields);
  fields.keepValues(events, texts);
  const reader = new SessionRedactor(texts.note, fields, new Set(), () => undefined);
  reader.session(session);
  for (const event of events) reader.event(event);
  keys.note(texts);
  fields.keepBeginnings(events, texts);
  return { texts, fields, keys };
}

async function run(validated: ValidateOutput, given: z.output<typeof params>, io: StageIo): Promise<RedactOutput> {
  const { session, events } = validated;
  const vault = new Vault();
  // All is found before anything is replaced.
  const { texts, fields, keys } = find(validated, given, vault);
  const places = new Places();
  const redactor = new SessionRedactor(texts.redact, fields, keys.unspoken(texts), places.tell);
  const facts = redactor.session(session);
  const redacted = events.map((event) => redactor.event(event));
  const pictures = await redactScreenshots(events, sightingsOf(events, fields, texts), given.unlocated, io);
  return {
    session: facts,
    events: redacted.map((event, at) => ({ ...event, screenshots: pictures.screenshots[at] ?? [] })),
    report: { values: vault.counts, places: places.counts(), screenshots: pictures.report },
  };
}
