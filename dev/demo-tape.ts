import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import type { Collector, CollectorSession } from "../src/client/index.ts";
import type { RecordedEvent } from "../src/core/import/importer.ts";
import { EventSchema } from "../src/wire/gen/sluice/v1/event_pb.ts";
import type { Source } from "./demo-check.ts";

/** The longest recording takes 51 seconds. */
export const TIMES_FASTER = 8;

/** One recording, given to the collector at the pace of the person who made it, only faster. */
export class Tape {
  readonly #source: Source;
  readonly #session: CollectorSession;
  readonly blobs = new Set<string>();
  pushed = 0;
  sealed = false;

  private constructor(source: Source, session: CollectorSession) {
    this.#source = source;
    this.#session = session;
  }

  static async open(collector: Collector, source: Source): Promise<Tape> {
    const { session: id, stream, info } = source.recording;
    const labels = info.labels.map((label) => ({ ...label }));
    return new Tape(source, await collector.session({ id, stream, info: { ...info, labels } }));
  }

  get name(): string {
    return this.#session.id;
  }

  /** Events the daemon has said are on its disk. */
  get acked(): number {
    return Number(this.#session.durableSeq);
  }

  async play(signal: AbortSignal): Promise<void> {
    let at = timeOf(this.#source.events[0]);
    for (const recorded of this.#source.events) {
      const time = timeOf(recorded);
      await sleep(Math.max(0, time - at) / TIMES_FASTER, undefined, { signal });
      at = time;
      for (const id of recorded.blobs) await this.#putBlob(id);
      await this.#session.push(recorded.event);
      this.pushed += 1;
    }
    for (const id of this.#source.blobs.keys()) await this.#putBlob(id);
    const { missingBlobs } = await this.#session.seal({}, signal);
    if (missingBlobs.length > 0) throw new Error(`${this.name} was sealed without ${missingBlobs.join(", ")}.`);
    this.sealed = true;
  }

  async #putBlob(id: string): Promise<void> {
    const blob = this.#source.blobs.get(id);
    if (blob === undefined || this.blobs.has(id)) return;
    await this.#session.putBlob(await readFile(blob.path), blob.mediaType);
    this.blobs.add(id);
  }
}

function timeOf(recorded: RecordedEvent | undefined): number {
  return recorded === undefined ? 0 : Number(fromBinary(EventSchema, recorded.event).timeMs);
}
