import { setTimeout as wait } from "node:timers/promises";
import { createLink, type Link } from "../../src/client/transport.ts";
import { IngestService } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { opaqueAppend } from "../../src/wire/opaque.ts";
import type { Source } from "./source.ts";

/** Events of a session: about what the sample's have. */
const EVENTS = 30;
const AT_ONCE = 4;
const CALL_MS = 5_000;

/** Records sessions and seals them through a daemon that may be killed at any time. */
export class Feeder implements Disposable {
  readonly #link: Link;
  readonly #source: Source;
  readonly #sealed: string[] = [];
  #running: Promise<void> = Promise.resolve();
  #next = 0;
  #asked = 0;

  constructor(url: string, source: Source) {
    this.#link = createLink({ url });
    this.#source = source;
  }

  /** Sessions whose seal was acked. */
  get sealed(): readonly string[] {
    return this.#sealed;
  }

  /** Records so many more sessions; resolves when all that were asked for are sealed. */
  async feed(sessions: number): Promise<void> {
    this.#asked += sessions;
    const before = this.#running;
    this.#running = (async () => {
      await before;
      await Promise.all(Array.from({ length: AT_ONCE }, () => this.#recordAll()));
    })();
    await this.#running;
  }

  [Symbol.dispose](): void {
    this.#link[Symbol.dispose]();
  }

  async #recordAll(): Promise<void> {
    while (this.#next < this.#asked) await this.#record(this.#next++);
  }

  async #record(index: number): Promise<void> {
    const session = `jobs-${index}`;
    const events = Array.from({ length: EVENTS }, (_, at) => this.#source.event(index, at + 1));
    const { transport } = this.#link;
    await untilDone(async (signal) => {
      const batch = { firstSeq: 1n, events };
      await transport.unary(opaqueAppend, signal, undefined, undefined, { stream: { session }, events: batch });
    });
    await untilDone(async (signal) => {
      const seal = { streams: [{ stream: "main", lastSeq: BigInt(EVENTS) }], allowMissingBlobs: true };
      await transport.unary(IngestService.method.seal, signal, undefined, undefined, { session, seal });
    });
    this.#sealed.push(session);
  }
}

/** Both calls may be made again: what is stored already is acked. */
async function untilDone(call: (signal: AbortSignal) => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await call(AbortSignal.timeout(CALL_MS));
    } catch {
      // Killed, stopped or just starting: which of them makes no difference to who sends again.
      await wait(50);
    }
  }
}
