import type { App } from "../app.ts";
import { AppError } from "../errors.ts";
import type { Where } from "../jobs/where.ts";
import type { Definition } from "../pipeline/definition.ts";
import { type Heads, headsByStage, nextStale } from "../pipeline/freshness.ts";
import type { Outputs } from "../pipeline/stage.ts";
import type { Exportable } from "../store/exports.ts";
import type { Split } from "./exporter.ts";
import { Images } from "./images.ts";
import { Leakage, type LeakageReport } from "./leakage.ts";
import { groupOf, type Parts, siteOf, splitOf } from "./splits.ts";

/** Everything that decides the bytes of an export, but the sessions themselves. Plain JSON. */
export interface ExportOptions {
  readonly format: string;
  readonly project: string;
  /** Conditions as they were given. */
  readonly where: readonly string[];
  readonly minScore: number | null;
  readonly parts: Parts;
  readonly seed: string;
  /** Pixels; null leaves images as they are. */
  readonly maxImageEdge: number | null;
  /** Sessions with screenshots that look alike are in one split. */
  readonly separate: boolean;
}

/** Exactly what is exported, by artifacts that do not change. */
export interface ExportPlan {
  readonly options: ExportOptions;
  readonly sessions: readonly PlannedSession[];
  /** Sessions that match and are not exported, by reason. */
  readonly leftOut: Readonly<Record<string, number>>;
  readonly leakage: LeakageReport;
}

export interface PlannedSession {
  readonly session: string;
  readonly split: Split;
  readonly streams: readonly { readonly stream: string; readonly lastSeq: number }[];
  /** Hash of the recording that the artifacts are of. */
  readonly recording: string;
  /** Keys of the artifacts it was made from, by stage. */
  readonly artifacts: Readonly<Record<string, string>>;
}

export interface PlanRequest {
  readonly options: ExportOptions;
  readonly where: Where;
  readonly definitions: readonly Definition[];
  /** Told as it goes: sessions looked at. */
  readonly onProgress: (looked: number) => void;
}

/**
 * Chooses the sessions, in the order of their ids, and the split of each. Holds about 500 bytes a
 * session and 200 a screenshot. Fails with `not_found` NOTHING_TO_EXPORT when no session is left.
 */
export async function planExport(app: App, request: PlanRequest, signal: AbortSignal): Promise<ExportPlan> {
  const { options, where, onProgress } = request;
  const { project, parts, seed, separate } = options;
  const leftOut: Record<string, number> = {};
  const chosen: (Omit<PlannedSession, "split"> & { readonly group: string })[] = [];
  const leakage = new Leakage();
  const images = new Images(app.derived, project, undefined);
  let looked = 0;
  for await (const each of exportable(app, where, signal)) {
    looked += 1;
    onProgress(looked);
    const found = await examine(app, request, each, signal);
    if (typeof found === "string") {
      leftOut[found] = (leftOut[found] ?? 0) + 1;
      continue;
    }
    const { assembled, ...session } = found;
    const { task, startUrl } = assembled.session;
    const site = siteOf(startUrl);
    const group = groupOf(each.session, task, site);
    chosen.push({ ...session, group });
    leakage.session(each.session, group, site);
    for (const { observation } of assembled.steps) {
      if (observation.screenshot === undefined) continue;
      await leakage.screenshot(
        each.session,
        observation.screenshot.blob,
        async (blob) => (await images.read(blob, signal)).data,
      );
    }
  }
  if (chosen.length === 0) throw nothing(looked, leftOut);
  const joined = separate ? leakage.joinedGroups() : undefined;
  const splitFor = (group: string): Split => splitOf(joined?.of(group) ?? group, parts, seed);
  const sessions = chosen.map(({ group, ...session }) => ({ ...session, split: splitFor(group) }));
  return { options, sessions, leftOut, leakage: leakage.report(sessions) };
}

async function* exportable(app: App, where: Where, signal: AbortSignal): AsyncIterable<Exportable> {
  let after: string | undefined;
  for (;;) {
    const page = await app.store.listExportable({ selection: where.selection, after, limit: PAGE }, signal);
    for (const each of page) if (where.matches(each.signature)) yield each;
    if (page.length < PAGE) return;
    after = page.at(-1)?.session;
  }
}

const PAGE = 500;

type Examined = Omit<PlannedSession, "split"> & { readonly assembled: Outputs["assemble"] };

/** What of a session is exported, or the reason why nothing is. */
async function examine(
  app: App,
  { options, definitions }: PlanRequest,
  { session, sealed, score }: Exportable,
  signal: AbortSignal,
): Promise<Examined | string> {
  const { project, minScore } = options;
  if (!sealed) return "NOT_SEALED";
  const heads = headsByStage(await app.store.readHeads(project, session, signal));
  if (!heads.has("assemble")) return "NOT_PROCESSED";
  if (nextStale(definitions, heads, undefined) !== undefined) return "NOT_FRESH";
  if (minScore !== null && (score ?? 0) < minScore) return "LOW_SCORE";
  const assembled = await readAssembled(app, project, session, heads.get("assemble")?.key ?? "", signal);
  if (assembled.steps.length === 0) return "NO_STEPS";
  const stored = await app.store.readSession(project, session, signal);
  return {
    session,
    streams: (stored?.streams ?? []).map(({ stream, lastSeq }) => ({ stream, lastSeq: Number(lastSeq) })),
    recording: recordingOf(heads),
    artifacts: Object.fromEntries([...heads].sort().map(([stage, { key }]) => [stage, key])),
    assembled,
  };
}

/** Fails with `data_loss` ARTIFACT_GONE. */
export async function readAssembled(
  app: App,
  project: string,
  session: string,
  key: string,
  signal: AbortSignal,
): Promise<Outputs["assemble"]> {
  const artifact = await app.store.readArtifact(project, session, key, signal);
  if (artifact !== undefined) return JSON.parse(Buffer.from(artifact.data).toString("utf8"));
  throw new AppError("data_loss", `The artifact ${key} of session ${session} is not there.`, {
    reason: "ARTIFACT_GONE",
    metadata: { session, key },
  });
}

function recordingOf(heads: Heads): string {
  const inputs = [...heads.values()].flatMap((head) => head.inputs);
  return inputs.find(({ name }) => name === "recording")?.hash ?? "";
}

function nothing(looked: number, leftOut: Readonly<Record<string, number>>): AppError {
  const reasons = Object.entries(leftOut).map(([reason, count]) => `${count} ${reason}`);
  const why = looked === 0 ? "no session matches" : `${looked} match, and none can be: ${reasons.join(", ")}`;
  return new AppError("not_found", `There is nothing to export: ${why}.`, { reason: "NOTHING_TO_EXPORT" });
}
