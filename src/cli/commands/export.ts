import { type Command, InvalidArgumentError } from "commander";
import { type App, openApp } from "../../core/app.ts";
import { AppError } from "../../core/errors.ts";
import { exportDataset } from "../../core/export/export.ts";
import { SPLITS } from "../../core/export/exporter.ts";
import { EXPORTERS } from "../../core/export/formats.ts";
import type { Manifest } from "../../core/export/manifest.ts";
import type { ExportOptions } from "../../core/export/plan.ts";
import type { Parts } from "../../core/export/splits.ts";
import { verifyExport } from "../../core/export/verify.ts";
import { parseWhere, WHERE_FORMS } from "../../core/jobs/where.ts";
import { loadPipeline } from "../../core/pipeline/load.ts";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { counted, showBytes, wholeNumber } from "../format.ts";
import { open, readConfig } from "../open-store.ts";
import { type Output, printable } from "../output.ts";
import { writeTable } from "../table.ts";

interface ExportFlags extends StoreOptions {
  readonly project: string;
  readonly out: string;
  readonly where: readonly string[];
  readonly minScore?: number;
  readonly split: Parts;
  readonly seed: string;
  readonly maxImageEdge?: number;
  /** `--no-leak` makes it false. */
  readonly leak: boolean;
}

interface VerifyFlags extends StoreOptions {
  readonly root?: string;
}

export function register(group: Command): void {
  group.addHelpText("before", EXAMPLES);
  for (const { name, description } of EXPORTERS) {
    storeOptions(group.command(name))
      .description(description)
      .addHelpText(
        "before",
        `Examples:\n  sluice export ${name} --out ./dataset\n  sluice export ${name} --out ./dataset --where 'score>=80' --split 0.8/0.1/0.1 --no-leak\n`,
      )
      .requiredOption("--out <dir>", "where to; it must not be there yet")
      .option("--project <id>", "whose", "default")
      .option("--where <condition>", "which sessions; may be given again, all must hold", collect, [])
      .option("--min-score <n>", "no session with a lower overall score", score)
      .option("--split <parts>", "train/validation/test; by task, so small datasets come out uneven", parts, [1, 0, 0])
      .option("--seed <text>", "other splits of the same sessions", "0")
      .option("--max-image-edge <pixels>", "make longer images smaller", wholeNumber(16, 16_383))
      .option("--no-leak", "keep sessions whose screenshots look alike in one split")
      .addHelpText(
        "after",
        `\nConditions:\n${WHERE_FORMS.map(([form, meaning]) => `  ${form.padEnd(20)} ${meaning}`).join("\n")}\n`,
      )
      .action((flags: ExportFlags) => run(flags, (context) => write(context, name, flags)));
  }
  storeOptions(group.command("verify"))
    .description("Compare an export, byte by byte, with what was exported")
    .argument("<dir>", "the export")
    .addHelpText(
      "before",
      "Examples:\n  sluice export verify ./dataset\n  sluice export verify ./dataset --root 3f9a…\n  sluice export verify ./dataset --store sqlite:./data/sluice.db\n",
    )
    .option("--root <hash>", "the root that was printed when it was made")
    .addHelpText(
      "after",
      "\nWithout --root or --store only the bytes are compared with the manifest beside them, which somebody may have changed to match.\n",
    )
    .action((dir: string, flags: VerifyFlags) => run(flags, (context) => verify(context, dir, flags)));
}

const EXAMPLES = `Examples:
  sluice export trl --out ./dataset --where 'score>=80' --split 0.9/0.05/0.05
  sluice export verify ./dataset --store sqlite:./data/sluice.db
`;

async function write(context: Context, format: string, flags: ExportFlags): Promise<number> {
  const { output, signal } = context;
  context.resume = "What was written is kept. The same command goes on from there.";
  await using app = await open(context, flags);
  const { project, where, minScore, split, seed, maxImageEdge, leak } = flags;
  const options: ExportOptions = {
    format,
    project,
    where,
    minScore: minScore ?? null,
    parts: split,
    seed,
    maxImageEdge: maxImageEdge ?? null,
    separate: !leak,
  };
  const { pipeline } = await loadPipeline(app.config.pipeline);
  const { manifest, plan, out, resumed } = await exportDataset(
    app,
    {
      options,
      where: parseWhere(project, where, app.clock.now()),
      definitions: pipeline.definitions(project),
      out: flags.out,
      onProgress: (phase, done, of) =>
        output.status(
          phase === "looking" ? `${counted(done, "session")} looked at` : `${done} of ${of} sessions written`,
        ),
    },
    signal,
  );
  output.clearStatus();
  if (resumed) output.note("Went on where an earlier run had stopped.");
  await output.record("export", {
    path: out,
    root: manifest.root,
    format,
    sessions: manifest.sessions,
    examples: manifest.examples,
    sessions_left_out: manifest.sessionsLeftOut,
    examples_left_out: manifest.examplesLeftOut,
    examples_changed: manifest.examplesChanged,
    images_resized: manifest.imagesResized,
    leakage: plan.leakage,
  });
  await output.record("summary", { exports: 1, sessions: manifest.sessions });
  if (!output.json) await tellExport(output, manifest, plan, out);
  return EXIT.done;
}

async function tellExport(
  output: Output,
  manifest: Manifest,
  plan: {
    readonly sessions: readonly { readonly split: string }[];
    readonly leakage: { readonly sharedLooks: number };
  },
  out: string,
): Promise<void> {
  await writeTable(
    output,
    [{ title: "SPLIT" }, { title: "SESSIONS", align: "right" }, { title: "EXAMPLES", align: "right" }],
    SPLITS.map((split) => [
      split,
      String(plan.sessions.filter((each) => each.split === split).length),
      String(manifest.examples[split]),
    ]),
  );
  for (const [what, counts] of [
    ["session", manifest.sessionsLeftOut],
    ["example", manifest.examplesLeftOut],
  ] as const) {
    for (const [reason, count] of Object.entries(counts))
      await output.line(`${counted(count, what)} left out: ${reason}`);
  }
  for (const [what, count] of Object.entries(manifest.examplesChanged)) {
    await output.line(`${counted(count, "example")} changed to fit: ${what}`);
  }
  if (manifest.imagesResized > 0) await output.line(`${counted(manifest.imagesResized, "image")} made smaller`);
  if (plan.leakage.sharedLooks > 0) {
    await output.line(
      `${counted(plan.leakage.sharedLooks, "look")} of screenshots in more than one split (leakage.json); --no-leak keeps them in one`,
    );
  }
  await output.line();
  await output.line(`${out}\nroot ${manifest.root}`);
}

async function verify(context: Context, dir: string, flags: VerifyFlags): Promise<number> {
  const { output, signal } = context;
  const { root, store } = flags;
  if (root !== undefined && !/^[0-9a-f]{64}$/.test(root)) {
    throw new AppError("invalid_argument", "A root has 64 hexadecimal digits, as sluice export printed it.", {
      reason: "USAGE",
    });
  }
  await using app = store === undefined && flags.config === undefined ? undefined : await opened(context, flags);
  const onProgress = (what: string): void => void output.status(what);
  const verified = await verifyExport({ dir, root, app, onProgress }, signal);
  output.clearStatus();
  const { manifest, files, bytes, differences, rebuilt } = verified;
  for (const { reason, what, message } of differences) {
    await output.record("difference", { reason, what, message });
    await output.line(`${reason.padEnd(18)} ${printable(what)}: ${printable(message)}`);
  }
  await output.record("summary", {
    root: manifest.root,
    files,
    bytes,
    differences: differences.length,
    root_compared: verified.root !== "not compared",
    made_again: rebuilt,
  });
  if (differences.length > 0) {
    output.note(`${counted(differences.length, "difference")}: this is not what was exported.`);
    return EXIT.failed;
  }
  await output.line(`${counted(files, "file")}, ${showBytes(bytes)}: every byte is as the manifest says.`);
  await output.line(`root ${manifest.root}: ${verified.root}`);
  if (rebuilt) await output.line("Every session has the events that were exported, and they give these files again.");
  if (verified.root === "not compared") {
    output.note("Not proven: that the manifest is the one that was exported. Give --root or --store.");
  }
  return EXIT.done;
}

async function opened(context: Context, flags: VerifyFlags): Promise<App> {
  const { values } = await readConfig(context, flags);
  return await openApp(values, { create: false });
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function score(value: string): number {
  const number = /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  if (number >= 0 && number <= 100) return number;
  throw new InvalidArgumentError("A score is a number from 0 to 100.");
}

function parts(value: string): Parts {
  const numbers = value.split("/").map((each) => (/^\d*\.?\d+$/.test(each) ? Number(each) : Number.NaN));
  const [train, validation = 0, test = 0] = numbers;
  const sum = numbers.reduce((all, each) => all + each, 0);
  if (train !== undefined && numbers.length <= 3 && Math.abs(sum - 1) < 1e-9) return [train, validation, test];
  throw new InvalidArgumentError("Write two or three parts that sum to 1, as 0.9/0.05/0.05.");
}
