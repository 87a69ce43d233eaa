import { join } from "node:path";
import { readLines } from "../import/lines.ts";
import type { StepExample } from "../pipeline/outputs.ts";
import { writeWhole } from "./export-file.ts";
import type { Exporter, ExportImage, ExportTotals, ExportWriter, Outcome } from "./exporter.ts";
import { Shards } from "./shards.ts";

/** A format that is one JSON object an example. */
export interface JsonlFormat {
  readonly name: string;
  readonly description: string;
  /** Of one file. */
  readonly maxFileBytes: number;
  /** The line of an example, or the reason why the format can't hold it. */
  line(example: StepExample, image: ExportImage | undefined, dir: string): Promise<Line>;
  /** Files beside the lines, by path. Fails when the whole is not what the format asks for. */
  extras(totals: ExportTotals): Readonly<Record<string, string>>;
}

type Line = { readonly json: string; readonly changed?: string } | { readonly leftOut: string };

/** A line holds an image at most, ten megabytes as a data URL. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;

export function jsonlExporter(format: JsonlFormat): Exporter {
  return {
    name: format.name,
    description: format.description,
    async *read(path, signal) {
      for await (const line of readLines(path, MAX_LINE_BYTES, signal)) yield JSON.parse(line.text());
    },
    async open({ dir }, state): Promise<ExportWriter> {
      const shards = await Shards.open(
        dir,
        { extension: "jsonl", maxBytes: format.maxFileBytes, ending: new Uint8Array() },
        state,
      );
      return {
        async write({ split, steps, image }, signal) {
          const outcomes: Outcome[] = [];
          for (const step of steps) {
            signal.throwIfAborted();
            const { screenshot } = step.observation;
            const line = await format.line(step, screenshot && (await image(screenshot)), dir);
            if ("leftOut" in line) outcomes.push({ id: step.id, reason: line.leftOut });
            else {
              const place = await shards.append(split, Buffer.from(`${line.json}\n`));
              outcomes.push({ id: step.id, ...place, ...(line.changed !== undefined && { changed: line.changed }) });
            }
          }
          return outcomes;
        },
        checkpoint: () => shards.checkpoint(),
        async finish(totals) {
          for (const [path, text] of Object.entries(format.extras(totals))) await writeWhole(join(dir, path), text);
        },
        [Symbol.asyncDispose]: () => shards[Symbol.asyncDispose](),
      };
    },
  };
}
