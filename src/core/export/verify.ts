import { mkdtemp, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { z } from "zod";
import type { App } from "../app.ts";
import { hashFile, statIfThere } from "../import/file-access.ts";
import { readLines } from "../import/lines.ts";
import { hashOf, readRecorded } from "../pipeline/recording.ts";
import { exporterNamed } from "./formats.ts";
import { FILE_LINE, FILES_FILE, type FileLine, filesIn, type Manifest, readManifest, rootOf } from "./manifest.ts";
import type { ExportPlan, PlannedSession } from "./plan.ts";
import { PLANNED } from "./plan-file.ts";
import { SESSIONS_FILE, writeSessions } from "./write.ts";

export interface VerifyOptions {
  readonly dir: string;
  /** The root that was printed when it was made. */
  readonly root: string | undefined;
  /** The store it was made from. */
  readonly app: App | undefined;
  readonly onProgress: (what: string) => void;
}

/** A difference between an export and what it was when it was made. */
interface Difference {
  /** A stable word, such as FILE_CHANGED. */
  readonly reason: string;
  /** The file or the session. */
  readonly what: string;
  readonly message: string;
}

export interface Verified {
  readonly manifest: Manifest;
  readonly files: number;
  readonly bytes: number;
  readonly differences: readonly Difference[];
  /** What was compared beyond the bytes. */
  readonly root: "as given" | "as the store has it" | "not compared";
  readonly rebuilt: boolean;
}

/**
 * Compares every byte of an export with its manifest; with a root or the store, the manifest with
 * what was exported; with the store also the sessions with their events, and every file with what
 * the artifacts named give again. Fails with `invalid_argument` NO_EXPORT, `data_loss` BAD_MANIFEST.
 */
export async function verifyExport(options: VerifyOptions, signal: AbortSignal): Promise<Verified> {
  const { root, app, onProgress } = options;
  const dir = resolve(options.dir);
  const manifest = await readManifest(dir);
  const differences: Difference[] = [];
  const { root: told, ...rest } = manifest;
  if (rootOf(rest) !== told)
    differences.push(difference("MANIFEST_CHANGED", "manifest.json", "its root is not that of what it says"));
  if (root !== undefined && root !== told)
    differences.push(difference("OTHER_ROOT", "manifest.json", `its root is ${told}`));
  if (app !== undefined && (await app.store.findExports(told, signal)).length === 0) {
    differences.push(difference("UNKNOWN_ROOT", "manifest.json", `the store knows of no export with the root ${told}`));
  }
  onProgress("comparing files");
  const { files, bytes } = await compareFiles(dir, manifest, differences, signal);
  if (app !== undefined && differences.length === 0)
    await compareWithStore(dir, manifest, app, options, differences, signal);
  return {
    manifest,
    files,
    bytes,
    differences,
    root: app !== undefined ? "as the store has it" : root !== undefined ? "as given" : "not compared",
    rebuilt: app !== undefined && differences.length === 0,
  };
}

async function compareFiles(dir: string, manifest: Manifest, differences: Difference[], signal: AbortSignal) {
  const { id: list } = await hashed(join(dir, FILES_FILE), signal);
  if (list !== manifest.hashes.files)
    differences.push(difference("FILE_CHANGED", FILES_FILE, "it is not the list that was written"));
  const { id: sessions } = await hashed(join(dir, SESSIONS_FILE), signal);
  if (sessions !== manifest.hashes.sessions) {
    differences.push(difference("FILE_CHANGED", SESSIONS_FILE, "it is not the list that was written"));
  }
  let [files, bytes] = [0, 0];
  const there = filesIn(dir, signal)[Symbol.asyncIterator]();
  const listed = lines(join(dir, FILES_FILE), FILE_LINE, signal)[Symbol.asyncIterator]();
  let [found, expected] = [await there.next(), await listed.next()];
  while (!found.done || !expected.done) {
    const [has, wants]: [FileLine | undefined, FileLine | undefined] = [found.value, expected.value];
    if (has !== undefined && (wants === undefined || before(has.path, wants.path))) {
      differences.push(difference("FILE_ADDED", has.path, "it is no part of the export"));
      found = await there.next();
      continue;
    }
    if (wants !== undefined && (has === undefined || before(wants.path, has.path))) {
      differences.push(difference("FILE_MISSING", wants.path, "it is not there"));
      expected = await listed.next();
      continue;
    }
    if (has !== undefined && wants !== undefined) {
      files += 1;
      bytes += has.bytes;
      if (has.sha256 !== wants.sha256) {
        const size =
          has.bytes === wants.bytes ? "bytes in it are others" : `it has ${has.bytes} bytes, not ${wants.bytes}`;
        differences.push(difference("FILE_CHANGED", has.path, size));
      }
    }
    [found, expected] = [await there.next(), await listed.next()];
  }
  return { files, bytes };
}

/** In the order that filesIn walks: directory by directory, by name. */
function before(a: string, b: string): boolean {
  const [left, right] = [a.split("/"), b.split("/")];
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    if (left[at] !== right[at]) return (left[at] ?? "") < (right[at] ?? "");
  }
  return left.length < right.length;
}

/** Each session's events are those that were exported, and its artifacts give the same files again. */
async function compareWithStore(
  dir: string,
  manifest: Manifest,
  app: App,
  { onProgress }: VerifyOptions,
  differences: Difference[],
  signal: AbortSignal,
): Promise<void> {
  const { options } = manifest;
  const sessions: PlannedSession[] = [];
  for await (const planned of lines(join(dir, SESSIONS_FILE), PLANNED, signal)) {
    onProgress(`comparing ${planned.session} with its events`);
    const problem = await compareSession(app, options.project, planned, signal);
    if (problem !== undefined) differences.push(problem);
    sessions.push(planned);
  }
  if (differences.length > 0) return;
  const scratch = await mkdtemp(`${dir}.verify-`);
  try {
    const plan: ExportPlan = { options, sessions, leftOut: {}, leakage: EMPTY };
    const again = join(scratch, "export");
    const onSession = (done: number) => onProgress(`making ${done} of ${sessions.length} again`);
    const journal = join(scratch, "journal.json");
    await writeSessions({ app, plan, exporter: exporterNamed(options.format), dir: again, journal, onSession }, signal);
    for await (const { path, sha256 } of filesIn(again, signal)) {
      const { id } = await hashed(join(dir, path), signal);
      if (id !== sha256) differences.push(difference("NOT_FROM_EVENTS", path, "the artifacts named give another file"));
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const EMPTY = {
  alikeBits: 0,
  looks: 0,
  sharedLooks: 0,
  sessions: { train: 0, validation: 0, test: 0 },
  examples: [],
  sharedSites: [],
};

async function compareSession(
  app: App,
  project: string,
  { session, streams, recording, artifacts }: PlannedSession,
  signal: AbortSignal,
): Promise<Difference | undefined> {
  const stored = await app.store.readSession(project, session, signal);
  if (stored === undefined) return difference("SESSION_GONE", session, "the store has no such session");
  const ends = stored.streams.map(({ stream, lastSeq }) => ({ stream, lastSeq: Number(lastSeq) }));
  if (JSON.stringify(ends) !== JSON.stringify(streams)) {
    return difference("OTHER_WATERMARK", session, "its streams end elsewhere in the store");
  }
  if (hashOf(await readRecorded(app.store, project, session, signal)) !== recording) {
    return difference("OTHER_EVENTS", session, "the store holds other events");
  }
  const known = new Map(
    (await app.store.listArtifacts(project, session, MAX_ARTIFACTS, signal)).map((each) => [each.key, each]),
  );
  for (const [stage, key] of Object.entries(artifacts)) {
    const artifact = known.get(key);
    if (artifact === undefined) return difference("ARTIFACT_GONE", session, `its artifact of ${stage} is not there`);
    for (const { name, hash } of artifact.inputs) {
      const made = name === "recording" ? recording : known.get(artifacts[name] ?? "")?.output;
      if (made !== hash) return difference("OTHER_EVENTS", session, `its ${stage} was not made from its ${name}`);
    }
  }
  return undefined;
}

const MAX_ARTIFACTS = 10_000;
const MAX_LINE_BYTES = 64 * 1024 * 1024;

async function* lines<T>(path: string, schema: z.ZodType<T>, signal: AbortSignal): AsyncIterable<T> {
  if ((await statIfThere(path, signal)) === undefined) return;
  for await (const line of readLines(path, MAX_LINE_BYTES, signal)) {
    const parsed = schema.safeParse(parse(line.text()));
    // A line that is none is in a file whose hash is told as changed.
    if (parsed.success) yield parsed.data;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function hashed(path: string, signal: AbortSignal): Promise<{ readonly id: string }> {
  return (await statIfThere(path, signal)) === undefined ? { id: "" } : await hashFile(path, signal);
}

function difference(reason: string, what: string, message: string): Difference {
  return { reason, what, message };
}
