import { open as openFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Command } from "commander";
import { findOriginal } from "../../core/blobs/originals.ts";
import { AppError } from "../../core/errors.ts";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { showBytes } from "../format.ts";
import { open } from "../open-store.ts";

interface BlobOptions extends StoreOptions {
  readonly project: string;
  readonly out: string;
  readonly force?: boolean;
}

export function registerBlob(sessions: Command): void {
  storeOptions(sessions.command("blob"))
    .description("The bytes of one blob, such as a screenshot")
    .argument("<blob>", "its id, a sha256, as events have it")
    .addHelpText(
      "before",
      "Examples:\n  sluice sessions blob 9f86d081… --out before.webp\n  sluice sessions blob 9f86d081… --out - | file -\n",
    )
    .requiredOption("--out <file>", "where to; - is stdout")
    .option("--project <id>", "whose", "default")
    .option("--force", "replace a file that is there")
    .action((id: string, options: BlobOptions) => run(options, (context) => blob(context, id, options)));
}

async function blob(context: Context, id: string, options: BlobOptions): Promise<number> {
  const { output, signal } = context;
  const toStdout = options.out === "-";
  if (toStdout && (output.json || output.isTerminal)) {
    throw new AppError(
      "invalid_argument",
      "Bytes go to a file or a pipe: name one with --out, without --json for a pipe.",
      {
        reason: "USAGE",
      },
    );
  }
  if (!toStdout && !options.force && (await exists(options.out))) {
    throw new AppError("failed_precondition", `${options.out} is there already; --force replaces it.`, {
      reason: "FILE_EXISTS",
    });
  }
  await using app = await open(context, options);
  const record = await findOriginal(app.store, options.project, id, signal);
  const bytes = app.blobs.read(options.project, id, signal);
  if (toStdout) {
    for await (const chunk of bytes) await output.bytes(chunk);
    return EXIT.done;
  }
  await writeWhole(options.out, bytes);
  await output.record("blob", { id, size: record.size, media_type: record.mediaType, file: options.out });
  await output.record("summary", { blobs: 1 });
  await output.line(`${options.out}: ${showBytes(record.size)} of ${record.mediaType || "an unknown type"}`);
  return EXIT.done;
}

/** The file is there whole or not at all, also when the bytes turn out to be damaged at their end. */
async function writeWhole(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const partial = join(dirname(path), `.${basename(path)}.${process.pid}.partial`);
  try {
    const file = await openFile(partial, "wx");
    try {
      for await (const chunk of bytes) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw cannotWrite(path, error);
  }
}

function cannotWrite(path: string, error: unknown): unknown {
  if (!(error instanceof Error && "syscall" in error)) return error;
  return new AppError("failed_precondition", `${path} can't be written: ${error.message}.`, {
    reason: "CANNOT_WRITE",
    cause: error,
  });
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw cannotWrite(path, error);
  }
}
