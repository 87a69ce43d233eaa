import { once } from "node:events";
import { styleText } from "node:util";
import { redactApiKeys } from "../core/api-key.ts";
import type { AppError } from "../core/errors.ts";

/** A line of `--json`: numbers, texts and the like; a bigint is a number while that is exact, else a text. */
export type Fields = Readonly<Record<string, unknown>>;

export type Style = Parameters<typeof styleText>[0];

export interface OutputOptions {
  readonly json: boolean;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

/**
 * Where a command writes. Data goes to stdout, all else to stderr. With `--json` every line of
 * stdout is `{"v":1,"type":…}` and the last is of type summary or error. Writing waits for a slow
 * reader; when the reader has gone, `gone` aborts and what is written is dropped.
 */
export class Output {
  readonly json: boolean;
  readonly #stdout: NodeJS.WriteStream;
  readonly #stderr: NodeJS.WriteStream;
  readonly #gone = new AbortController();
  #status = "";

  constructor({ json, stdout, stderr }: OutputOptions) {
    this.json = json;
    this.#stdout = stdout;
    this.#stderr = stderr;
    stdout.on("error", (error) => this.#gone.abort(error));
    // A closed stderr must not end what is being done.
    stderr.on("error", () => undefined);
  }

  /** Aborts when nobody reads stdout any more. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Columns to fit, or undefined when stdout is no terminal. */
  get columns(): number | undefined {
    return this.#stdout.isTTY ? this.#stdout.columns : undefined;
  }

  get isTerminal(): boolean {
    return this.#stdout.isTTY;
  }

  /** A line of data for people; nothing with `--json`. */
  async line(text = ""): Promise<void> {
    if (!this.json) await this.bytes(`${text}\n`);
  }

  /** A line of data for programs; nothing without `--json`. */
  async record(type: string, fields: Fields): Promise<void> {
    if (this.json) await this.ndjson(type, fields);
  }

  /** A line of data for programs, whether `--json` was asked for or not. */
  async ndjson(type: string, fields: Fields): Promise<void> {
    await this.bytes(`${JSON.stringify({ v: 1, type, ...fields }, (_key, value) => plain(value))}\n`);
  }

  async bytes(data: string | Uint8Array): Promise<void> {
    const { signal } = this.#gone;
    if (this.#stdout.isTTY) this.clearStatus();
    if (signal.aborted || this.#stdout.write(data)) return;
    // An abort is told by `gone`; here it only ends the wait.
    await once(this.#stdout, "drain", { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }

  /** For people, on stderr, whatever the mode. */
  note(text: string): void {
    this.clearStatus();
    this.#stderr.write(`${redactApiKeys(text)}\n`);
  }

  /** A line that replaces the one before; only on a terminal. */
  status(text: string): boolean {
    if (!this.#stderr.isTTY) return false;
    const fitted = text.slice(0, Math.max(10, (this.#stderr.columns || 80) - 1));
    this.#stderr.write(`\r\u001b[2K${fitted}`);
    this.#status = fitted;
    return true;
  }

  /** The error as a line for programs and as one for people. */
  async failure(error: AppError): Promise<void> {
    if (this.json) {
      await this.ndjson("error", {
        code: error.code,
        reason: error.reason,
        message: redactApiKeys(error.message),
        metadata: error.metadata,
        retry_after_ms: error.retryAfterMs,
      });
    }
    this.note(`${styleText(["red", "bold"], "error", { stream: this.#stderr })} ${printable(error.message, "\n")}`);
    const known = error.reason === "INTERNAL" || error.code === "internal";
    if (known && error.cause instanceof Error) this.note(error.cause.stack ?? error.cause.message);
  }

  /** Styled where stdout shows colours and NO_COLOR is not set. */
  style(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#stdout });
  }

  /** Takes away the line that `status` left. */
  clearStatus(): void {
    if (this.#status === "") return;
    this.#stderr.write("\r\u001b[2K");
    this.#status = "";
  }
}

/**
 * Recorded text fit for a terminal: what would move its cursor or change its title is shown as a
 * replacement character. `keep` may name characters to leave.
 */
export function printable(text: string, keep = ""): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => (keep.includes(character) ? character : "�"));
}

function plain(value: unknown): unknown {
  if (typeof value !== "bigint") return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}
