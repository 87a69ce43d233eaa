import type { MessageInitShape } from "@bufbuild/protobuf";
import type { UploadRequestSchema } from "../../src/wire/gen/sluice/opaque/v1/opaque_pb.ts";
import type { Ack, Opened, Sealed, UploadResponse } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { opaqueUpload } from "../../src/wire/opaque.ts";
import type { Link } from "./daemon.ts";

type Frame = NonNullable<MessageInitShape<typeof UploadRequestSchema>["frame"]>;
type Answer = UploadResponse["frame"];

/** An Upload said frame by frame. */
export class Conversation {
  readonly #queue: Frame[] = [];
  readonly #stopped = new AbortController();
  readonly #answers: AsyncIterator<Answer>;
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(link: Link, headers: Record<string, string> = {}) {
    this.#answers = this.#converse(link, headers);
  }

  /** Opens `session` and waits for Opened. */
  static async open(link: Link, session: string, stream = ""): Promise<Conversation> {
    const conversation = new Conversation(link);
    conversation.send({ case: "open", value: { stream: { session, stream } } });
    await conversation.opened();
    return conversation;
  }

  send(frame: Frame): void {
    this.#queue.push(frame);
    this.#wake?.();
  }

  events(firstSeq: bigint, events: Uint8Array[]): void {
    this.send({ case: "events", value: { firstSeq, events } });
  }

  /** The next answer, which must be this; rejects with what ends the call. */
  async opened(): Promise<Opened> {
    const answer = await this.#next();
    if (answer.case !== "opened") throw unexpected(answer.case, "opened");
    return answer.value;
  }

  async ack(): Promise<Ack> {
    const answer = await this.#next();
    if (answer.case !== "ack") throw unexpected(answer.case, "ack");
    return answer.value;
  }

  async sealed(): Promise<Sealed> {
    const answer = await this.#next();
    if (answer.case !== "sealed") throw unexpected(answer.case, "sealed");
    return answer.value;
  }

  /** Reads acks until `seq` is durable. */
  async durable(seq: bigint): Promise<void> {
    while ((await this.ack()).durableSeq < seq);
  }

  /** No more frames; all answers that still come. Rejects with what ends the call, if that is an error. */
  async end(): Promise<Answer[]> {
    this.#ended = true;
    this.#wake?.();
    const rest: Answer[] = [];
    for (;;) {
      const { done, value } = await this.#answers.next();
      if (done === true) return rest;
      rest.push(value);
    }
  }

  /** Resets the call. */
  reset(): void {
    this.#stopped.abort();
  }

  async #next(): Promise<Answer> {
    const { done, value } = await this.#answers.next();
    return done === true ? { case: undefined } : value;
  }

  async *#converse(link: Link, headers: Record<string, string>): AsyncGenerator<Answer> {
    const { signal } = this.#stopped;
    const response = await link.transport.stream(opaqueUpload, signal, undefined, headers, this.#frames());
    for await (const { frame } of response.message) yield frame;
  }

  async *#frames(): AsyncGenerator<MessageInitShape<typeof UploadRequestSchema>> {
    for (;;) {
      const frame = this.#queue.shift();
      if (frame !== undefined) yield { frame };
      else if (this.#ended) return;
      else {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        await promise;
      }
    }
  }
}

function unexpected(came: string | undefined, wanted: string): Error {
  return new Error(`${came} came where ${wanted} was expected`);
}
