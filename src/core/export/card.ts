import { SPLITS } from "./exporter.ts";
import type { Manifest } from "./manifest.ts";
import type { ExportPlan } from "./plan.ts";
import type { Plot } from "./plots.ts";

/** The dataset card: a README as the Hugging Face Hub reads it, with what is in the export and how it was made. */
export function cardOf(
  manifest: Omit<Manifest, "v" | "residual" | "hashes" | "root">,
  plan: ExportPlan,
  plots: readonly Plot[],
): string {
  const { options, examples, sessions, sessionsLeftOut, examplesLeftOut, stages } = manifest;
  const splits = SPLITS.filter((split) => examples[split] > 0);
  const bySplit = (split: string) => plan.sessions.filter((each) => each.split === split).length;
  const total = SPLITS.reduce((sum, split) => sum + examples[split], 0);
  return `---
pretty_name: ${JSON.stringify(`Recorded sessions of ${options.project}`)}
task_categories:
- image-text-to-text
tags:
- web-agents
- computer-use
configs:
- config_name: default
  data_files:
${splits.map((split) => `  - split: ${split}\n    path: data/${split}/*`).join("\n")}
---

# Recorded sessions of ${options.project}

${total} examples, one for each step of ${sessions} recorded sessions, as ${options.format}.

| split | sessions | examples |
| --- | ---: | ---: |
${SPLITS.map((split) => `| ${split} | ${bySplit(split)} | ${examples[split]} |`).join("\n")}

A session is in one split whole, and so are all sessions of one task (of those without a task, of one site). ${leakageWords(plan)}

${plots.map(({ path, title }) => `![${title}](${path})`).join("\n\n")}

## Left out

${table("sessions", sessionsLeftOut)}
${table("examples", examplesLeftOut)}

## How it was made

Personal values were taken out of texts and painted over in screenshots before anything else was done with them. What redaction can't find is said in its documentation: names and addresses in free text that nothing announces and nobody typed.

| stage | version : parameters |
| --- | --- |
${Object.entries(stages)
  .map(([stage, definition]) => `| ${stage} | ${definition} |`)
  .join("\n")}

Chosen by: ${options.where.length === 0 ? "all sessions" : options.where.map((each) => `\`${each}\``).join(", ")}; score ${options.minScore === null ? "any" : `at least ${options.minScore}`}; split by seed \`${options.seed}\`, ${options.parts.join("/")}; ${options.maxImageEdge === null ? "images as they were" : `images at most ${options.maxImageEdge} pixels long`}.

## Files

\`sessions.ndjson\` has a line for each session: where it ends, the artifacts it was made from, and the file and line of each example. \`manifest.json\` names all of it by hashes; \`sluice export verify\` compares.
`;
}

function leakageWords({ leakage }: ExportPlan): string {
  const { sharedLooks, looks, sharedSites } = leakage;
  const screenshots = `Of ${looks} looks of screenshots, ${sharedLooks} are in more than one split`;
  return `${screenshots}; so are ${sharedSites.length} sites (\`leakage.json\`).`;
}

function table(what: string, counts: Readonly<Record<string, number>>): string {
  const rows = Object.entries(counts);
  if (rows.length === 0) return `No ${what}.\n`;
  return `| ${what} | why |\n| ---: | --- |\n${rows.map(([reason, count]) => `| ${count} | ${reason} |`).join("\n")}\n`;
}
