import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Account } from "./budget.ts";
import type { CallWatch } from "./deadlines.ts";

export interface BodyOptions {
  readonly account: Account;
  /** Largest message; also what a compressed one is charged, since nobody knows what it unfolds to. */
  readonly messageBytes: number;
  readonly signal: AbortSignal;
  readonly watch: CallWatch;
}

/**
 * The body of a streaming call, one message (5 bytes of header, then its bytes) a chunk. A
 * message is charged to the account before its bytes are read, and its buffer is made once, so a
 * peer that sends a byte at a time costs no more than one that sends it whole.
 */
export async function* readEnvelopes(
  request: IncomingMessage | Http2ServerRequest,
  options: BodyOptions,
): AsyncGenerator<Uint8Array> {
  const source = new Source(request, options.signal);
  const header = new Uint8Array(HEADER);
  for (;;) {
    options.watch.begunAt = undefined;
    const got = await source.fill(header, () => begin(options));
    if (got === 0) return;
    if (got < HEADER) throw incomplete();
    const length = new DataView(header.buffer).getUint32(1);
    if (length > options.messageBytes) throw tooLarge(length, options.messageBytes);
    const compressed = ((header[0] ?? 0) & COMPRESSED) !== 0;
    options.watch.begunAt = undefined;
    await options.account.charge(length + (compressed ? options.messageBytes : OVERHEAD), options.signal);
    begin(options);
    const message = new Uint8Array(HEADER + length);
    message.set(header);
    if ((await source.fill(message.subarray(HEADER), () => undefined)) < length) throw incomplete();
    options.watch.begunAt = undefined;
    yield message;
  }
}

/** The body of a unary call in the Connect protocol, charged as a whole before it is read. */
export async function* readWhole(
  request: IncomingMessage | Http2ServerRequest,
  options: BodyOptions,
): AsyncGenerator<Uint8Array> {
  const declared = Number(request.headers["content-length"] ?? options.messageBytes);
  const compressed = request.headers["content-encoding"] !== undefined;
  if (declared > options.messageBytes) throw tooLarge(declared, options.messageBytes);
  await options.account.charge(compressed ? options.messageBytes : declared + OVERHEAD, options.signal);
  begin(options);
  const source = new Source(request, options.signal);
  const parts: Buffer[] = [];
  let size = 0;
  do {
    const chunk = source.take();
    if (chunk === undefined) continue;
    size += chunk.length;
    if (size > options.messageBytes) throw tooLarge(size, options.messageBytes);
    parts.push(chunk);
  } while (await source.wait());
  options.watch.begunAt = undefined;
  yield Buffer.concat(parts, size);
}

const HEADER = 5;
const COMPRESSED = 0x01;
/** What a message costs beyond its bytes. */
const OVERHEAD = 1024;

function begin({ watch }: BodyOptions): void {
  watch.begunAt = performance.now();
  watch.lastAt = watch.begunAt;
}

function incomplete(): ConnectError {
  return new ConnectError("the request ends in the middle of a message", Code.InvalidArgument);
}

function tooLarge(bytes: number, limit: number): ConnectError {
  return new ConnectError(`the message has ${bytes} bytes; the limit is ${limit}`, Code.ResourceExhausted);
}

/** Pulls bytes out of a request; what is not asked for stays with the sender, behind flow control. */
class Source {
  readonly #request: IncomingMessage | Http2ServerRequest;
  #rest: Buffer | undefined;
  #ended = false;
  #failed: unknown;
  #wake: (() => void) | undefined;

  constructor(request: IncomingMessage | Http2ServerRequest, signal: AbortSignal) {
    this.#request = request;
    const wake = (): void => this.#wake?.();
    request.on("readable", wake);
    request.on("end", () => {
      this.#ended = true;
      wake();
    });
    request.on("error", (error) => {
      this.#failed ??= error;
      wake();
    });
    signal.addEventListener("abort", () => {
      this.#failed ??= signal.reason;
      wake();
    });
    request.on("close", () => {
      if (!this.#ended) this.#failed ??= new ConnectError("the caller went away", Code.Canceled);
      wake();
    });
  }

  /** What has arrived, if anything. */
  take(): Buffer | undefined {
    const rest = this.#rest;
    this.#rest = undefined;
    return rest ?? this.#request.read() ?? undefined;
  }

  /** Waits until there may be more; false at the end. */
  async wait(): Promise<boolean> {
    if (this.#request.readableLength === 0 && !this.#ended && this.#failed === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
    }
    if (this.#failed !== undefined) throw ConnectError.from(this.#failed, Code.Canceled);
    return !this.#ended;
  }

  /** Fills `target` and returns how much it got: less only at the end. `onFirst` is called at the first byte. */
  async fill(target: Uint8Array, onFirst: () => void): Promise<number> {
    let at = 0;
    while (at < target.length) {
      const chunk = this.take();
      if (chunk === undefined) {
        if (!(await this.wait())) return at;
        continue;
      }
      if (at === 0) onFirst();
      const wanted = target.length - at;
      target.set(chunk.length > wanted ? chunk.subarray(0, wanted) : chunk, at);
      at += Math.min(chunk.length, wanted);
      if (chunk.length > wanted) this.#rest = chunk.subarray(wanted);
    }
    return at;
  }
}
