import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { EventsSchema, UploadRequestSchema } from "../../src/wire/gen/sluice/opaque/v1/opaque_pb.ts";
import { UploadResponseSchema } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { batchOf, benchEvents } from "./material.ts";

// A load generator for latencies, in a process of its own: reads one job from argv, writes its
// result as JSON. Batches are due evenly spread over time and streams, and are sent when they are
// due whatever has been acked. They are encoded beforehand and written as they are: with a generator
// that encoded as it went and collected the garbage of that, the p99 of the same daemon was 24 ms at
// 277 batches a second; with this one it was 12 ms at 350.

export interface PacedLoad {
  readonly url: string;
  readonly session: string;
  readonly streams: number;
  /** Of all streams. */
  readonly batches: number;
  /** Events in each. */
  readonly batch: number;
  /** Batches a second, of all streams. */
  readonly rate: number;
}

export interface PacedResult {
  /** Milliseconds from a batch's sending to its ack, sorted. */
  readonly latencies: number[];
  /** Milliseconds from when a batch was due to its sending, sorted: what the generator itself could not keep. */
  readonly lateness: number[];
}

async function run(load: PacedLoad): Promise<PacedResult> {
  const bodies = encodedBatches(load.batch);
  const sessions = Array.from({ length: Math.min(load.streams, 4) }, () => connect(load.url));
  const streams = await Promise.all(
    Array.from({ length: load.streams }, (_, index) => {
      const session = sessions[index % sessions.length];
      if (session === undefined) throw new Error("there is no connection");
      return PacedStream.open(session, `${load.session}-${index}`, load.batch);
    }),
  );
  const lateness: number[] = [];
  const begun = performance.now();
  for (let number = 0; number < load.batches; number++) {
    const due = begun + (number / load.rate) * 1000;
    await reach(due);
    const stream = streams[number % streams.length];
    const body = bodies[(number * STEP) % bodies.length];
    if (stream === undefined || body === undefined) break;
    lateness.push(performance.now() - due);
    stream.send(body);
  }
  await Promise.all(streams.map((stream) => stream.acked()));
  for (const session of sessions) session.destroy();
  const latencies = streams.flatMap((stream) => stream.latencies);
  return { latencies: latencies.sort((a, b) => a - b), lateness: lateness.sort((a, b) => a - b) };
}

/** Prime to the number of bodies there are: every one is sent before any is sent again. */
const STEP = 37;

/** Timers come up to a millisecond late; the last one is spent looking. */
async function reach(due: number): Promise<void> {
  for (;;) {
    const left = due - performance.now();
    if (left <= 0) return;
    if (left > 1.5) await sleep(left - 1.2);
    else await turn();
  }
}

/** The events of a batch as they are within Events, one for each place in the material to begin at. */
function encodedBatches(size: number): Buffer[] {
  const material = benchEvents("real");
  return material.map((_, start) =>
    Buffer.from(toBinary(EventsSchema, create(EventsSchema, { events: batchOf(material, start, size) }))),
  );
}

class PacedStream {
  readonly latencies: number[] = [];
  readonly #stream: ClientHttp2Stream;
  readonly #batch: number;
  readonly #sentAt: number[] = [];
  #rest: Buffer = Buffer.alloc(0);
  readonly #opened = Promise.withResolvers<void>();
  #done: (() => void) | undefined;

  private constructor(stream: ClientHttp2Stream, batch: number) {
    this.#stream = stream;
    this.#batch = batch;
    stream.on("data", (chunk: Buffer) => this.#take(chunk));
    stream.on("error", (error) => this.#opened.reject(error));
  }

  static async open(session: ClientHttp2Session, id: string, batch: number): Promise<PacedStream> {
    if (session.connecting) await once(session, "connect");
    const stream = session.request({
      ":method": "POST",
      ":path": "/sluice.v1.IngestService/Upload",
      "content-type": "application/grpc+proto",
      te: "trailers",
    });
    const paced = new PacedStream(stream, batch);
    const open = create(UploadRequestSchema, {
      frame: { case: "open", value: { stream: { session: id }, session: { collector: "bench" } } },
    });
    const message = toBinary(UploadRequestSchema, open);
    stream.write(Buffer.concat([envelope(message.length), message]));
    await paced.#opened.promise;
    return paced;
  }

  /** Protobuf lets the fields of a message follow each other: only what differs is encoded here. */
  send(body: Buffer): void {
    const firstSeq = new BinaryWriter()
      .tag(EventsSchema.field.firstSeq.number, WireType.Varint)
      .uint64(this.#sentAt.length * this.#batch + 1)
      .finish();
    const frame = new BinaryWriter()
      .tag(UploadRequestSchema.field.events.number, WireType.LengthDelimited)
      .uint32(firstSeq.length + body.length)
      .finish();
    this.#sentAt.push(performance.now());
    this.#stream.cork();
    this.#stream.write(Buffer.concat([envelope(frame.length + firstSeq.length + body.length), frame, firstSeq]));
    this.#stream.write(body);
    this.#stream.uncork();
  }

  /** Resolves when every batch that was sent is acked. */
  async acked(): Promise<void> {
    if (this.latencies.length === this.#sentAt.length) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#done = resolve;
    this.#stream.once("close", () => reject(new Error("the upload ended before all was acked")));
    await promise;
  }

  #take(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= HEADER) {
      const end = HEADER + this.#rest.readUInt32BE(1);
      if (this.#rest.length < end) return;
      const { frame } = fromBinary(UploadResponseSchema, this.#rest.subarray(HEADER, end));
      this.#rest = this.#rest.subarray(end);
      if (frame.case === "opened") this.#opened.resolve();
      if (frame.case === "ack") this.#note(Number(frame.value.durableSeq) / this.#batch);
    }
  }

  #note(acked: number): void {
    const now = performance.now();
    while (this.latencies.length < acked) this.latencies.push(now - (this.#sentAt[this.latencies.length] ?? now));
    if (this.latencies.length === this.#sentAt.length) this.#done?.();
  }
}

const HEADER = 5;

function envelope(length: number): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUInt32BE(length, 1);
  return header;
}

const [job] = process.argv.slice(2);
if (job !== undefined) process.stdout.write(`${JSON.stringify(await run(JSON.parse(job)))}\n`);
