import { badCapture, decodeUtf8, readChunks } from "./file-access.ts";

export interface Line {
  /** From 1. */
  readonly number: number;
  /** Whether it ends in a line break; the last of a file that was cut off does not. */
  readonly ended: boolean;
  /** Without its line break. Decoded when asked for, so that skipping lines costs little. */
  text(): string;
}

/**
 * The lines of a UTF-8 file, one at a time. A last line without a line break counts. Refuses a
 * line over `maxBytes` with BAD_CAPTURE, so that memory stays bounded whatever the file is.
 */
export async function* readLines(path: string, maxBytes: number, signal: AbortSignal): AsyncGenerator<Line, void> {
  yield* splitLines(readChunks(path, signal), path, maxBytes);
}

/** The same of bytes from anywhere; `path` is what errors call them. */
export async function* splitLines(
  chunks: AsyncIterable<Buffer>,
  path: string,
  maxBytes: number,
): AsyncGenerator<Line, void> {
  let number = 0;
  let partial: Buffer[] = [];
  let partialBytes = 0;
  const tooLong = () =>
    badCapture({
      path,
      line: number + 1,
      problem: `the line is longer than ${maxBytes} bytes`,
      fix: "split the event",
    });
  const take = (end: Buffer, ended: boolean): Line => {
    const bytes = partial.length === 0 ? end : Buffer.concat([...partial, end]);
    partial = [];
    partialBytes = 0;
    number += 1;
    const line = number;
    return { number: line, ended, text: () => decodeUtf8(bytes, { path, line }) };
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      if (partialBytes + end - start > maxBytes) throw tooLong();
      yield take(chunk.subarray(start, end), true);
      start = end + 1;
    }
    if (start < chunk.length) {
      partial.push(chunk.subarray(start));
      partialBytes += chunk.length - start;
      if (partialBytes > maxBytes) throw tooLong();
    }
  }
  if (partialBytes > 0) yield take(Buffer.alloc(0), false);
}

/** How many lines readLines gives. */
export async function countLines(path: string, signal: AbortSignal): Promise<number> {
  let count = 0;
  let last: number | undefined;
  for await (const chunk of readChunks(path, signal)) {
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, at + 1)) count += 1;
    last = chunk.at(-1);
  }
  return last === undefined || last === LINE_FEED ? count : count + 1;
}

const LINE_FEED = 0x0a;
