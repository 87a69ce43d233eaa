import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { Readable } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Account } from "./budget.ts";
import type { CallWatch } from "./deadlines.ts";

export interface BodyOptions {
  readonly account: Account;
  /** Largest message; also what a compressed one is charged when it is unpacked: nobody knows what it unfolds to. */
  readonly messageBytes: number;
  readonly signal: AbortSignal;
  readonly watch: CallWatch;
  /** What reads the messages keeps them and gives them back itself; else it copies them out. */
  readonly kept: boolean;
}

/**
 * The body of a streaming call, one message (5 bytes of header, then its bytes) a chunk. A
 * message is charged to the account before its bytes are read, again before it is unpacked, and its
 * buffer is made once, so a peer that sends a byte at a time costs no more than one that sends it whole.
 */
export async function* readEnvelopes(
  request: IncomingMessage | Http2ServerRequest,
  options: BodyOptions,
): AsyncGenerator<Uint8Array> {
  const source = new Source(rawOf(request), options.signal);
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
    await options.account.arrive(length + OVERHEAD, options.signal);
    begin(options);
    // Not zeroed, as it is filled or thrown away.
    const message = Buffer.allocUnsafeSlow(HEADER + length);
    message.set(header);
    if ((await source.fill(message.subarray(HEADER), () => undefined)) < length) throw incomplete();
    options.watch.begunAt = undefined;
    await options.account.admit(compressed ? options.messageBytes : length + OVERHEAD, options.signal);
    yield message;
    // What has read it may hold on to the view until the next message comes, which on a quiet stream
    // is long.
    if (!options.kept) message.buffer.transfer(0);
    options.account.arrived();
  }
}

/** The body of a unary call in the Connect protocol, charged as a whole before it is read. */
export async function* readWhole(
  request: IncomingMessage | Http2ServerRequest,
  options: BodyOptions,
): AsyncGenerator<Uint8Array> {
  const length = request.headers["content-length"];
  const declared = length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : options.messageBytes;
  const compressed = request.headers["content-encoding"] !== undefined;
  if (declared > options.messageBytes) throw tooLarge(declared, options.messageBytes);
  await options.account.arrive(declared + OVERHEAD, options.signal);
  begin(options);
  const source = new Source(rawOf(request), options.signal);
  // One byte more than may come, to notice that it did.
  const whole = new Uint8Array(declared + 1);
  const size = await source.fill(whole, () => undefined);
  if (size > declared) throw tooLarge(size, declared);
  options.watch.begunAt = undefined;
  await options.account.admit(compressed ? options.messageBytes : size + OVERHEAD, options.signal);
  yield whole.subarray(0, size);
  options.account.arrived();
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

/** An HTTP/2 request is a second buffer around its stream, and its stream is all there is to read. */
function rawOf(request: IncomingMessage | Http2ServerRequest): Readable {
  return "stream" in request ? request.stream : request;
}

/**
 * Copies bytes out of a request as they come, into the buffer that waits for them. Between two
 * buffers the request is paused: what is not asked for stays with the sender, behind flow control.
 */
class Source {
  readonly #request: Readable;
  #target: Uint8Array | undefined;
  #filled = 0;
  #rest: Uint8Array | undefined;
  #ended = false;
  #failed: unknown;
  #wake: (() => void) | undefined;

  constructor(request: Readable, signal: AbortSignal) {
    this.#request = request;
    request.pause();
    request.on("data", (chunk: Buffer) => this.#take(chunk));
    request.on("end", () => {
      this.#ended = true;
      this.#wake?.();
    });
    const fail = (error: unknown): void => {
      if (!this.#ended) this.#failed ??= error;
      this.#wake?.();
    };
    const gone = (): void => fail(new ConnectError("the caller went away", Code.Canceled));
    request.on("error", fail);
    request.on("close", gone);
    signal.addEventListener("abort", () => fail(signal.reason));
    // What came while the caller was being identified comes no more: an empty body's end, a reset.
    this.#ended = request.readableEnded;
    if (signal.aborted) fail(signal.reason);
    else if (request.destroyed) gone();
  }

  /** Fills `target` and returns how much it got: less only at the end. `onFirst` is called at the first byte. */
  async fill(target: Uint8Array, onFirst: () => void): Promise<number> {
    this.#target = target;
    this.#filled = 0;
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest !== undefined) this.#take(rest);
    let begun = false;
    while (this.#filled < target.length && !this.#ended) {
      if (this.#failed !== undefined) throw ConnectError.from(this.#failed, Code.Canceled);
      if (!begun && this.#filled > 0) {
        begun = true;
        onFirst();
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      this.#request.resume();
      await promise;
    }
    this.#target = undefined;
    return this.#filled;
  }

  #take(chunk: Uint8Array): void {
    const wanted = this.#target === undefined ? 0 : this.#target.length - this.#filled;
    const fits = chunk.length > wanted ? chunk.subarray(0, wanted) : chunk;
    this.#target?.set(fits, this.#filled);
    const first = this.#filled === 0;
    this.#filled += fits.length;
    if (chunk.length >= wanted) {
      this.#request.pause();
      if (chunk.length > wanted)
        this.#rest =
          this.#rest === undefined ? chunk.subarray(wanted) : Buffer.concat([this.#rest, chunk.subarray(wanted)]);
    }
    if (first || chunk.length >= wanted) this.#wake?.();
  }
}
