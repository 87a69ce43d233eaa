import { createHash } from "node:crypto";
import type { z } from "zod";
import { AppError } from "../../../../src/core/errors.ts";
import type {
  RedactOutput,
  SessionEvent,
  SessionFacts,
  ValidateOutput,
} from "../../../../src/core/pipeline/recorded.ts";
import { redact } from "../../../../src/core/pipeline/redact.ts";
import { never } from "../../../fixtures.ts";

const FACTS: SessionFacts = {
  id: "s",
  task: "",
  startUrl: "",
  userAgent: "",
  collector: "",
  labels: [],
};

/** The `n`th event of a session, a click unless `more` says otherwise. */
export function sessionEvent(n: number, more: Partial<SessionEvent> = {}): SessionEvent {
  return { ref: { stream: "main", seq: n }, timeMs: 1000 * n, type: "click", screenshots: [], ...more };
}

/** Blobs by their id, and what was derived of them. */
export class Blobs {
  readonly recorded = new Map<string, Uint8Array>();
  readonly derived = new Map<string, Uint8Array>();

  add(bytes: Uint8Array): string {
    const id = idOf(bytes);
    this.recorded.set(id, bytes);
    return id;
  }
}

function idOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Runs the stage as the worker does, on `blobs`. */
export async function redactSession(
  events: readonly SessionEvent[],
  facts: Partial<SessionFacts> = {},
  params: z.input<typeof redact.params> = {},
  blobs: Blobs = new Blobs(),
): Promise<RedactOutput> {
  const validate: ValidateOutput = {
    session: { ...FACTS, ...facts },
    events,
    findings: [],
    dropped: [],
    quarantined: 0,
    missingBlobs: [],
  };
  return await redact.run({ validate }, redact.params.parse(params), {
    signal: never,
    readBlob: async (id) => {
      const bytes = blobs.recorded.get(id);
      if (bytes !== undefined) return bytes;
      throw new AppError("not_found", "There is no such blob.", { reason: "BLOB_NOT_FOUND" });
    },
    writeDerived: async (data) => {
      const id = idOf(data);
      blobs.derived.set(id, data);
      return id;
    },
  });
}

/** Every text of a value, with where it stands. */
export function textsOf(value: unknown, path = ""): { readonly path: string; readonly text: string }[] {
  if (typeof value === "string") return [{ path, text: value }];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => textsOf(inner, path === "" ? key : `${path}.${key}`));
}

/** Where in `output` a value still stands, in any spelling. Works it out by itself, not as the stage does. */
export function survivals(output: unknown, value: string): string[] {
  const wanted = bare(value);
  return textsOf(output)
    .filter(({ text }) => bare(text).includes(wanted) || bare(plain(text)).includes(wanted))
    .map(({ path }) => path);
}

/** Without percent-encoding, entities and backslashes, however often they are laid over one another. */
function plain(text: string): string {
  const once = text
    .replaceAll(/(?:%[0-9a-f]{2})+/gi, (bytes) => Buffer.from(bytes.replaceAll("%", ""), "hex").toString())
    .replaceAll(/&#x([0-9a-f]+);/gi, (_match, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)))
    .replaceAll(/&#([0-9]+);/g, (_match, digits: string) => String.fromCodePoint(Number(digits)))
    .replaceAll(/\\u([0-9a-f]{4})/gi, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replaceAll(/\\([^a-z0-9])/gi, "$1");
  return once === text ? text : plain(once);
}

function bare(text: string): string {
  return text
    .normalize("NFKD")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]/gu, "");
}
