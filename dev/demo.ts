import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs, styleText } from "node:util";
import { Collector } from "../src/client/index.ts";
import { openRecordings, type RecordedBlob, type RecordedEvent } from "../src/core/import/importer.ts";
import { Daemon, sluice } from "./daemon.ts";
import { type Count, compareBlobs, compareEvents, findBlob, type Source } from "./demo-check.ts";
import { untilProcessed } from "./demo-pipeline.ts";
import { Tape, TIMES_FASTER } from "./demo-tape.ts";

// A real daemon, the sample streamed to it by a collector, a kill -9 in the middle, and a look at
// what is there in the end. Exits with 1 if anything was lost or doubled.

const SAMPLE = fileURLToPath(new URL("sample/", import.meta.url));
/** Events pushed while the daemon is gone. */
const PUSHED_WITHOUT_DAEMON = 15;
const GIVE_UP_AFTER_MS = 110_000;

const { keep } = parseArgs({ options: { keep: { type: "boolean", default: false } } }).values;
const dir = await mkdtemp(join(tmpdir(), "sluice-demo-"));

async function main(): Promise<void> {
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort(new Error("Interrupted."));
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, interrupt);
  try {
    const signal = AbortSignal.any([interrupted.signal, AbortSignal.timeout(GIVE_UP_AFTER_MS)]);
    process.exitCode = (await demo(signal)) ? 0 : 1;
  } catch (error) {
    print(styleText("red", `\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`));
    process.exitCode = 1;
  } finally {
    if (keep) print(`\nAll of it is in ${dir}. In there, sluice sessions list finds it.`);
    else await rm(dir, { recursive: true, force: true, maxRetries: 10 });
    if (!keep) print("\nThe data is deleted again; npm run demo -- --keep leaves it, for you to look at.");
  }
}

async function demo(signal: AbortSignal): Promise<boolean> {
  const sources = await readSample(signal);
  const events = sum(sources, (source) => source.events.length);
  const blobs = new Set(sources.flatMap((source) => [...source.blobs.keys()]));

  let daemon = await Daemon.start({ dir });
  try {
    heading("A daemon, and a collector that streams to it");
    print(`sluiced listens at ${daemon.url}, process ${daemon.pid}, data in ${dir}/data`);
    print(`dev/sample: ${sources.length} recorded sessions, ${events} events, ${blobs.size} screenshots\n`);
    const tell = stopwatch();
    const cutOff = new Set<string>();
    await using collector = await Collector.open({
      url: daemon.url,
      spoolDir: join(dir, "spool"),
      backoff: { baseMs: 100, maxMs: 1_000 },
      onState: ({ session, phase, durableSeq }) => {
        if (phase === "open" && cutOff.delete(session)) tell(`${session} is back by itself, after event ${durableSeq}`);
      },
    });
    const tapes = await Promise.all(sources.map((source) => Tape.open(collector, source)));
    const pushed = () => sum(tapes, (tape) => tape.pushed);
    const acked = () => sum(tapes, (tape) => tape.acked);

    tell(`streaming, ${TIMES_FASTER} times as fast as it was done`);
    const failed = new AbortController();
    const stop = AbortSignal.any([signal, failed.signal]);
    const playing = Promise.all(tapes.map((tape) => tape.play(stop)));
    playing.catch((error: unknown) => failed.abort(error));

    await until(() => acked() >= events / 2, stop);
    for (const tape of tapes) if (!tape.sealed) cutOff.add(tape.name);
    await daemon.stop("SIGKILL");
    const pushedBefore = pushed();
    tell(styleText("yellow", `kill -9 ${daemon.pid}: the daemon is dead, with ${acked()} events acked`));
    tell("what is recorded now waits in the collector's spool, on disk");
    await until(() => pushed() >= Math.min(events, pushedBefore + PUSHED_WITHOUT_DAEMON), stop);
    tell(`${pushed() - acked()} events wait; sluiced is started again on the same port`);
    daemon = await Daemon.start({ dir, port: daemon.port });
    await playing;
    tell(`${sources.length} sessions are stored and sealed`);

    await show("sessions", "list");
    const [longest] = sources.toSorted((a, b) => b.events.length - a.events.length);
    await show("sessions", "show", longest?.recording.session ?? "");
    const kept = join(dir, "data", "blobs");
    print(`\nits last screenshot is in\n${await findBlob(kept, [...(longest?.blobs.keys() ?? [])].at(-1) ?? "")}`);

    heading("What is stored, byte for byte beside dev/sample");
    const eventCount = await compareEvents(daemon.url, sources, signal);
    const blobCount = await compareBlobs(daemon.url, sources, kept, signal);
    const blobsAcked = new Set(tapes.flatMap((tape) => (tape.sealed ? [...tape.blobs] : [])));
    const eventRow = { sent: pushed(), acked: acked(), ...eventCount };
    const blobRow = {
      sent: new Set(tapes.flatMap((tape) => [...tape.blobs])).size,
      acked: blobsAcked.size,
      ...blobCount,
    };
    report([
      ["events", eventRow],
      ["screenshots", blobRow],
    ]);
    const whole = isWhole(eventRow, events) && isWhole(blobRow, blobs.size);
    heading("What the pipeline made of it");
    const longestName = longest?.recording.session ?? "";
    const sessions = sources.map(({ recording }) => recording.session);
    const screenshot = await untilProcessed(dir, sessions, longestName, signal);
    tell(`${sessions.length} sessions have been through every stage, by the daemon itself`);
    await show("sessions", "result", longestName);
    if (screenshot !== undefined) {
      print(`\na screenshot as it was recorded, kept apart\n${screenshot.original}`);
      print(`and the one that may be published\n${screenshot.painted}`);
    }
    await show("export", "trl", "--out", "dataset");
    await show("export", "verify", "dataset", "--store", "sqlite:./data/sluice.db");
    print(
      whole
        ? styleText("green", `\nNothing was lost and nothing doubled: ${events} events, ${blobs.size} screenshots.`)
        : styleText("red", "\nWhat is stored is not what was sent."),
    );
    return whole && screenshot !== undefined;
  } finally {
    await daemon[Symbol.asyncDispose]();
  }
}

async function readSample(signal: AbortSignal): Promise<Source[]> {
  const sources: Source[] = [];
  for await (const recording of openRecordings(SAMPLE, signal)) {
    const blobs = new Map<string, RecordedBlob>();
    for await (const blob of recording.blobs(signal)) blobs.set(blob.id, blob);
    const events: RecordedEvent[] = [];
    for await (const event of recording.events(1n, signal)) events.push(event);
    sources.push({ recording, events, blobs });
  }
  return sources;
}

async function until(holds: () => boolean, signal: AbortSignal): Promise<void> {
  while (!holds()) await sleep(5, undefined, { signal });
}

interface Row extends Count {
  readonly sent: number;
  readonly acked: number;
}

function isWhole({ sent, acked, stored, lost, doubled, unaccounted }: Row, expected: number): boolean {
  return [sent, acked, stored].every((count) => count === expected) && lost + doubled + unaccounted === 0;
}

const COLUMNS = ["sent", "acked", "stored", "lost", "doubled", "unaccounted"] as const;

function report(rows: readonly (readonly [string, Row])[]): void {
  print(`${"".padEnd(14)}${COLUMNS.map((name) => name.padStart(12)).join("")}`);
  for (const [name, row] of rows) {
    print(`${name.padEnd(14)}${COLUMNS.map((column) => String(row[column]).padStart(12)).join("")}`);
  }
}

/** Runs a command of sluice where the data is. */
async function show(...args: string[]): Promise<void> {
  heading(["sluice", ...args].join(" "));
  const code = await sluice(args, dir);
  if (code !== 0) throw new Error(`sluice ${args.join(" ")} ended with ${code}.`);
}

function stopwatch(): (text: string) => void {
  const begun = performance.now();
  return (text) => print(`${((performance.now() - begun) / 1000).toFixed(1).padStart(5)} s  ${text}`);
}

function heading(text: string): void {
  print(`\n${styleText(["bold", "cyan"], text)}`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

await main();
