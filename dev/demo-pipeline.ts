import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openApp } from "../src/core/app.ts";
import { loadConfig } from "../src/core/config.ts";
import { AppError } from "../src/core/errors.ts";
import { headsByStage } from "../src/core/pipeline/freshness.ts";
import type { SessionEvent } from "../src/core/pipeline/recorded.ts";
import { type Outputs, STAGE_NAMES } from "../src/core/pipeline/stage.ts";
import type { Store } from "../src/core/store/store.ts";
import { findBlob } from "./demo-check.ts";

const PROJECT = "default";
const LAST_STAGE = STAGE_NAMES.at(-1) ?? "assemble";

export interface PaintedScreenshot {
  /** Files. */
  readonly original: string;
  readonly painted: string;
}

/**
 * Waits until every session has been through all stages, beside the daemon that runs them. Fails
 * when a job is dead. Returns a screenshot that was painted over in `session`, if there is one.
 */
export async function untilProcessed(
  dir: string,
  sessions: readonly string[],
  session: string,
  signal: AbortSignal,
): Promise<PaintedScreenshot | undefined> {
  const flags = { store: `sqlite:${dir}/data/sluice.db`, blobs: `file:${dir}/data/blobs` };
  const { values } = await loadConfig({ flags, env: {}, cwd: dir, file: undefined });
  await using app = await openApp(values, { create: false });
  for (const each of sessions) {
    while (!headsByStage(await app.store.readHeads(PROJECT, each, signal)).has(LAST_STAGE)) {
      await checkNoneDead(app.store, signal);
      await sleep(100, undefined, { signal });
    }
  }
  const recorded = await readOutput(app.store, session, "validate", signal);
  const redacted = await readOutput(app.store, session, "redact", signal);
  const pair = mostPainted(recorded.events, redacted.events);
  if (pair === undefined) return undefined;
  return {
    original: await findBlob(join(dir, "data", "blobs"), pair.original),
    painted: await findBlob(join(dir, "data", "derived"), pair.painted),
  };
}

async function checkNoneDead(store: Store, signal: AbortSignal): Promise<void> {
  const { jobs } = await store.listJobs({ state: "dead", limit: 1, cursor: undefined }, signal);
  const [dead] = jobs;
  if (dead !== undefined) throw new Error(`${dead.kind} of ${dead.session} failed: ${dead.error?.message}`);
}

async function readOutput<S extends "validate" | "redact">(
  store: Store,
  session: string,
  stage: S,
  signal: AbortSignal,
): Promise<Outputs[S]> {
  const head = headsByStage(await store.readHeads(PROJECT, session, signal)).get(stage);
  const artifact = head && (await store.readArtifact(PROJECT, session, head.key, signal));
  if (artifact === undefined) throw new AppError("not_found", `No artifact of ${stage}.`, { reason: "NOT_PROCESSED" });
  return JSON.parse(Buffer.from(artifact.data).toString("utf8"));
}

/** The same events before and after redaction: a screenshot of the page that showed the most values. */
function mostPainted(
  recorded: readonly SessionEvent[],
  redacted: readonly SessionEvent[],
): { readonly original: string; readonly painted: string } | undefined {
  const before = new Map(recorded.map((event) => [placeOf(event), event.screenshots]));
  const byValues = [...redacted].sort((a, b) => valuesOn(b) - valuesOn(a));
  for (const event of byValues) {
    for (const { blob, phase } of event.screenshots) {
      const original = before.get(placeOf(event))?.find((each) => each.phase === phase);
      if (original !== undefined && original.blob !== blob) return { original: original.blob, painted: blob };
    }
  }
  return undefined;
}

function valuesOn({ elements = [] }: SessionEvent): number {
  return elements.filter(({ text, value }) => /<[A-Z]+_\d+>/.test(`${text} ${value}`)).length;
}

function placeOf({ ref }: SessionEvent): string {
  return `${ref.stream}/${ref.seq}`;
}
