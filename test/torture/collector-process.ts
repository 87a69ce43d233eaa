// A collector in a process of its own, to be killed: eight streams pushed into one spool from where
// the spool says they are, and a line on stdout for each thing the collector has promised to keep.
import { writeSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { Collector } from "../../src/client/index.ts";
import { blobBefore, Source, sha256 } from "./source.ts";

export interface CollectorJob {
  readonly url: string;
  readonly spoolDir: string;
  readonly streams: number;
  /** Every stream ends at this seq; then all is flushed and the process ends. */
  readonly until?: number;
}

/** As long as the disk takes. */
const PATIENT = { maxBlockMs: 60_000 };

const job: CollectorJob = JSON.parse(process.argv[2] ?? "");
const source = await Source.load();
await using collector = await Collector.open({
  url: job.url,
  spoolDir: job.spoolDir,
  maxSpoolBytes: 64 * 1024 * 1024,
  backoff: { baseMs: 5, maxMs: 50 },
});
writeSync(1, "ready\n");
await Promise.all(Array.from({ length: job.streams }, (_, stream) => push(stream)));

async function push(stream: number): Promise<void> {
  const { session: id, stream: name } = source.name(stream);
  const session = await collector.session({ id, stream: name, info: { task: "to be killed", collector: "torture/1" } });
  writeSync(1, `begin ${stream} ${session.nextSeq}\n`);
  for (let seq = Number(session.nextSeq); seq <= (job.until ?? Number.POSITIVE_INFINITY); seq++) {
    const number = blobBefore(seq);
    if (number !== undefined) {
      const id = await session.putBlob(source.blob(stream, number).bytes, "image/webp", PATIENT);
      writeSync(1, `blob ${id}\n`);
    }
    const event = source.event(stream, seq);
    const given = await session.push(event, PATIENT);
    if (given !== BigInt(seq)) throw new Error(`stream ${stream}: asked for seq ${seq}, was given ${given}`);
    writeSync(1, `event ${stream} ${seq} ${sha256(event)}\n`);
    if (Math.random() < 0.3) await wait(Math.random() * 30);
  }
  await session.flush();
  writeSync(1, `flushed ${stream} ${session.durableSeq}\n`);
}
