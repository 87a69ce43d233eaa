import { rename } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { fsyncDirectory } from "../durable-directory.ts";
import { statIfThere } from "../import/file-access.ts";
import { readLines } from "../import/lines.ts";
import { AppendedFile } from "./export-file.ts";
import { SPLITS } from "./exporter.ts";
import type { ExportPlan, PlannedSession } from "./plan.ts";

/** A planned session as it stands in plans and in sessions.ndjson. */
export const PLANNED = z.object({
  session: z.string(),
  split: z.enum(SPLITS),
  streams: z.array(z.strictObject({ stream: z.string(), lastSeq: z.int() })),
  recording: z.string(),
  artifacts: z.record(z.string(), z.string()),
}) satisfies z.ZodType<PlannedSession>;

/** A session has a few hundred bytes. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;

type Head = Omit<ExportPlan, "sessions">;

/** Keeps a plan: its head on the first line, then a session a line. */
export async function writePlan(path: string, { sessions, ...head }: ExportPlan): Promise<void> {
  const temporary = `${path}.tmp`;
  {
    await using file = await AppendedFile.open(temporary, 0);
    await file.append(Buffer.from(`${JSON.stringify(head)}\n`));
    for (const session of sessions) await file.append(Buffer.from(`${JSON.stringify(session)}\n`));
    await file.sync();
  }
  await rename(temporary, path);
  await fsyncDirectory(dirname(path));
}

/** undefined when there is none. */
export async function readPlan(path: string, signal: AbortSignal): Promise<ExportPlan | undefined> {
  if ((await statIfThere(path, signal)) === undefined) return undefined;
  let head: Head | undefined;
  const sessions: PlannedSession[] = [];
  for await (const line of readLines(path, MAX_LINE_BYTES, signal)) {
    if (head === undefined) head = JSON.parse(line.text());
    else sessions.push(PLANNED.parse(JSON.parse(line.text())));
  }
  return head && { ...head, sessions };
}
