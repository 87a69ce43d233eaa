import { type Command, Option } from "commander";
import type { App } from "../../core/app.ts";
import { AppError } from "../../core/errors.ts";
import { type Outputs, STAGE_NAMES, type StageName } from "../../core/pipeline/stage.ts";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { counted } from "../format.ts";
import { open } from "../open-store.ts";
import { type Output, printable } from "../output.ts";
import { noSession } from "../session-fields.ts";
import { writeTable } from "../table.ts";

interface ResultOptions extends StoreOptions {
  readonly project: string;
  readonly stage?: StageName;
  readonly wait?: boolean;
}

export function registerResult(sessions: Command): void {
  storeOptions(sessions.command("result"))
    .description("What the pipeline made of a session: its actions, its score with reasons, what was redacted")
    .argument("<session>", "its id")
    .addHelpText(
      "before",
      "Examples:\n  sluice sessions result checkout-0001\n  sluice sessions result checkout-0001 --stage reduce > actions.json\n",
    )
    .option("--project <id>", "whose", "default")
    .option("--wait", "wait until no job of it is left to run")
    .addOption(new Option("--stage <name>", "this stage's artifact, as JSON").choices(STAGE_NAMES))
    .action((id: string, options: ResultOptions) => run(options, (context) => result(context, id, options)));
}

async function result(context: Context, id: string, options: ResultOptions): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const { project, stage, wait } = options;
  if ((await app.store.readSession(project, id, signal)) === undefined) throw noSession(project, id);
  if (wait === true) await untilNoJobs(app, project, id, signal);
  if (stage !== undefined) {
    const data = await readOutput(app, project, id, stage, signal);
    if (data === undefined) throw notProcessed(id, stage);
    if (output.json) await output.record("artifact", { stage, data });
    else await output.line(JSON.stringify(data));
    await output.record("summary", { artifacts: 1 });
    return EXIT.done;
  }
  const assembled = await readOutput(app, project, id, "assemble", signal);
  const score = await readOutput(app, project, id, "score", signal);
  const redacted = await readOutput(app, project, id, "redact", signal);
  if (assembled === undefined && score === undefined && redacted === undefined) throw notProcessed(id, undefined);
  for (const { index, text, action, observation } of assembled?.steps ?? []) {
    await output.record("action", { index, kind: action.kind, text, url: observation.url, action });
  }
  if (score !== undefined) await output.record("score", { ...score });
  if (redacted !== undefined) await output.record("redaction", { ...redacted.report });
  await output.record("summary", { actions: assembled?.steps.length, score: score?.overall });
  if (output.json) return EXIT.done;
  if (assembled !== undefined) await tellActions(output, assembled);
  if (score !== undefined) await tellScore(output, score);
  if (redacted !== undefined) await tellRedaction(output, redacted.report);
  return EXIT.done;
}

async function untilNoJobs(app: App, project: string, session: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { jobs } = await app.store.listJobs({ project, session, limit: 1000, cursor: undefined }, signal);
    if (jobs.every(({ endedAtMs }) => endedAtMs !== undefined)) return;
    await app.clock.sleep(LOOK_EVERY_MS, signal);
  }
}

const LOOK_EVERY_MS = 100;

/** A stage's current artifact; undefined when the session has none. */
async function readOutput<S extends StageName>(
  app: App,
  project: string,
  session: string,
  stage: S,
  signal: AbortSignal,
): Promise<Outputs[S] | undefined> {
  const heads = await app.store.readHeads(project, session, signal);
  const head = heads.find((each) => each.stage === stage);
  const artifact = head && (await app.store.readArtifact(project, session, head.key, signal));
  return artifact && JSON.parse(Buffer.from(artifact.data).toString("utf8"));
}

async function tellActions(output: Output, { session, steps }: Outputs["assemble"]): Promise<void> {
  if (session.task !== "") await output.line(`${output.style("bold", "task".padEnd(8))}${printable(session.task)}`);
  await output.line();
  for (const { index, text, action } of steps) {
    const led = action.navigatedTo === undefined ? "" : output.style("dim", `  → ${printable(action.navigatedTo)}`);
    await output.line(`${String(index + 1).padStart(4)}  ${printable(text)}${led}`);
  }
  await output.line();
}

async function tellScore(output: Output, { overall, dimensions, checks }: Outputs["score"]): Promise<void> {
  const parts = Object.entries(dimensions).map(([name, value]) => `${name} ${value}`);
  await output.line(`${output.style("bold", "score".padEnd(8))}${overall} of 100: ${parts.join(", ")}`);
  const short = checks.filter(({ points, of }) => points < of);
  if (short.length > 0) {
    await writeTable(
      output,
      [{ title: "CHECK" }, { title: "POINTS", align: "right" }, { title: "WHY NOT ALL", flexible: true }],
      short.map(({ name, points, of, reason }) => [name, `${points} of ${of}`, reason]),
    );
  }
  await output.line();
}

async function tellRedaction(output: Output, report: Outputs["redact"]["report"]): Promise<void> {
  const { painted, clean, withheld, boxes } = report.screenshots;
  const values = Object.entries(report.values).map(([kind, count]) => `${count} ${kind}`);
  const found = values.length === 0 ? "no personal values found" : `distinct values: ${values.join(", ")}`;
  await output.line(`${output.style("bold", "redacted")} ${found}`);
  if (report.places.length > 0) {
    await writeTable(
      output,
      [{ title: "PLACE" }, { title: "KIND" }, { title: "REPLACED", align: "right" }],
      report.places.map(({ place, kind, count }) => [place, kind, String(count)]),
    );
  }
  await output.line(
    `${counted(painted, "screenshot")} painted over (${counted(boxes, "place")}), ${clean} clean, ${withheld.length} withheld`,
  );
  for (const { ref, code } of withheld) await output.line(`  withheld at ${ref.stream}/${ref.seq}: ${code}`);
}

function notProcessed(id: string, stage: StageName | undefined): AppError {
  const what = stage === undefined ? "has not been processed" : `has no artifact of ${stage}`;
  return new AppError(
    "not_found",
    `Session ${id} ${what}. Once it is sealed sluiced does so by itself, or: sluice work --once; see sluice jobs list --session ${id}`,
    { reason: "NOT_PROCESSED" },
  );
}
