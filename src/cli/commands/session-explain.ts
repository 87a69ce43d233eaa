import type { Command } from "commander";
import { explainStages, type StageExplanation } from "../../core/pipeline/explain.ts";
import { headsByStage } from "../../core/pipeline/freshness.ts";
import { loadPipeline } from "../../core/pipeline/load.ts";
import type { ArtifactRecord } from "../../core/store/artifacts.ts";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { showBytes, showTimeInFull } from "../format.ts";
import { open } from "../open-store.ts";
import type { Fields, Output } from "../output.ts";
import { noSession } from "../session-fields.ts";

interface ExplainOptions extends StoreOptions {
  readonly project: string;
}

export function registerExplain(sessions: Command): void {
  storeOptions(sessions.command("explain"))
    .description("What made each result of a session, and why each stage is fresh or stale now")
    .argument("<session>", "its id")
    .addHelpText("before", "Examples:\n  sluice sessions explain checkout-0001\n")
    .option("--project <id>", "whose", "default")
    .action((id: string, options: ExplainOptions) => run(options, (context) => explain(context, id, options)));
}

const MOST_ARTIFACTS = 1_000;

async function explain(context: Context, id: string, options: ExplainOptions): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const { project } = options;
  if ((await app.store.readSession(project, id, signal)) === undefined) throw noSession(project, id);
  const { pipeline } = await loadPipeline(app.config.pipeline);
  const heads = headsByStage(await app.store.readHeads(project, id, signal));
  const stages = explainStages(pipeline.definitions(project), heads);
  const artifacts = await app.store.listArtifacts(project, id, MOST_ARTIFACTS, signal);

  for (const { stage, version, state, why } of stages) await output.record("stage", { stage, version, state, why });
  for (const artifact of artifacts) await output.record("artifact", artifactFields(artifact));
  await output.record("summary", { stages: stages.length, artifacts: artifacts.length });
  if (!output.json) await tell(output, stages, artifacts);
  return EXIT.done;
}

async function tell(
  output: Output,
  stages: readonly StageExplanation[],
  artifacts: readonly ArtifactRecord[],
): Promise<void> {
  for (const { stage, version, state, why } of stages) {
    await output.line(`${output.style("bold", stage)}  ${state}${why.length === 0 ? "" : `: ${why.join("; ")}`}`);
    const made = artifacts.filter((artifact) => artifact.stage === stage);
    for (const artifact of made) await tellArtifact(output, artifact);
    if (made.length === 0) await output.line(`  nothing made; this release has version ${version}`);
  }
  const known = new Set<string>(stages.map(({ stage }) => stage));
  for (const artifact of artifacts.filter(({ stage }) => !known.has(stage))) {
    await output.line(`${output.style("bold", artifact.stage)}  not in this release`);
    await tellArtifact(output, artifact);
  }
}

async function tellArtifact(output: Output, artifact: ArtifactRecord): Promise<void> {
  const { key, current, version, paramsJson, inputs, createdAtMs, durationMs, job, campaign, blobs } = artifact;
  const when = showTimeInFull(output, createdAtMs, Date.now());
  const by = campaign === undefined ? `job ${job}` : `job ${job} of campaign ${campaign}`;
  const size = `${showBytes(artifact.bytes)}, stored as ${showBytes(artifact.storedBytes)}`;
  await output.line(`  ${current ? "current" : "earlier"}  ${key}`);
  await output.line(`    version ${version}, parameters ${paramsJson}`);
  await output.line(`    made ${when} in ${(durationMs / 1000).toFixed(2)} s by ${by}`);
  for (const { name, hash } of inputs) await output.line(`    read ${name} ${hash}`);
  await output.line(`    gave ${artifact.output}  ${size}${blobs.length === 0 ? "" : `, ${blobs.length} blobs`}`);
}

function artifactFields(artifact: ArtifactRecord): Fields {
  return {
    key: artifact.key,
    stage: artifact.stage,
    current: artifact.current,
    version: artifact.version,
    params: JSON.parse(artifact.paramsJson),
    inputs: artifact.inputs,
    output: artifact.output,
    created_at_ms: artifact.createdAtMs,
    duration_ms: artifact.durationMs,
    job: artifact.job,
    campaign: artifact.campaign,
    bytes: artifact.bytes,
    stored_bytes: artifact.storedBytes,
    blobs: artifact.blobs,
  };
}
