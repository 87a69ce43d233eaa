import { zipArchive } from "./zip-archive.ts";

/** The head of a trace; time 0 is 1,700,000,000 s. */
export const HEAD = {
  version: 10,
  type: "context-options",
  origin: "library",
  browserName: "chromium",
  platform: "linux",
  wallTime: 1_700_000_000_000,
  monotonicTime: 0,
  options: { viewport: { width: 1280, height: 720 }, deviceScaleFactor: 1 },
};

interface Call {
  readonly id: string;
  readonly method: string;
  readonly start: number;
  readonly of?: string;
  readonly params?: object;
  /** The page as html of a snapshot, just before it is touched and after. */
  readonly html?: unknown;
  readonly htmlAfter?: unknown;
  readonly inputs?: readonly object[];
  readonly after?: object | null;
  readonly log?: readonly string[];
}

/** The records of one call, as Playwright writes them. */
export function call({ id, method, start, of = "Frame", params = {}, html, htmlAfter, inputs = [], ...more }: Call) {
  const { after = {}, log = [] } = more;
  const snapshot = (phase: string, shown: unknown, timestamp: number) => ({
    type: "frame-snapshot",
    snapshot: {
      ...{ callId: id, phase, pageId: "p", frameId: "f", frameUrl: "http://a.example/", isMainFrame: true },
      ...{ viewport: { width: 1280, height: 720 }, timestamp, html: shown },
    },
  });
  return [
    { type: "before", callId: id, class: of, method, params, startTime: start, pageId: "p" },
    ...log.map((message) => ({ type: "log", callId: id, time: start, message })),
    ...inputs.map((input) => ({ type: "input", callId: id, ...input })),
    ...(html === undefined ? [] : [snapshot("action", html, start + 5)]),
    ...(after === null ? [] : [{ type: "after", callId: id, endTime: start + 9, ...after }]),
    ...(htmlAfter === undefined ? [] : [snapshot("after", htmlAfter, start + 9)]),
  ];
}

/** A picture of the page that a trace names. */
export function picture(file: string, timestamp: number, pageId = "p") {
  return { type: "screencast-frame", pageId, file, width: 1280, height: 720, timestamp };
}

export function lines(records: readonly unknown[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join("");
}

/** A trace of one context, zipped. */
export function traceArchive(
  records: readonly unknown[],
  files: Readonly<Record<string, string | Buffer>> = {},
): Buffer {
  return zipArchive([
    { name: "trace.trace", bytes: lines(records) },
    ...Object.entries(files).map(([name, bytes]) => ({ name, bytes })),
  ]);
}
