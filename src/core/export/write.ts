import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { App } from "../app.ts";
import { canonicalJson } from "../pipeline/canonical.ts";
import { AppendedFile, writeWhole } from "./export-file.ts";
import { type Exporter, type ExportTotals, SPLITS } from "./exporter.ts";
import { countSession, FIGURES, type Figures, noFigures } from "./figures.ts";
import { Images } from "./images.ts";
import { type ExportPlan, readAssembled } from "./plan.ts";

/** What became of all examples. */
export interface Written {
  readonly totals: ExportTotals;
  /** Examples the format could not hold, by reason. */
  readonly leftOut: Readonly<Record<string, number>>;
  /** Examples that the format's limits changed, by what was done. */
  readonly changed: Readonly<Record<string, number>>;
  /** Images that were made smaller as was asked for. */
  readonly resized: number;
  readonly figures: Figures;
}

const COUNTS = z.record(z.string(), z.int());

/** How far it is: sessions that are done, and where everything was then. */
const JOURNAL = z.strictObject({
  done: z.int(),
  writer: z.unknown(),
  sessionsBytes: z.int(),
  totals: z.strictObject({ train: z.int(), validation: z.int(), test: z.int() }),
  leftOut: COUNTS,
  changed: COUNTS,
  resized: z.int(),
  figures: FIGURES,
});

type Journal = z.output<typeof JOURNAL>;

export interface WriteOptions {
  readonly app: App;
  readonly plan: ExportPlan;
  readonly exporter: Exporter;
  /** Where the export is written. */
  readonly dir: string;
  /** Where it is noted how far it is. */
  readonly journal: string;
  readonly onSession: (done: number) => void;
}

/** Sessions after which what was written stays, whatever happens: work that can be lost is that of so many. */
const CHECKPOINT_EVERY = 100;

/**
 * Writes the planned sessions in their order, going on after the last checkpoint. The line of each
 * session in sessions.ndjson says where its examples are.
 */
export async function writeSessions(options: WriteOptions, signal: AbortSignal): Promise<Written> {
  const { app, plan, exporter, dir, journal, onSession } = options;
  const known = await readJournal(journal);
  const totals = { ...known.totals };
  const leftOut: Record<string, number> = { ...known.leftOut };
  const changed: Record<string, number> = { ...known.changed };
  const { figures } = known;
  const { project, maxImageEdge } = plan.options;
  const images = new Images(app.derived, project, maxImageEdge ?? undefined);
  images.resized = known.resized;
  await using writer = await exporter.open({ dir }, known.writer, signal);
  await using sessions = await AppendedFile.open(join(dir, SESSIONS_FILE), known.sessionsBytes);
  for (let done = known.done; done < plan.sessions.length; ) {
    const session = plan.sessions[done];
    if (session === undefined) break;
    signal.throwIfAborted();
    const assembled = await readAssembled(app, project, session.session, session.artifacts["assemble"] ?? "", signal);
    const outcomes = await writer.write(
      {
        split: session.split,
        session: assembled.session,
        steps: assembled.steps,
        image: ({ blob }) => images.read(blob, signal),
      },
      signal,
    );
    const leftOutIds = new Set(outcomes.flatMap((outcome) => ("reason" in outcome ? [outcome.id] : [])));
    countSession(
      figures,
      assembled,
      assembled.steps.filter(({ id }) => !leftOutIds.has(id)),
    );
    for (const outcome of outcomes) {
      if ("reason" in outcome) leftOut[outcome.reason] = (leftOut[outcome.reason] ?? 0) + 1;
      else totals[session.split] += 1;
      if ("changed" in outcome && outcome.changed !== undefined) {
        changed[outcome.changed] = (changed[outcome.changed] ?? 0) + 1;
      }
    }
    await sessions.append(Buffer.from(`${canonicalJson({ ...session, examples: outcomes })}\n`));
    done += 1;
    onSession(done);
    if (done % CHECKPOINT_EVERY === 0 || done === plan.sessions.length) {
      const state = await writer.checkpoint(signal);
      await sessions.sync();
      const { resized } = images;
      const entry: Journal = {
        done,
        writer: state,
        sessionsBytes: sessions.bytes,
        totals,
        leftOut,
        changed,
        resized,
        figures,
      };
      await writeWhole(journal, JSON.stringify(entry));
    }
  }
  await writer.finish(totals, signal);
  return { totals, leftOut, changed, resized: images.resized, figures };
}

export const SESSIONS_FILE = "sessions.ndjson";

async function readJournal(path: string): Promise<Journal> {
  try {
    return JOURNAL.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    const totals = { train: 0, validation: 0, test: 0 };
    return {
      done: 0,
      writer: undefined,
      sessionsBytes: 0,
      totals,
      leftOut: {},
      changed: {},
      resized: 0,
      figures: noFigures(),
    };
  }
}

/** All examples. */
export function examplesIn(totals: ExportTotals): number {
  return SPLITS.reduce((sum, split) => sum + totals[split], 0);
}
