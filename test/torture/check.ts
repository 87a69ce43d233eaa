import { createHash } from "node:crypto";
import { createLink, type Link } from "../../src/client/transport.ts";
import { IngestService } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { type Session, SessionsService } from "../../src/wire/gen/sluice/v1/sessions_pb.ts";
import { opaqueReadEvents } from "../../src/wire/opaque.ts";
import { never } from "../fixtures.ts";
import type { Promised } from "./journal.ts";
import { blobsUpTo, type Source, sha256 } from "./source.ts";

export interface Found {
  /** Events and blobs somebody was promised. */
  readonly acked: number;
  /** Events and blobs read back. */
  readonly stored: number;
  /** Acked, and not there with the same bytes. */
  readonly lost: number;
  /** There more than once. */
  readonly doubled: number;
  /** Of the source and not there, or there and not of the source; what is lost is not counted again. */
  readonly unaccounted: number;
}

/**
 * Reads everything back: each acked thing must be there once with the same bytes, and each thing of
 * the source, `ends` being the last seq of each stream. Then seals every session.
 */
export async function checkStore(
  url: string,
  source: Source,
  promised: Promised,
  ends: readonly number[],
): Promise<Found> {
  using link = createLink({ url });
  const tally = new Tally();
  for (const [session, streams] of bySession(source, ends)) {
    const stored = await readEvents(link, session);
    const counted = [...stored.values()].reduce((sum, found) => sum + found.length, 0);
    for (const { index, name, end } of streams) {
      const given = (seq: number) => sha256(source.event(index, seq));
      tally.events(stored.get(name) ?? [], end, promised.events[index] ?? new Map(), given);
      stored.delete(name);
    }
    for (const unknown of stored.values()) tally.unaccounted += unknown.length;
    const { events, missingBlobs } = await readSession(link, session);
    tally.unaccounted += Math.abs(Number(events) - counted) + Number(missingBlobs);
  }
  const wanted = new Set(promised.blobs);
  for (const [stream, end] of ends.entries()) {
    for (let number = 0; number < blobsUpTo(end); number++) wanted.add(source.blob(stream, number).id);
  }
  for (const id of wanted) tally.blob(await isThere(link, id), promised.blobs.has(id));
  for (const [session, streams] of bySession(source, ends)) tally.unaccounted += await seal(link, session, streams);
  const { acked, stored, lost, doubled, unaccounted } = tally;
  return { acked, stored, lost, doubled, unaccounted };
}

class Tally implements Found {
  acked = 0;
  stored = 0;
  lost = 0;
  doubled = 0;
  unaccounted = 0;

  /** One stream as it was read; `given` tells what the source has at a seq. */
  events(
    found: readonly StoredHash[],
    end: number,
    acked: ReadonlyMap<number, string>,
    given: (seq: number) => string,
  ): void {
    const bySeq = new Map<number, string>();
    const byHash = new Set<string>();
    for (const { seq, hash } of found) {
      // The source has no two events alike, so the same bytes at two places are one event twice.
      if (bySeq.has(seq) || byHash.has(hash)) this.doubled += 1;
      bySeq.set(seq, hash);
      byHash.add(hash);
    }
    for (const [seq, hash] of acked) if (bySeq.get(seq) !== hash) this.lost += 1;
    for (let seq = 1; seq <= end; seq++) if (bySeq.get(seq) !== given(seq) && !acked.has(seq)) this.unaccounted += 1;
    for (const [seq, hash] of bySeq)
      if (seq > end || (hash !== given(seq) && acked.get(seq) === hash)) this.unaccounted += 1;
    this.acked += acked.size;
    this.stored += found.length;
  }

  blob(there: boolean, acked: boolean): void {
    if (acked) this.acked += 1;
    if (there) this.stored += 1;
    else if (acked) this.lost += 1;
    else this.unaccounted += 1;
  }
}

interface StreamEnd {
  readonly index: number;
  readonly session: string;
  readonly name: string;
  readonly end: number;
}

function bySession(source: Source, ends: readonly number[]): Map<string, StreamEnd[]> {
  const streams = ends.map((end, index): StreamEnd => {
    const { session, stream: name } = source.name(index);
    return { index, session, name, end };
  });
  return Map.groupBy(streams, ({ session }) => session);
}

interface StoredHash {
  readonly seq: number;
  readonly hash: string;
}

/** 0 when the session could be sealed at these ends, else 1. */
async function seal(link: Link, session: string, streams: readonly StreamEnd[]): Promise<number> {
  const ends = streams.map(({ name, end }) => ({ stream: name, lastSeq: BigInt(end) }));
  const request = { session, seal: { streams: ends } };
  try {
    await link.transport.unary(IngestService.method.seal, never, undefined, undefined, request);
    return 0;
  } catch (error) {
    process.stderr.write(`session ${session} can't be sealed: ${error}\n`);
    return 1;
  }
}

async function readSession(link: Link, session: string): Promise<Session> {
  const { message } = await link.transport.unary(SessionsService.method.getSession, never, undefined, undefined, {
    session,
  });
  if (message.session === undefined) throw new Error(`there is no session ${session}`);
  return message.session;
}

async function readEvents(link: Link, session: string): Promise<Map<string, StoredHash[]>> {
  const streams = new Map<string, StoredHash[]>();
  const response = await link.transport.stream(opaqueReadEvents, never, undefined, undefined, only({ session }));
  for await (const { events } of response.message) {
    for (const { stream, seq, event } of events) {
      const found = streams.get(stream) ?? [];
      found.push({ seq: Number(seq), hash: sha256(event) });
      streams.set(stream, found);
    }
  }
  return streams;
}

async function isThere(link: Link, blobId: string): Promise<boolean> {
  const hash = createHash("sha256");
  try {
    const response = await link.transport.stream(
      SessionsService.method.readBlob,
      never,
      undefined,
      undefined,
      only({ blobId }),
    );
    for await (const { data } of response.message) hash.update(data);
  } catch (error) {
    process.stderr.write(`blob ${blobId}: ${error}\n`);
    return false;
  }
  return hash.digest("hex") === blobId;
}

async function* only<T>(message: T): AsyncGenerator<T> {
  yield message;
}
