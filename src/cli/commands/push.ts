import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { type Command, Option } from "commander";
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
import { readEnvironment } from "../../core/config.ts";
import { AppError } from "../../core/errors.ts";
import type { Recording } from "../../core/import/importer.ts";
import { type CommonOptions, type Context, commonOptions, run } from "../context.ts";
import { span, wholeNumber } from "../format.ts";
import { PushProgress } from "../push-progress.ts";
import { findRecordings, type SessionRecordings, sourceBlob } from "../recordings.ts";

interface PushOptions extends CommonOptions {
  readonly to: string;
  readonly project?: string;
  readonly keyFile?: string;
  readonly ca?: string;
  readonly stream?: string;
  readonly verify?: boolean;
  readonly seal: boolean;
  readonly allowMissingBlobs?: boolean;
  readonly concurrency: number;
  readonly giveUpAfter: number;
}

export function register(push: Command): void {
  commonOptions(push)
    .argument("<capture...>", "recordings: a capture, or a directory of captures")
    .addHelpText("before", EXAMPLES)
    .option("--to <url>", "the daemon", "http://127.0.0.1:4750")
    .option("--project <id>", "whose they are (default: the key's own)")
    .option("--key-file <file>", "file that holds the API key; - is stdin (default: $SLUICE_KEY)")
    .option("--ca <file>", "PEM file of the authorities the daemon's certificate is checked against")
    .option("--stream <name>", "send as this stream, whatever the recordings say")
    .option("--verify", "send again what is stored already, so that the daemon compares it")
    .option("--no-seal", "leave the sessions open")
    .option("--allow-missing-blobs", "seal although blobs that events name are missing")
    .option("--concurrency <n>", "sessions at once", wholeNumber(1, 64), 4)
    .addOption(
      new Option("--give-up-after <time>", "how long to keep trying without any progress")
        .argParser(span)
        .default(60_000, "1m"),
    )
    .action((captures: string[], options: PushOptions) => run(options, (context) => send(context, captures, options)));
}

const EXAMPLES = `Examples:
  sluice push ./captures/checkout-0001
  sluice push ./captures --to https://sluice.example.com --key-file collector.key
  sluice push ./captures --verify
  SLUICE_KEY=$(cat collector.key) sluice push ./captures --concurrency 8 --json
`;

async function send(context: Context, captures: readonly string[], options: PushOptions): Promise<number> {
  const { output, signal } = context;
  context.resume = "What was acknowledged is kept. The same command goes on from there.";
  using link = openLink(await linkOptions(options));
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
        await progress.failed({ session: session.session }, failureOf(error));
        if (isHopeless(error)) hopeless.abort(error);
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
        verify: options.verify ?? false,
        giveUpAfterMs: options.giveUpAfter,
        onProgress: (state) => task.update(state),
        onRetry: (error, waitMs) => progress.retrying(error, waitMs),
      },
      signal,
    ).catch((error: unknown) => {
      throw located(error, recording);
    });
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

function openLink(options: LinkOptions): Link {
  try {
    return createLink(options);
  } catch (error) {
    throw failureOf(error);
  }
}

async function linkOptions({ to, keyFile, ca }: PushOptions): Promise<LinkOptions> {
  const presented = keyFile === undefined ? readEnvironment()["SLUICE_KEY"] : await readKeyFile(keyFile);
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

/** The daemon names an event by its number; whoever made the recording knows it by its place there. */
function located(error: unknown, { session, stream, where }: Recording): unknown {
  if (!(error instanceof ClientError) || error.reason !== "CONFLICT" || error.metadata.seq === undefined) return error;
  const { seq } = error.metadata;
  const place = where(BigInt(seq));
  return new AppError(
    "conflict",
    `${place}: another event is stored as event ${seq} of ${session}/${stream}, and nothing was changed. Restore the recording, or push it under another session id.`,
    { reason: "CONFLICT", metadata: { seq, where: place }, cause: error },
  );
}

/** What a recording throws comes through the client as the cause of its error. */
function failureOf(error: unknown): AppError {
  if (!(error instanceof ClientError)) return AppError.from(error);
  if (error.reason === "INTERNAL" && error.cause instanceof AppError) return error.cause;
  const { code, message, reason, metadata, retryAfterMs, cause } = error;
  return new AppError(code === "unimplemented" ? "failed_precondition" : code, message, {
    reason,
    metadata,
    cause,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

/** Refused for what it is, or given up by the client although it could pass. */
function isHopeless(error: unknown): boolean {
  if (!(error instanceof ClientError)) return false;
  return error.retryable || error.code === "unauthenticated" || error.code === "permission_denied";
}
