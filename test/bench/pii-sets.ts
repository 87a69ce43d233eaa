import { readFileSync } from "node:fs";
import { z } from "zod";
import type { RedactionKind } from "../../src/core/pipeline/recorded.ts";
import { labelledSecrets } from "./secret-shapes.ts";

/** A text whose values somebody marked. */
export interface Labelled {
  readonly text: string;
  readonly spans: readonly LabelledSpan[];
}

export interface LabelledSpan {
  readonly kind: RedactionKind;
  readonly start: number;
  readonly end: number;
}

export interface LabelledSet {
  readonly name: string;
  readonly texts: readonly Labelled[];
  /** What is marked in it wherever it stands: of other kinds it says nothing. */
  readonly kinds: readonly RedactionKind[];
}

const DATA = new URL("../../../shared/data/pii/", import.meta.url);

/** Every set there is; `note` is told what of them can't be used. */
export function labelledSets(note: (line: string) => void): LabelledSet[] {
  return [presidio("generated_large"), presidio("generated_small"), lifebench(), nannigalaxy(note), labelledSecrets()];
}

function read(path: string): string {
  return readFileSync(new URL(path, DATA), "utf8");
}

const PRESIDIO_KINDS: Readonly<Record<string, RedactionKind>> = {
  EMAIL_ADDRESS: "email",
  PHONE_NUMBER: "phone",
  CREDIT_CARD: "card",
  IBAN_CODE: "iban",
  IP_ADDRESS: "ip",
  US_SSN: "national_id",
  US_DRIVER_LICENSE: "national_id",
  PERSON: "person",
  ADDRESS: "address",
};

const PRESIDIO = z.array(
  z.looseObject({
    full_text: z.string(),
    spans: z.array(z.looseObject({ entity_type: z.string(), start_position: z.int(), end_position: z.int() })),
  }),
);

function presidio(file: string): LabelledSet {
  const rows = PRESIDIO.parse(JSON.parse(read(`presidio/${file}.json`)));
  const texts = rows.map(({ full_text, spans }) => ({
    text: full_text,
    spans: spans.flatMap(({ entity_type, start_position: start, end_position: end }) => {
      const kind = PRESIDIO_KINDS[entity_type];
      return kind === undefined ? [] : [{ kind, start, end }];
    }),
  }));
  return { name: `presidio ${file}`, texts, kinds: [...new Set(Object.values(PRESIDIO_KINDS))] };
}

const LIFEBENCH = z.looseObject({
  data_to_answer: z.string(),
  pii_spans: z.array(z.looseObject({ start: z.int(), end: z.int(), type: z.string() })),
});

function lifebench(): LabelledSet {
  const kinds: Readonly<Record<string, RedactionKind>> = { PERSON: "person", PHONE: "phone", EMAIL: "email" };
  const texts = read("lifebench/sample_25_records.jsonl")
    .trim()
    .split("\n")
    .map((line) => LIFEBENCH.parse(JSON.parse(line)))
    .map(({ data_to_answer, pii_spans }) => ({
      text: data_to_answer,
      spans: pii_spans.flatMap(({ start, end, type }) => {
        const kind = kinds[type];
        return kind === undefined ? [] : [{ kind, start, end }];
      }),
    }));
  return { name: "lifebench", texts, kinds: Object.values(kinds) };
}

const NANNIGALAXY = z.array(
  z.looseObject({
    text: z.string(),
    NER: z.array(z.looseObject({ entity: z.string().default(""), label: z.string() })),
  }),
);

/** Its cards and IBANs are no such: of 4 and 6 that stand in their texts 1 and 3 pass their own check. */
const NANNIGALAXY_KINDS: Readonly<Record<string, RedactionKind>> = {
  EMAIL: "email",
  PHONE: "phone",
  PASSWORD: "secret",
  PERSON: "person",
  SSN: "national_id",
  PASSPORT: "national_id",
  PASSPORT_NUM: "national_id",
  TAX_ID: "national_id",
  TAXID: "national_id",
  DRIVER_LICENSE: "national_id",
  DRIVER_LICENSE_NUM: "national_id",
  DRIVERS_LICENSE: "national_id",
  AADHAR: "national_id",
  PAN: "national_id",
  VOTER_ID: "national_id",
};

/** It has no offsets: a value is wherever it stands in its text. */
function nannigalaxy(note: (line: string) => void): LabelledSet {
  const rows = NANNIGALAXY.parse(JSON.parse(read("nannigalaxy/dataset/pii_syn_nano_en.json")));
  let absent = 0;
  const texts = rows.map(({ text, NER }) => ({
    text,
    spans: NER.flatMap(({ entity, label }) => {
      const kind = NANNIGALAXY_KINDS[label];
      if (kind === undefined) return [];
      const places = placesOf(text, entity.replaceAll(/^['"*]+|['"*]+$/g, ""));
      if (places.length === 0) absent++;
      return places.map(({ start, end }) => ({ kind, start, end }));
    }),
  }));
  note(`nannigalaxy: ${absent} values are not in their texts, and can't be used`);
  return { name: "nannigalaxy", texts, kinds: [...new Set(Object.values(NANNIGALAXY_KINDS))] };
}

function placesOf(text: string, value: string): { readonly start: number; readonly end: number }[] {
  const places: { start: number; end: number }[] = [];
  for (let at = text.indexOf(value); at !== -1 && value !== ""; at = text.indexOf(value, at + 1)) {
    places.push({ start: at, end: at + value.length });
  }
  return places;
}
