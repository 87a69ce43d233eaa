import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { App } from "../app.ts";
import { AppError } from "../errors.ts";
import { readLines } from "../import/lines.ts";
import type { RedactionKind, ValidateOutput } from "../pipeline/recorded.ts";
import { detect } from "../pipeline/redact/detect.ts";
import { readImageFormat } from "../pipeline/redact/image-format.ts";
import { readingsOf } from "../pipeline/redact/reading.ts";
import { type FoundValue, valuesIn } from "../pipeline/redact.ts";
import type { Exporter } from "./exporter.ts";
import { filesIn } from "./manifest.ts";
import { Needles } from "./needles.ts";
import { RECALL } from "./recall.ts";
import { SESSIONS_FILE } from "./write.ts";

/** What was looked at before an export was published, and how much of each kind the detectors find. */
export interface Certificate {
  readonly examples: number;
  readonly texts: number;
  readonly images: number;
  readonly otherFiles: number;
  /** Values that were looked for in the examples of their session, by kind. */
  readonly values: Readonly<Record<string, number>>;
  /** Values that were found: none, or the export would not be there. */
  readonly found: 0;
  /** Recall of each detector, from 0 to 1, as measured on labelled sets. */
  readonly recall: Readonly<Record<string, number>>;
}

/** Kinds that show by themselves what they are, and so are looked for in every text. */
const STRUCTURED: ReadonlySet<RedactionKind> = new Set([
  "email",
  "phone",
  "card",
  "iban",
  "ip",
  "secret",
  "national_id",
]);

const SESSION = z.object({
  session: z.string(),
  artifacts: z.record(z.string(), z.string()),
  examples: z.array(z.union([z.object({ file: z.string(), line: z.int() }), z.object({ reason: z.string() })])),
});

/**
 * Reads everything that is about to be published as others will read it, and looks for what
 * redaction took out of each session, and for structured personal data of any kind. Images may hold
 * nothing but the picture. The values are found again from the recording, held while their session
 * is looked at, and told to nobody. Fails with `failed_precondition` PERSONAL_DATA_LEFT at the first
 * hit, naming file, line, field and kind.
 */
export async function scanExport(
  app: App,
  project: string,
  exporter: Exporter,
  dir: string,
  signal: AbortSignal,
): Promise<Certificate> {
  const seen = new Scan();
  const files = new Map<string, AsyncIterator<unknown>>();
  for await (const text of readLines(join(dir, SESSIONS_FILE), MAX_LINE_BYTES, signal)) {
    const { session, artifacts, examples } = SESSION.parse(JSON.parse(text.text()));
    const values = await valuesOf(app, project, session, artifacts, signal);
    const needles = seen.lookFor(values);
    for (const example of examples) {
      if ("reason" in example) continue;
      const { file, line } = example;
      const rows = files.get(file) ?? exporter.read(join(dir, file), signal)[Symbol.asyncIterator]();
      files.set(file, rows);
      const row = await rows.next();
      if (row.done) throw unreadable(file, line);
      seen.example(row.value, needles.values, { file, line, session, allowed: needles.allowed });
    }
  }
  for (const [file, rows] of files) if (!(await rows.next()).done) throw unreadable(file, 0);
  for await (const { path } of filesIn(dir, signal)) {
    if (files.has(path) || path === SESSIONS_FILE) continue;
    const data = await readFile(join(dir, path));
    if (path.startsWith("images/")) seen.image(data, path);
    else seen.file(data.toString("utf8"), path);
  }
  return seen.certificate();
}

const MAX_LINE_BYTES = 64 * 1024 * 1024;

/** What redaction took out, found again; and what it was told to leave. */
async function valuesOf(
  app: App,
  project: string,
  session: string,
  artifacts: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<{ readonly values: readonly FoundValue[]; readonly allow: boolean }> {
  const records = await app.store.listArtifacts(project, session, MAX_ARTIFACTS, signal);
  const redacted = records.find(({ key }) => key === artifacts["redact"]);
  const validated = await app.store.readArtifact(project, session, artifacts["validate"] ?? "", signal);
  if (redacted === undefined || validated === undefined) {
    throw new AppError("data_loss", `The artifacts that session ${session} was redacted from are not there.`, {
      reason: "ARTIFACT_GONE",
      metadata: { session },
    });
  }
  const output: ValidateOutput = JSON.parse(Buffer.from(validated.data).toString("utf8"));
  const { allow }: { readonly allow: readonly unknown[] } = JSON.parse(redacted.paramsJson);
  return { values: valuesIn(output, redacted.paramsJson), allow: allow.length > 0 };
}

const MAX_ARTIFACTS = 10_000;

interface Place {
  readonly file: string;
  readonly line: number;
  readonly session: string;
  /** Redaction was told to leave some values, which the detectors can't know. */
  readonly allowed: boolean;
}

class Scan {
  #examples = 0;
  #texts = 0;
  #images = 0;
  #files = 0;
  readonly #values = new Map<string, number>();

  lookFor({ values, allow }: { readonly values: readonly FoundValue[]; readonly allow: boolean }) {
    const distinct = new Map(values.map((each) => [`${each.kind} ${each.value}`, each]));
    for (const { kind } of distinct.values()) this.#values.set(kind, (this.#values.get(kind) ?? 0) + 1);
    return { values: new Needles([...distinct.values()]), allowed: allow };
  }

  example(value: unknown, needles: Needles, place: Place): void {
    this.#examples += 1;
    this.#walk(value, "", needles, place);
  }

  image(data: Uint8Array, file: string, place?: { readonly line: number; readonly field: string }): void {
    this.#images += 1;
    const format = readImageFormat(data);
    if (format?.bare === true && !format.animated) return;
    throw left(
      `${file}${place === undefined ? "" : `:${place.line} (${place.field})`}`,
      "an image that holds more than a picture",
    );
  }

  /** A file beside the examples. */
  file(text: string, path: string): void {
    this.#files += 1;
    const kind = structured(text.replaceAll(/[0-9a-f]{16,64}/g, ""));
    if (kind !== undefined) throw left(path, `something that looks like ${kind}`);
  }

  certificate(): Certificate {
    return {
      examples: this.#examples,
      texts: this.#texts,
      images: this.#images,
      otherFiles: this.#files,
      values: Object.fromEntries([...this.#values].sort(([a], [b]) => (a < b ? -1 : 1))),
      found: 0,
      recall: RECALL,
    };
  }

  #walk(value: unknown, field: string, needles: Needles, place: Place): void {
    if (value instanceof Uint8Array) this.image(value, place.file, { line: place.line, field });
    else if (typeof value === "string") this.#text(value, field, needles, place);
    else if (Array.isArray(value)) {
      for (const [at, each] of value.entries()) this.#walk(each, `${field}[${at}]`, needles, place);
    } else if (typeof value === "object" && value !== null) {
      for (const [name, each] of Object.entries(value))
        this.#walk(each, field === "" ? name : `${field}.${name}`, needles, place);
    }
  }

  #text(text: string, field: string, needles: Needles, place: Place): void {
    const [, encoded] = /^data:image\/[a-z]+;base64,(.*)$/s.exec(text) ?? [];
    if (encoded !== undefined) {
      this.image(Buffer.from(encoded, "base64"), place.file, { line: place.line, field });
      return;
    }
    this.#texts += 1;
    if (isOwnName(text, place.session) || needles.isKnownClean(text)) return;
    const known = needles.find(text);
    const kind = known ?? (place.allowed ? undefined : structured(text));
    if (kind === undefined) {
      needles.noteClean(text);
      return;
    }
    const what =
      known === undefined ? `something that looks like ${kind}` : `a value of the kind ${kind} that redaction took out`;
    throw left(`${place.file}:${place.line} (${field}) of session ${place.session}`, what);
  }
}

/** The session's id, an example's, an image's path: what Sluice itself calls them. */
function isOwnName(text: string, session: string): boolean {
  return (
    text === session ||
    text.startsWith(`${session}/`) ||
    /^(?:images\/[0-9a-f]{2}\/)?[0-9a-f]{64}(?:\.\w+)?$/.test(text)
  );
}

function structured(text: string): RedactionKind | undefined {
  return readingsOf(text)
    .flatMap((reading) => detect(reading.text))
    .find(({ kind }) => STRUCTURED.has(kind))?.kind;
}

function left(where: string, what: string): AppError {
  return new AppError(
    "failed_precondition",
    `Nothing was published: ${where} holds ${what}. Look at that session; redact it again, or leave it out with --where. Please report it if redaction should have found it.`,
    { reason: "PERSONAL_DATA_LEFT", metadata: { where } },
  );
}

function unreadable(file: string, line: number): AppError {
  return new AppError("data_loss", `${file}${line === 0 ? "" : `:${line}`} can't be read back as it was written.`, {
    reason: "EXPORT_UNREADABLE",
    metadata: { file },
  });
}
