import type { RedactionKind, SessionEvent } from "../../src/core/pipeline/recorded.ts";
import { compileRules } from "../../src/core/pipeline/redact/rules.ts";
import { TextRedactor } from "../../src/core/pipeline/redact/text-redactor.ts";
import { Vault } from "../../src/core/pipeline/redact/vault.ts";
import { redact as stage } from "../../src/core/pipeline/redact.ts";
import { type Figure, figure, type Report } from "./figures.ts";
import { openRedactionPeer, type Redactor, redactPiiPeer } from "./pii-peers.ts";
import { type Labelled, type LabelledSet, labelledSets } from "./pii-sets.ts";

const KINDS: readonly RedactionKind[] = [
  "email",
  "phone",
  "card",
  "iban",
  "ip",
  "secret",
  "national_id",
  "person",
  "address",
];

/** Those whose shape is enough; names and addresses are mostly known by the form they were typed into. */
const STRUCTURED = KINDS.slice(0, 6);

/**
 * What redaction finds in texts that people labelled, and what npm's redactors find there. A value is
 * caught when each of its letters and digits is covered by spans of its kind; for the others whatever
 * they call it. A span is right when it touches a value of its kind. The figure is over all sets, its
 * least and greatest over those that have ten values of the kind.
 */
export async function redact(runs: number, note: (line: string) => void): Promise<Report> {
  const sets = labelledSets(note);
  const figures: Record<string, Figure> = {};
  const targets: Record<string, { readonly least: number }> = {};
  for (const redactor of [sluice(), redactPiiPeer(), openRedactionPeer()]) {
    const counts = await count(redactor, sets);
    const prefix = redactor.name === "sluice" ? "" : `${redactor.name}_`;
    for (const kind of KINDS.filter((each) => redactor.kinds.includes(each))) {
      figures[`${prefix}${kind}_recall`] = figureOf(counts.get(kind) ?? [], ({ caught, labelled }) => [
        caught,
        labelled,
      ]);
      figures[`${prefix}${kind}_precision`] = figureOf(counts.get(kind) ?? [], ({ right, found }) => [right, found]);
    }
    note(`${redactor.name}: ${KINDS.map((kind) => `${kind} ${totals(counts.get(kind) ?? [])}`).join(", ")}`);
  }
  figures.events_per_s = await speed(runs);
  for (const kind of STRUCTURED) {
    targets[`${kind}_recall`] = { least: 0.95 };
    targets[`${kind}_precision`] = { least: 0.9 };
  }
  return { name: "redact", runs, figures, targets };
}

/** Whole sessions of 5,000 events of 5 KB, no two texts alike, each with a value or two. */
async function speed(runs: number): Promise<Figure> {
  const rates: number[] = [];
  for (let run = 0; run < runs; run++) {
    const events = Array.from({ length: EVENTS }, (_, at) => eventOf(at + run * EVENTS));
    const begun = performance.now();
    await stage.run({ validate: { ...EMPTY, events } }, stage.params.parse({}), NO_BLOBS);
    rates.push(EVENTS / ((performance.now() - begun) / 1000));
  }
  return figure(rates, "events/s");
}

const EVENTS = 5_000;

function eventOf(at: number): SessionEvent {
  const text = (length: number, salt: number) => words(at * 64 + salt, length);
  return {
    ref: { stream: "main", seq: at + 1 },
    timeMs: at,
    type: "click",
    page: {
      url: `https://shop.example.com/p/${at}?email=jane${at % 50}%40example.com`,
      title: text(60, 0),
      scroll: { x: 0, y: 0 },
    },
    target: {
      selectors: Array.from({ length: 6 }, (_, n) => ({ kind: "css", value: text(150, n + 1), reliability: 1 })),
      tag: "div",
      name: text(100, 10),
      text: `${text(800, 11)} call 555-010-${1000 + (at % 100)}`,
      attributes: Array.from({ length: 8 }, (_, n) => ({ name: `data-${n}`, value: text(100, 12 + n) })),
      ancestors: Array.from({ length: 6 }, (_, n) => ({
        tag: "div",
        attributes: [{ name: "class", value: text(80, 20 + n) }],
      })),
    },
    elements: Array.from({ length: 10 }, (_, n) => ({ tag: "p", text: text(120, 30 + n), attributes: [] })),
    screenshots: [],
  };
}

const WORDS =
  "the quick brown fox jumps over lazy dog while cart total delivery address name order price shop lamp".split(" ");

/** The same for the same seed: words and numbers. */
function words(seed: number, length: number): string {
  let state = seed + 1;
  let text = "";
  while (text.length < length) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    text += state % 9 === 0 ? `${state % 10_000} ` : `${WORDS[(state >> 8) % WORDS.length]} `;
  }
  return text;
}

const EMPTY = {
  session: { id: "bench", task: "", startUrl: "", userAgent: "", collector: "", labels: [] },
  ...{ findings: [], dropped: [], quarantined: 0, missingBlobs: [] },
};

const NO_BLOBS = {
  readBlob: () => Promise.reject(new Error("these events have no screenshot")),
  writeDerived: () => Promise.reject(new Error("these events have no screenshot")),
  signal: new AbortController().signal,
};

/** Each text is a session of its own. */
function sluice(): Redactor {
  const none = compileRules([]);
  return {
    name: "sluice",
    kinds: KINDS,
    find: async (text) => {
      const texts = new TextRedactor(new Vault(), none, none);
      texts.note(text);
      return texts.places(text).map(({ start, end, value }) => ({ start, end, kind: value.kind }));
    },
  };
}

interface Count {
  readonly labelled: number;
  readonly caught: number;
  readonly found: number;
  readonly right: number;
}

async function count(redactor: Redactor, sets: readonly LabelledSet[]): Promise<Map<RedactionKind, Count[]>> {
  const counts = new Map<RedactionKind, Count[]>();
  for (const { texts, kinds } of sets) {
    const perText: { readonly labelled: Labelled; readonly found: Awaited<ReturnType<Redactor["find"]>> }[] = [];
    for (const labelled of texts) perText.push({ labelled, found: await redactor.find(labelled.text) });
    for (const kind of kinds) {
      const counted = perText.map(({ labelled, found }) => countOne(labelled, found, kind, redactor.name === "sluice"));
      counts.set(kind, [...(counts.get(kind) ?? []), counted.reduce(sum)]);
    }
  }
  return counts;
}

function countOne(
  { text, spans }: Labelled,
  found: Awaited<ReturnType<Redactor["find"]>>,
  kind: RedactionKind,
  strict: boolean,
): Count {
  const theirs = spans.filter((span) => span.kind === kind);
  const ours = found.filter((span) => span.kind === kind);
  const covering = strict ? ours : found;
  const isCovered = (at: number) => covering.some(({ start, end }) => start <= at && at < end);
  const caught = theirs.filter(({ start, end }) =>
    [...text.slice(start, end).matchAll(/[\p{L}\p{N}]/gu)].every(({ index }) => isCovered(start + index)),
  );
  const right = ours.filter((span) => theirs.some(({ start, end }) => start < span.end && span.start < end));
  return { labelled: theirs.length, caught: caught.length, found: ours.length, right: right.length };
}

function sum(a: Count, b: Count): Count {
  return {
    labelled: a.labelled + b.labelled,
    caught: a.caught + b.caught,
    found: a.found + b.found,
    right: a.right + b.right,
  };
}

function figureOf(counts: readonly Count[], of: (count: Count) => readonly [number, number]): Figure {
  const share = (count: Count) => {
    const [part, whole] = of(count);
    return Number((part / whole).toPrecision(4));
  };
  const all = counts.length === 0 ? Number.NaN : share(counts.reduce(sum));
  const shares = counts
    .filter(({ labelled }) => labelled >= 10)
    .map(share)
    .filter((each) => !Number.isNaN(each));
  return { value: all, min: Math.min(all, ...shares), max: Math.max(all, ...shares), unit: "share" };
}

function totals(counts: readonly Count[]): string {
  if (counts.length === 0) return "0/0";
  const { caught, labelled, right, found } = counts.reduce(sum);
  return `${caught}/${labelled} caught, ${right}/${found} right`;
}
