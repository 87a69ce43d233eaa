import { readdir, rename } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { App } from "../app.ts";
import { fsyncDirectory, makeDurableDirectory } from "../durable-directory.ts";
import { AppError } from "../errors.ts";
import { statIfThere } from "../import/file-access.ts";
import type { Where } from "../jobs/where.ts";
import { canonicalJson } from "../pipeline/canonical.ts";
import type { Definition } from "../pipeline/definition.ts";
import { cardOf } from "./card.ts";
import { onDisk, removeFile, writeWhole } from "./export-file.ts";
import type { Exporter } from "./exporter.ts";
import { exporterNamed } from "./formats.ts";
import { lockExport } from "./lock.ts";
import { type Manifest, readManifest, writeManifest } from "./manifest.ts";
import { type ExportOptions, type ExportPlan, planExport } from "./plan.ts";
import { readPlan, writePlan } from "./plan-file.ts";
import { plotsOf } from "./plots.ts";
import { scanExport } from "./residual.ts";
import { examplesIn, type Written, writeSessions } from "./write.ts";

export interface ExportRequest {
  readonly options: ExportOptions;
  readonly where: Where;
  readonly definitions: readonly Definition[];
  /** Where the export will be. */
  readonly out: string;
  readonly onProgress: (phase: "looking" | "writing", done: number, of: number | undefined) => void;
}

export interface Exported {
  readonly manifest: Manifest;
  readonly plan: ExportPlan;
  readonly out: string;
  /** It went on where an earlier run had stopped. */
  readonly resumed: boolean;
}

/**
 * Writes a dataset to a directory that is not there yet: beside it first, and renamed when it is
 * whole and on disk. Killed anywhere, the same request goes on. The store knows of the export, and
 * of every session in it, before it is published.
 *
 * Fails with `invalid_argument` UNKNOWN_FORMAT or OUTPUT_EXISTS, `conflict` OTHER_EXPORT,
 * `locked` EXPORT_RUNNING, `not_found` NOTHING_TO_EXPORT, `resource_exhausted` DISK_FULL, PERSONAL_DATA_LEFT, and
 * what the format refuses.
 */
export async function exportDataset(app: App, request: ExportRequest, signal: AbortSignal): Promise<Exported> {
  const { options } = request;
  const exporter = exporterNamed(options.format);
  const out = resolve(request.out);
  await checkFree(out, signal);
  const partial = `${out}.partial`;
  await onDisk(partial, () => makeDurableDirectory(partial));
  using _ = lockExport(partial);
  try {
    return await inPartial(app, request, exporter, { out, partial }, signal);
  } catch (error) {
    // What no other try can change is not gone on from.
    if (HOPELESS.has(AppError.from(error).code)) await removeFile(partial);
    throw error;
  }
}

const HOPELESS: ReadonlySet<string> = new Set(["not_found", "data_loss", "failed_precondition"]);

async function inPartial(
  app: App,
  request: ExportRequest,
  exporter: Exporter,
  { out, partial }: { readonly out: string; readonly partial: string },
  signal: AbortSignal,
): Promise<Exported> {
  const { options, onProgress } = request;
  const planFile = join(partial, "plan.ndjson");
  const known = await readPlan(planFile, signal);
  if (known !== undefined && canonicalJson(known.options) !== canonicalJson(options)) throw otherExport(partial);
  const plan = known ?? (await makePlan(app, request, signal));
  if (known === undefined) await onDisk(planFile, () => writePlan(planFile, plan));

  const dir = join(partial, "export");
  await onDisk(dir, () => makeDurableDirectory(dir));
  const written = await writeSessions(
    {
      app,
      plan,
      exporter,
      dir,
      journal: join(partial, "journal.json"),
      onSession: (done) => onProgress("writing", done, plan.sessions.length),
    },
    signal,
  );
  const manifest = await describe(app, dir, plan, exporter, written, request.definitions, signal);
  await register(app, manifest, plan, out, signal);
  signal.throwIfAborted();
  await onDisk(out, () => rename(dir, out));
  await fsyncDirectory(dirname(out));
  await removeFile(partial);
  return { manifest, plan, out, resumed: known !== undefined };
}

async function makePlan(app: App, { options, where, definitions, onProgress }: ExportRequest, signal: AbortSignal) {
  const looking = (looked: number) => onProgress("looking", looked, undefined);
  return await planExport(app, { options, where, definitions, onProgress: looking }, signal);
}

/** Writes what is said of the whole, leakage and card; scans all of it; then names it in the manifest. */
async function describe(
  app: App,
  dir: string,
  plan: ExportPlan,
  exporter: Exporter,
  { totals, leftOut, changed, resized, figures }: Written,
  definitions: readonly Definition[],
  signal: AbortSignal,
): Promise<Manifest> {
  const stages = Object.fromEntries(definitions.map((each) => [each.stage, `${each.version}:${each.paramsHash}`]));
  const told = {
    options: plan.options,
    stages,
    sessions: plan.sessions.length,
    sessionsLeftOut: plan.leftOut,
    examples: totals,
    examplesLeftOut: leftOut,
    examplesChanged: changed,
    imagesResized: resized,
  };
  const plots = plotsOf(figures);
  await onDisk(dir, () => makeDurableDirectory(join(dir, "plots")));
  for (const { path, svg } of plots) await writeWhole(join(dir, path), svg);
  await writeWhole(join(dir, "leakage.json"), `${JSON.stringify(plan.leakage, null, 2)}\n`);
  await writeWhole(join(dir, "README.md"), cardOf(told, plan, plots));
  const residual = await scanExport(app, plan.options.project, exporter, dir, signal);
  return await writeManifest(dir, { ...told, residual }, signal);
}

/** Before it is published: what is out there is known, whatever happens next. */
async function register(app: App, manifest: Manifest, plan: ExportPlan, path: string, signal: AbortSignal) {
  const { format, project } = plan.options;
  const record = {
    root: manifest.root,
    project,
    format,
    path,
    examples: examplesIn(manifest.examples),
    createdAtMs: app.clock.now(),
  };
  for (let from = 0; from < plan.sessions.length; from += REGISTERED_AT_ONCE) {
    const part = plan.sessions.slice(from, from + REGISTERED_AT_ONCE);
    await app.store.recordExport(
      record,
      part.map(({ session }) => session),
      signal,
    );
  }
}

const REGISTERED_AT_ONCE = 1_000;

async function checkFree(out: string, signal: AbortSignal): Promise<void> {
  const there = await statIfThere(out, signal);
  if (there === undefined) return;
  if (there.isDirectory() && (await readdir(out)).length === 0) return;
  const what = there.isDirectory() ? await heldIn(out) : "is there already";
  throw new AppError(
    "invalid_argument",
    `${out} ${what}, and is left as it is. Name another directory, or remove this one first.`,
    { reason: "OUTPUT_EXISTS", metadata: { path: out } },
  );
}

/** What a directory that is not empty holds. */
async function heldIn(dir: string): Promise<string> {
  try {
    return `holds the export ${(await readManifest(dir)).root.slice(0, 12)}`;
  } catch (error) {
    const { reason } = AppError.from(error);
    if (reason === "NO_EXPORT") return "is there already";
    if (reason === "BAD_MANIFEST") return "holds an export whose manifest was changed";
    throw error;
  }
}

function otherExport(partial: string): AppError {
  return new AppError(
    "conflict",
    `${partial} holds an unfinished export with other options. Finish it with the same ones, or remove it.`,
    { reason: "OTHER_EXPORT", metadata: { path: partial } },
  );
}
