import { badCapture, decodeUtf8, readChunks } from "./file-access.ts";

/**
 * Walks forward through a JSON file of any length, holding no more of it than one chunk and the
 * value it is asked for. Checks what it steps over for its brackets and strings alone; a value that
 * is read is for JSON.parse to judge. What it can't walk is refused with BAD_CAPTURE.
 */
export class JsonCursor implements AsyncDisposable {
  readonly #path: string;
  readonly #chunks: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  /** Where the chunk begins in the file, and where in the chunk the cursor is. */
  #base: number;
  #at = 0;

  /**
   * Begins at a byte of the file where a value begins. `chunks` are the file's bytes from there on,
   * where they are not those on the disk.
   */
  constructor(path: string, start: number, signal: AbortSignal, chunks = readChunks(path, signal, start)) {
    this.#path = path;
    this.#base = start;
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chunks.return?.();
  }

  /** The byte the next value begins at; undefined at the end of the file. Passes over blanks. */
  async next(): Promise<{ readonly byte: number; readonly offset: number } | undefined> {
    for (;;) {
      for (; this.#at < this.#chunk.length; this.#at += 1) {
        const byte = this.#chunk[this.#at] ?? 0;
        if (!isBlank(byte)) return { byte, offset: this.#base + this.#at };
      }
      if (!(await this.#more())) return undefined;
    }
  }

  /** The keys of the object here. Before it asks for the next, the caller reads or skips the value. */
  async *keys(): AsyncGenerator<string> {
    for await (const _ of this.#parts(BRACE, CLOSING_BRACE)) {
      const key = this.#parseKey(await this.readText(MAX_KEY_BYTES));
      await this.#expect(COLON);
      yield key;
    }
  }

  /** The indices of the list here, each when the cursor stands at its value. */
  async *indices(): AsyncGenerator<number> {
    yield* this.#parts(BRACKET, CLOSING_BRACKET);
  }

  /** The value here, exactly as it is in the file. Refuses one over `maxBytes`. */
  async readText(maxBytes: number): Promise<string> {
    const parts: Buffer[] = [];
    let bytes = 0;
    await this.#walk((part) => {
      bytes += part.length;
      if (bytes > maxBytes) {
        throw badCapture({
          path: this.#path,
          problem: `a value at byte ${this.#base} or after it is longer than ${maxBytes} bytes`,
          fix: "split it, or leave out what is so long",
        });
      }
      parts.push(part);
    });
    return decodeUtf8(Buffer.concat(parts), { path: this.#path });
  }

  async skip(): Promise<void> {
    await this.#walk(() => undefined);
  }

  /** Refuses a file that goes on after its one value. */
  async end(): Promise<void> {
    if ((await this.next()) !== undefined) throw this.#notJson();
  }

  async *#parts(open: number, close: number): AsyncGenerator<number> {
    await this.#expect(open);
    if ((await this.next())?.byte === close) return await this.#expect(close);
    for (let index = 0; ; index += 1) {
      yield index;
      if ((await this.next())?.byte === close) return await this.#expect(close);
      await this.#expect(COMMA);
    }
  }

  #parseKey(json: string): string {
    try {
      const key: unknown = JSON.parse(json);
      if (typeof key === "string") return key;
    } catch {
      // Told below, with the place.
    }
    throw this.#notJson();
  }

  async #expect(byte: number): Promise<void> {
    if ((await this.next())?.byte !== byte) throw this.#notJson();
    this.#at += 1;
  }

  /** Gives the value here to `take` in parts, and stands behind it then. */
  async #walk(take: (part: Buffer) => void): Promise<void> {
    if ((await this.next()) === undefined) throw this.#notJson();
    const scan = new ValueScan();
    for (;;) {
      const end = scan.feed(this.#chunk, this.#at);
      take(this.#chunk.subarray(this.#at, end));
      this.#at = end;
      if (scan.empty) throw this.#notJson();
      if (scan.done) return;
      if (await this.#more()) continue;
      if (!scan.atEnd()) throw this.#notJson();
      return;
    }
  }

  async #more(): Promise<boolean> {
    const { value, done } = await this.#chunks.next();
    if (done === true) return false;
    this.#base += this.#chunk.length;
    this.#chunk = value;
    this.#at = 0;
    return true;
  }

  #notJson() {
    return badCapture({
      path: this.#path,
      problem: `it is not JSON, or was cut off, at byte ${this.#base + this.#at}`,
      fix: "restore the file",
    });
  }
}

/** Finds the end of one value, fed in parts. */
class ValueScan {
  done = false;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #begun = false;

  /** Where in `bytes` the value ends; their length while it goes on. */
  feed(bytes: Buffer, start: number): number {
    for (let index = start; index < bytes.length; index += 1) {
      const byte = bytes[index] ?? 0;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === BACKSLASH) this.#escaped = true;
        else if (byte === QUOTE) {
          this.#inString = false;
          if (this.#depth === 0) return this.#end(index + 1);
        }
      } else if (byte === QUOTE) {
        this.#inString = true;
      } else if (byte === BRACE || byte === BRACKET) {
        this.#depth += 1;
      } else if (byte === CLOSING_BRACE || byte === CLOSING_BRACKET) {
        if (this.#depth === 0) return this.#end(index);
        this.#depth -= 1;
        if (this.#depth === 0) return this.#end(index + 1);
      } else if (this.#depth === 0 && (byte === COMMA || byte === COLON || isBlank(byte))) {
        return this.#end(index);
      }
      this.#begun = true;
    }
    return bytes.length;
  }

  /** A mark stands where a value should. */
  get empty(): boolean {
    return this.done && !this.#begun;
  }

  /** Whether the value is whole where the file ends. Only a number or a word can be. */
  atEnd(): boolean {
    return this.#begun && this.#depth === 0 && !this.#inString;
  }

  #end(index: number): number {
    this.done = true;
    return index;
  }
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
export const BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;
export const BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
const MAX_KEY_BYTES = 64 * 1024;
