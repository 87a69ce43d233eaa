import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { AppError } from "../errors.ts";
import { fileError, hashFile, listDirectory } from "../import/file-access.ts";
import { canonicalJson, sha256 } from "../pipeline/canonical.ts";
import { AppendedFile, writeWhole } from "./export-file.ts";

const COUNTS = z.record(z.string(), z.int());
const HASH = z.string().regex(/^[0-9a-f]{64}$/);

const MANIFEST = z.strictObject({
  v: z.literal(1),
  options: z.strictObject({
    format: z.string(),
    project: z.string(),
    where: z.array(z.string()).readonly(),
    minScore: z.number().nullable(),
    parts: z.tuple([z.number(), z.number(), z.number()]).readonly(),
    seed: z.string(),
    maxImageEdge: z.int().nullable(),
    separate: z.boolean(),
  }),
  /** The stages' definitions, as name to version:parameters. */
  stages: z.record(z.string(), z.string()),
  sessions: z.int(),
  /** Sessions that matched and are not in it, by reason. */
  sessionsLeftOut: COUNTS,
  examples: z.strictObject({ train: z.int(), validation: z.int(), test: z.int() }),
  examplesLeftOut: COUNTS,
  examplesChanged: COUNTS,
  imagesResized: z.int(),
  /** What was looked for before it was published. */
  residual: z.strictObject({
    examples: z.int(),
    texts: z.int(),
    images: z.int(),
    otherFiles: z.int(),
    values: COUNTS,
    found: z.literal(0),
    recall: z.record(z.string(), z.number()),
  }),
  /** sha256 of sessions.ndjson and of files.ndjson. */
  hashes: z.strictObject({ sessions: HASH, files: HASH }),
  /** sha256 of the manifest's canonical JSON without this field: of everything, as it names everything. */
  root: HASH,
});

export type Manifest = z.output<typeof MANIFEST>;

const MANIFEST_FILE = "manifest.json";
export const FILES_FILE = "files.ndjson";

/** A file of an export. */
export const FILE_LINE = z.strictObject({ path: z.string(), bytes: z.int(), sha256: HASH });

export type FileLine = z.output<typeof FILE_LINE>;

/** Every file of a directory but the manifest and the list itself, by path, with what is in it. */
export async function* filesIn(dir: string, signal: AbortSignal, below = ""): AsyncIterable<FileLine> {
  for (const entry of await listDirectory(join(dir, below), signal)) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) yield* filesIn(dir, signal, path);
    else if (!entry.isFile()) throw strangeFile(path);
    else if (path !== MANIFEST_FILE && path !== FILES_FILE) {
      const { id, size } = await hashFile(join(dir, path), signal);
      yield { path, bytes: size, sha256: id };
    }
  }
}

/** Lists the files, then names the list, and all else, in the manifest. Returns it. */
export async function writeManifest(
  dir: string,
  told: Omit<Manifest, "v" | "hashes" | "root">,
  signal: AbortSignal,
): Promise<Manifest> {
  let sessions = "";
  {
    await using list = await AppendedFile.open(join(dir, FILES_FILE), 0);
    for await (const file of filesIn(dir, signal)) {
      if (file.path === "sessions.ndjson") sessions = file.sha256;
      await list.append(Buffer.from(`${JSON.stringify(file)}\n`));
    }
    await list.sync();
  }
  const { id: files } = await hashFile(join(dir, FILES_FILE), signal);
  const whole = { v: 1 as const, ...told, hashes: { sessions, files } };
  const manifest: Manifest = { ...whole, root: rootOf(whole) };
  await writeWhole(join(dir, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}

export function rootOf(manifest: Omit<Manifest, "root">): string {
  return sha256(canonicalJson(manifest));
}

/** Fails with `invalid_argument` NO_EXPORT, `data_loss` BAD_MANIFEST, or as reading a file does. */
export async function readManifest(dir: string): Promise<Manifest> {
  let text: string;
  try {
    text = await readFile(join(dir, MANIFEST_FILE), "utf8");
  } catch (cause) {
    const failure = fileError(dir, cause);
    if (failure.reason !== "NO_SUCH_FILE") throw failure;
    throw new AppError("invalid_argument", `${dir} holds no export: there is no ${MANIFEST_FILE} to read in it.`, {
      reason: "NO_EXPORT",
      cause,
    });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw badManifest(dir, "it is not JSON", cause);
  }
  const parsed = MANIFEST.safeParse(json);
  if (parsed.success) return parsed.data;
  throw badManifest(dir, `${parsed.error.issues[0]?.path.join(".")} is not what it must be`, parsed.error);
}

function badManifest(dir: string, what: string, cause: unknown): AppError {
  return new AppError("data_loss", `The ${MANIFEST_FILE} of ${dir} was changed: ${what}. Export again.`, {
    reason: "BAD_MANIFEST",
    cause,
  });
}

function strangeFile(path: string): AppError {
  return new AppError("data_loss", `${path} is neither a file nor a directory, and no part of an export.`, {
    reason: "STRANGE_FILE",
    metadata: { path },
  });
}
