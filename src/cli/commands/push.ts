import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { Command } from "commander";
import PQueue from "p-queue";
import {
  ClientError,
  createLink,
  type Link,
  type LinkOptions,
  type TlsOptions,
  uploadRecording,
} from "../../client/index.ts";
import { parseApiKey } from "../../core/api-key.ts";
import { AppError } from "../../core/errors.ts";
import type { Recording } from "../../core/import/importer.ts";
import { type CommonOptions, type Context, commonOptions, run } from "../context.ts";
import { EXIT, EXIT_CODES } from "../exit-code.ts";
import { span, wholeNumber } from "../format.ts";
import { PushProgress } from "../push-progress.ts";
import { findRecordings, type SessionRecordings, sourceBlob } from "../recordings.ts";

interface PushOptions extends CommonOptions {
  readonly to: string;
  readonly project?: string;
  readonly keyFile?: string;
  readonly ca?: string;
  readonly stream?: string;
  readonly seal: boolean;
  readonly allowMissingBlobs?: boolean;
  readonly concurrency: number;
  readonly giveUpAfter: number;
}

export function registerPush(program: Command): void {
  commonOptions(program.command("push"))
    .description("Send recordings to a daemon. Running it again sends only what is missing.")
    .argument("<capture...>", "recordings: a capture, or a directory of captures")
    .addHelpText("before", EXAMPLES)
    .option("--to <url>", "the daemon", "http://127.0.0.1:4750")
    .option("--project <id>", "whose they are (default: the key's own)")
    .option("--key-file <file>", "file that holds the API key; - is stdin (default: $SLUICE_KEY)")
    .option("--ca <file>", "PEM file of the authorities the daemon's certificate is checked against")
    .option("--stream <name>", "send as this stream, whatever the recordings say")
    .option("--no-seal", "leave the sessions open")
    .option("--allow-missing-blobs", "seal although blobs that events name are missing")
    .option("--concurrency <n>", "sessions at once", wholeNumber(1, 64), 4)
    .option("--give-up-after <time>", "how long to keep trying without any progress", span, 60_000)
    .action((captures: string[], options: PushOptions) => run(options, (context) => push(context, captures, options)));
}

const EXAMPLES = `Examples:
  sluice push ./captures/checkout-0001
  sluice push ./captures --to https://sluice.example.com --key-file collector.key
  SLUICE_KEY=$(cat collector.key) sluice push ./captures --concurrency 8 --json
`;

async function push(context: Context, captures: readonly string[], options: PushOptions): Promise<number> {
  const { output, signal } = context;
  context.resume = "What was acknowledged is kept. The same command goes on from there.";
  using link = createLink(await linkOptions(context, options));
  const found = await findRecordings(captures, options.stream, signal);
  await using progress = new PushProgress(output, found.sessions.length);
  for (const { path, error } of found.failed) await progress.failed({ path }, error);

  // A key that is refused, or a daemon that is away, is so for every session: the first ends the run.
  const hopeless = new AbortController();
  const queue = new PQueue({ concurrency: options.concurrency });
  const stop = AbortSignal.any([signal, hopeless.signal]);
  for (const session of found.sessions) {
    await queue.onSizeLessThan(options.concurrency);
    if (stop.aborted) break;
    void queue.add(async () => {
      try {
        await pushSession(link, session, options, progress, stop);
        progress.finished(session.session);
      } catch (error) {
        if (stop.aborted) return;
        const failure = failureOf(error);
        await progress.failed({ session: session.session }, failure);
        if (isHopeless(failure)) hopeless.abort(failure);
      }
    });
  }
  await queue.onIdle();
  signal.throwIfAborted();
  return await progress.finish();
}

/** Stream after stream; the last one seals the session with all of them. */
async function pushSession(
  link: Link,
  { streams }: SessionRecordings,
  options: PushOptions,
  progress: PushProgress,
  signal: AbortSignal,
): Promise<void> {
  const ends: { stream: string; lastSeq: bigint }[] = [];
  for (const [at, recording] of streams.entries()) {
    const last = at === streams.length - 1;
    const intent = { streams: ends, allowMissingBlobs: options.allowMissingBlobs ?? false };
    const seal = options.seal && last ? intent : false;
    using task = progress.begin(recording);
    const summary = await uploadRecording(
      { ...sourceOf(recording, options, signal), seal },
      {
        to: link,
        giveUpAfterMs: options.giveUpAfter,
        onProgress: (state) => task.update(state),
        onRetry: (error, waitMs) => progress.retrying(error, waitMs),
      },
      signal,
    );
    ends.push({ stream: recording.stream, lastSeq: summary.durableSeq });
    await task.stored(summary);
  }
}

function sourceOf(recording: Recording, { project }: PushOptions, signal: AbortSignal) {
  const { session, stream, info } = recording;
  return {
    ref: { project, session, stream },
    info: { ...info, labels: info.labels.map((label) => ({ ...label })) },
    events: (fromSeq: bigint, reading: AbortSignal) => recording.events(fromSeq, reading),
    blobs: {
      async *[Symbol.asyncIterator]() {
        for await (const blob of recording.blobs(signal)) yield sourceBlob(blob);
      },
    },
  };
}

async function linkOptions({ env }: Context, { to, keyFile, ca }: PushOptions): Promise<LinkOptions> {
  const presented = keyFile === undefined ? env["SLUICE_KEY"] : await readKeyFile(keyFile);
  const key = presented?.trim() || undefined;
  if (key !== undefined) parseApiKey(key);
  const tls: TlsOptions | undefined = ca === undefined ? undefined : { ca: await readNamed(ca) };
  return { url: to, key, tls };
}

async function readKeyFile(path: string): Promise<string> {
  return path === "-" ? await text(process.stdin) : await readNamed(path);
}

async function readNamed(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new AppError("invalid_argument", `${path} can't be read: ${why}.`, { reason: "NO_SUCH_FILE", cause: error });
  }
}

/** A retryable error comes here only after the client gave up. */
function isHopeless(failure: AppError | ClientError): boolean {
  return EXIT_CODES[failure.code] === EXIT.notAllowed || (failure instanceof ClientError && failure.retryable);
}

/** What a recording throws comes through the client as the cause of its error. */
function failureOf(error: unknown): AppError | ClientError {
  const inner = error instanceof ClientError && error.reason === "INTERNAL" ? error.cause : error;
  if (inner instanceof AppError) return inner;
  return error instanceof ClientError ? error : AppError.from(error);
}
