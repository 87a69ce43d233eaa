import type { AssembleOutput, StepExample } from "../pipeline/outputs.ts";
import type { Screenshot } from "../pipeline/recorded.ts";

export const SPLITS = ["train", "validation", "test"] as const;

export type Split = (typeof SPLITS)[number];

/**
 * Writes one format of training data. The same sessions in the same order give the same bytes: no
 * time, no chance, nothing of the machine. Failures are AppErrors: `resource_exhausted` DISK_FULL,
 * `failed_precondition` for what the format can't hold.
 */
export interface Exporter {
  /** As it is named on the command line. */
  readonly name: string;
  /** What it is, and who reads it, in a line. */
  readonly description: string;
  /** Goes on after `state`, which a checkpoint of the same exporter gave; files behind it are cut off or removed. */
  open(target: ExportTarget, state: unknown, signal: AbortSignal): Promise<ExportWriter>;
  /**
   * What a file of examples says, example by example in its order: JSON, but for images, which are
   * bytes where the format has bytes. Whoever checks an export reads it as others will.
   */
  read(path: string, signal: AbortSignal): AsyncIterable<unknown>;
}

interface ExportTarget {
  /** Directory to write to. */
  readonly dir: string;
}

export interface ExportWriter extends AsyncDisposable {
  /** Writes a session's examples, in order; tells where each is. */
  write(session: ExportedSession, signal: AbortSignal): Promise<readonly Outcome[]>;
  /**
   * Everything written so far is on disk, and stays as it is but for what is appended. The state is
   * JSON. Called after the same sessions every time, so a file may end here.
   */
  checkpoint(signal: AbortSignal): Promise<unknown>;
  /** Writes what describes the whole. Nothing is written after it. */
  finish(summary: ExportTotals, signal: AbortSignal): Promise<void>;
}

interface ExportedSession {
  readonly split: Split;
  readonly session: AssembleOutput["session"];
  readonly steps: readonly StepExample[];
  /** A screenshot as it is to be published. Fails with `not_found` BLOB_NOT_FOUND. */
  image(screenshot: Screenshot): Promise<ExportImage>;
}

export interface ExportImage {
  /** sha256 of `data`. */
  readonly id: string;
  readonly data: Uint8Array;
  readonly mediaType: "image/png" | "image/jpeg" | "image/webp";
  readonly width: number;
  readonly height: number;
}

/** What became of one example. */
export type Outcome = Placed | LeftOut;

interface Placed {
  readonly id: string;
  /** Relative to the export. */
  readonly file: string;
  /** From 1: the line, row or member it is. */
  readonly line: number;
  /** What the format's limits changed of it, such as IMAGE_RESIZED. */
  readonly changed?: string;
}

interface LeftOut {
  readonly id: string;
  /** A stable word, such as TOO_MANY_TOKENS. */
  readonly reason: string;
}

/** Examples by split. */
export type ExportTotals = Readonly<Record<Split, number>>;

const EXTENSIONS = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp" } as const;

/** Where an image is in an export that keeps images as files. */
export function imagePath({ id, mediaType }: ExportImage): string {
  return `images/${id.slice(0, 2)}/${id}.${EXTENSIONS[mediaType]}`;
}
